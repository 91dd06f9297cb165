/* Runs the conformance cases on a policy in this host.
 *
 *     conformance [--component FILE] [--cases DIRECTORY] [--json]
 *
 * Prints the failing cases, then `N passed, N failed`. Exits with 1 if a case failed, and with 2 if the cases cannot be
 * run. With `--json`, prints one JSON object per case instead, one per line, in the order of file names and of cases.
 * The objects are compact and have no unnecessary escapes, so hosts with the same results print the same bytes. The
 * defaults are the policy in the library, and the repository's cases relative to the directory of the Makefile.
 */
#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "delete_learning.h"

/* The context of one decision: the case, and the state of its records and calls. */
struct test {
    yyjson_val *test;
    dl_string id;          /* the record that storage is bound to */
    yyjson_mut_doc *doc;     /* owns the two values below */
    yyjson_mut_val *records; /* the current records: id to owner */
    yyjson_mut_val *calls;
    dl_string *scopes;
};

static _Noreturn void exit_with_error(const char *subject, const char *reason)
{
    fprintf(stderr, "%s: %s\n", subject, reason);
    exit(2);
}

/* ---- Reading a case ---- */

static yyjson_val *member(yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    if (value == NULL)
        exit_with_error(key, "missing in a case");
    return value;
}

static dl_string text_of(yyjson_val *string)
{
    return (dl_string){yyjson_get_str(string), yyjson_get_len(string)}; /* NULL and 0 for null */
}

static dl_string text(yyjson_val *object, const char *key)
{
    return text_of(member(object, key));
}

static const char *credential_name(unsigned value)
{
    return dl_credential_name(value);
}

static const char *identity_error_kind_name(unsigned value)
{
    return dl_identity_error_kind_name(value);
}

static const char *outcome_name(unsigned value)
{
    return dl_outcome_name(value);
}

static const char *storage_error_kind_name(unsigned value)
{
    return dl_storage_error_kind_name(value);
}

/* Converts the contract's name of an enum value to the value. */
static unsigned enum_value(yyjson_val *object, const char *key, const char *name_of(unsigned))
{
    yyjson_val *name = member(object, key);
    for (unsigned i = 1; name_of(i) != NULL; i++)
        if (yyjson_equals_str(name, name_of(i)))
            return i;
    exit_with_error(key, "a case has a value that is not in the contract");
}

/* ---- The host that a case describes ---- */

static bool current(void *context, dl_caller *caller, dl_identity_error *error)
{
    struct test *test = context;
    yyjson_mut_arr_add_str(test->doc, test->calls, "identity.current");
    yyjson_val *identity = member(test->test, "identity");
    yyjson_val *failure = yyjson_obj_get(identity, "error");
    if (failure != NULL) {
        error->kind = enum_value(failure, "kind", identity_error_kind_name);
        error->credential = enum_value(failure, "credential", credential_name);
        error->message = text(failure, "message");
        return false;
    }
    yyjson_val *found = member(identity, "caller");
    yyjson_val *scopes = member(found, "scopes");
    free(test->scopes);
    test->scopes = calloc(yyjson_arr_size(scopes) + 1, sizeof *test->scopes);
    if (test->scopes == NULL)
        abort();
    for (size_t i = 0; i < yyjson_arr_size(scopes); i++)
        test->scopes[i] = text_of(yyjson_arr_get(scopes, i));
    *caller = (dl_caller){
        .credential = enum_value(found, "credential", credential_name),
        .subject = text(found, "subject"),
        .scopes = test->scopes,
        .scope_count = yyjson_arr_size(scopes),
        .scopes_optional = yyjson_get_bool(member(found, "scopes-optional")),
        .all_owners = yyjson_get_bool(member(found, "all-owners")),
        .admin_scope = text(found, "admin-scope"),
    };
    return true;
}

/* Records a call. Returns the result that the case injects for the function, or NULL. */
static yyjson_val *record_call(struct test *test, const char *function, const dl_string *argument)
{
    dl_string none = {"", 0};
    size_t capacity = strlen("storage. ") + strlen(function) + (argument ? argument->size : 0) + 1;
    char *line = malloc(capacity);
    if (line == NULL)
        abort();
    size_t size = sprintf(line, "storage.%s%s", function, argument ? " " : "");
    argument = argument ? argument : &none;
    memcpy(line + size, argument->data, argument->size);
    yyjson_mut_arr_add_strncpy(test->doc, test->calls, line, size + argument->size);
    free(line);
    yyjson_val *faults = yyjson_obj_get(member(test->test, "storage"), "faults");
    yyjson_val *fault = yyjson_obj_get(faults, function);
    return fault != NULL ? fault : yyjson_obj_get(faults, "*");
}

static bool set_error(yyjson_val *failure, dl_storage_error *error)
{
    error->kind = enum_value(failure, "kind", storage_error_kind_name);
    error->message = text(failure, "message");
    return false;
}

static yyjson_mut_val *owner_of_record(struct test *test)
{
    return yyjson_mut_obj_getn(test->records, test->id.data, test->id.size); /* NULL where there is no record */
}

static dl_outcome delete_record(struct test *test)
{
    bool deleted = yyjson_mut_obj_remove_keyn(test->records, test->id.data, test->id.size) != NULL;
    return deleted ? DL_OUTCOME_DELETED : DL_OUTCOME_ABSENT;
}

/* Whether the case injects a result for a delete. If so, sets the result and `*succeeded`, the return value. */
static bool apply_fault(yyjson_val *fault, bool *succeeded, dl_outcome *outcome, dl_storage_error *error)
{
    if (fault == NULL)
        return false;
    yyjson_val *failure = yyjson_obj_get(fault, "error");
    *succeeded = failure == NULL ? true : set_error(failure, error);
    if (*succeeded)
        *outcome = enum_value(fault, "outcome", outcome_name);
    return true;
}

static bool locate(void *context, dl_target *target, dl_storage_error *error)
{
    yyjson_val *fault = record_call(context, "locate", NULL);
    if (fault != NULL)
        return set_error(member(fault, "error"), error);
    *target = (dl_target){dl_string_from("main"), dl_string_from("agno_learnings")};
    return true;
}

static bool find(void *context, bool *found, dl_learning *learning, dl_storage_error *error)
{
    yyjson_val *fault = record_call(context, "find", NULL);
    if (fault != NULL)
        return set_error(member(fault, "error"), error);
    yyjson_mut_val *owner = owner_of_record(context);
    *found = owner != NULL;
    *learning = (dl_learning){
        .learning_type = dl_string_from("user_profile"),
        .user_id = {yyjson_mut_get_str(owner), yyjson_mut_get_len(owner)},
        .content = dl_string_from("{}"),
        .revision = dl_string_from("1"),
    };
    return true;
}

static bool delete_any(void *context, dl_outcome *outcome, dl_storage_error *error)
{
    bool succeeded = true;
    if (!apply_fault(record_call(context, "delete", NULL), &succeeded, outcome, error))
        *outcome = delete_record(context);
    return succeeded;
}

static bool delete_if_owned_by(void *context, dl_string user_id, dl_outcome *outcome, dl_storage_error *error)
{
    bool succeeded = true;
    if (apply_fault(record_call(context, "delete-if-owned-by", &user_id), &succeeded, outcome, error))
        return succeeded;
    yyjson_mut_val *owner = owner_of_record(context);
    if (owner == NULL)
        *outcome = DL_OUTCOME_ABSENT;
    else if (yyjson_mut_is_null(owner))
        *outcome = DL_OUTCOME_UNOWNED;
    else if (yyjson_mut_equals_strn(owner, user_id.data, user_id.size))
        *outcome = delete_record(context);
    else
        *outcome = DL_OUTCOME_OWNED_BY_ANOTHER;
    return true;
}

static bool delete_if_unchanged(void *context, dl_string revision, dl_outcome *outcome,
                                dl_storage_error *error)
{
    bool succeeded = true;
    if (apply_fault(record_call(context, "delete-if-unchanged", &revision), &succeeded, outcome, error))
        return succeeded;
    bool is_current = revision.size == 1 && revision.data[0] == '1';
    *outcome = is_current || owner_of_record(context) == NULL ? delete_record(context) : DL_OUTCOME_CHANGED;
    return true;
}

static const dl_host host = {
    current, locate, find, delete_any, delete_if_owned_by, delete_if_unchanged,
};

/* ---- Running a case ---- */

static int compare_bytes(const void *left, const void *right)
{
    const dl_string *a = left, *b = right;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static yyjson_mut_val *remaining_ids(struct test *test)
{
    size_t count = 0;
    dl_string *ids = calloc(yyjson_mut_obj_size(test->records) + 1, sizeof *ids);
    if (ids == NULL)
        abort();
    yyjson_mut_obj_iter iterator = yyjson_mut_obj_iter_with(test->records);
    for (yyjson_mut_val *id; (id = yyjson_mut_obj_iter_next(&iterator)) != NULL;)
        ids[count++] = (dl_string){yyjson_mut_get_str(id), yyjson_mut_get_len(id)};
    qsort(ids, count, sizeof *ids, compare_bytes);
    yyjson_mut_val *left = yyjson_mut_arr(test->doc);
    for (size_t i = 0; i < count; i++)
        yyjson_mut_arr_add_strn(test->doc, left, ids[i].data, ids[i].size);
    free(ids);
    return left;
}

static yyjson_mut_val *answer_to_json(yyjson_mut_doc *doc, const dl_decision *decision)
{
    if (decision->answer == DL_ANSWER_DELETED)
        return yyjson_mut_str(doc, "deleted");
    if (decision->answer == DL_ANSWER_FAILED) { /* no case expects this */
        char failure[DL_MESSAGE_BYTES + 10];
        snprintf(failure, sizeof failure, "failed: %s", decision->message);
        return yyjson_mut_strcpy(doc, failure);
    }
    yyjson_mut_val *rejection = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_uint(doc, rejection, "status", decision->status);
    yyjson_mut_obj_add_str(doc, rejection, "code", decision->code);
    yyjson_mut_obj_add_strcpy(doc, rejection, "detail", decision->detail);
    yyjson_mut_obj_add_strcpy(doc, rejection, "rule", decision->rule);
    return rejection;
}

static void print(const char *before, yyjson_mut_val *value)
{
    size_t size = 0;
    char *json = yyjson_mut_val_write(value, 0, &size);
    if (json == NULL)
        exit_with_error("cannot write a result as JSON", "out of memory");
    /* This library writes \u001B, other hosts write \u001b. */
    for (char *at = json; (at = strchr(at, '\\')) != NULL; at += 2)
        for (int i = 2; at[1] == 'u' && i < 6; i++)
            at[i] = tolower((unsigned char)at[i]);
    printf("%s%s\n", before, json);
    free(json);
}

static bool run_case(dl_policy *policy, yyjson_val *test_case, bool as_json)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_val *request = member(test_case, "request");
    struct test test = {
        .test = test_case,
        .id = text(request, "learning-id"),
        .doc = doc,
        .records = yyjson_val_mut_copy(doc, member(member(test_case, "storage"), "records")),
        .calls = yyjson_mut_arr(doc),
    };

    dl_decision decision;
    dl_policy_decide(policy, &(dl_request){test.id, text(request, "db-id"), text(request, "table")}, &host, &test,
                     &decision);

    dl_string name = text(test_case, "name");
    yyjson_mut_val *got = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_strn(doc, got, "case", name.data, name.size);
    yyjson_mut_obj_add_val(doc, got, "calls", test.calls);
    yyjson_mut_obj_add_val(doc, got, "answer", answer_to_json(doc, &decision));
    yyjson_mut_obj_add_val(doc, got, "left", remaining_ids(&test));
    yyjson_mut_val *expected = yyjson_val_mut_copy(doc, member(test_case, "expect"));
    yyjson_mut_obj_add_strn(doc, expected, "case", name.data, name.size);

    bool passed = yyjson_mut_equals(got, expected);
    if (as_json) {
        print("", got);
    } else if (!passed) {
        printf("%s\n", name.data);
        print("  expected ", expected);
        print("  got      ", got);
    }
    free(test.scopes);
    yyjson_mut_doc_free(doc);
    return passed;
}

static int is_json(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end != NULL && strcmp(end, ".json") == 0;
}

int main(int argc, char **argv)
{
    const char *component = NULL;
    const char *directory = "../../tests/conformance/cases";
    bool as_json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            as_json = true;
        else if (strcmp(argv[i], "--component") == 0 && i + 1 < argc)
            component = argv[++i];
        else if (strcmp(argv[i], "--cases") == 0 && i + 1 < argc)
            directory = argv[++i];
        else
            exit_with_error(argv[i], "usage: conformance [--component FILE] [--cases DIRECTORY] [--json]");
    }

    char load_error[512];
    /* Some cases inject outcomes that a function cannot return. */
    const dl_options options = {.allow_any_outcome = true};
    dl_policy *policy = component == NULL ? dl_policy_load_default(&options, load_error, sizeof load_error)
                                          : dl_policy_load_file(component, &options, load_error, sizeof load_error);
    if (policy == NULL)
        exit_with_error("the component cannot be loaded", load_error);
    struct dirent **files;
    int count = scandir(directory, &files, is_json, alphasort);
    if (count <= 0)
        exit_with_error(directory, "no cases");

    unsigned passed = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", directory, files[i]->d_name);
        yyjson_read_err error;
        yyjson_doc *doc = yyjson_read_file(path, 0, NULL, &error);
        if (doc == NULL)
            exit_with_error(path, error.msg);
        yyjson_arr_iter cases = yyjson_arr_iter_with(member(yyjson_doc_get_root(doc), "cases"));
        for (yyjson_val *test; (test = yyjson_arr_iter_next(&cases)) != NULL;)
            *(run_case(policy, test, as_json) ? &passed : &failed) += 1;
        yyjson_doc_free(doc);
        free(files[i]);
    }
    free(files);
    dl_policy_free(policy);
    if (!as_json)
        printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
