#include "answers.h"

#include "names.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_REVISION_BYTES 256
#define BIT(number) (1u << (number))
#define ALL_VALUES (~0u)

/* An answer of a function of the host while it is converted. */
struct answer {
    const char *function;
    const char *subject; /* what it returned, in messages: `a caller whose `, or empty */
    bool allow_any_outcome;
    char *message;       /* the first thing that is invalid; empty if nothing is */
};

static void invalid(struct answer *answer, const char *format, ...)
{
    if (answer->message[0] != '\0')
        return;
    int size = snprintf(answer->message, DL_MESSAGE_BYTES + 1, "%s returned %s", answer->function, answer->subject);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(answer->message + size, DL_MESSAGE_BYTES + 1 - (size_t)size, format, arguments);
    va_end(arguments);
}

/* ---- Fields. An invalid one is replaced, because the whole answer is then not used. ---- */

static value checked_text(struct answer *answer, const char *name, dl_string text)
{
    size_t valid = text.data == NULL ? 0 : dl_valid_utf8_bytes(text);
    if (valid == text.size)
        return dl_string_value(text);
    invalid(answer, "%s has a byte that is not UTF-8 at offset %zu; expected UTF-8", name, valid);
    return dl_string_value((dl_string){"", 0});
}

static value text(struct answer *answer, const char *name, dl_string text)
{
    if (text.data != NULL)
        return checked_text(answer, name, text);
    invalid(answer, "%s is NULL; expected a string", name);
    return dl_string_value((dl_string){"", 0});
}

static value optional_text(struct answer *answer, const char *name, dl_string text)
{
    if (text.data != NULL)
        return dl_some(checked_text(answer, name, text));
    if (text.size != 0)
        invalid(answer, "%s is NULL with the size %zu; expected a string, or NULL with the size 0", name, text.size);
    return dl_none();
}

/* `name` is `kind is`, or empty. `allowed` has a bit for each value that the function can return. */
static value enumeration(struct answer *answer, const char *name, const char *const names[], unsigned number,
                         unsigned allowed)
{
    unsigned count = 1;
    while (names[count] != NULL)
        count++;
    if (number > 0 && number < count && (allowed & BIT(number) || answer->allow_any_outcome))
        return dl_enum_value(names[number]);

    char expected[512] = "";
    size_t size = 0;
    for (unsigned i = 1; i < count; i++)
        if (allowed & BIT(i))
            size += (size_t)snprintf(expected + size, sizeof expected - size, "%s%s", size > 0 ? ", " : "", names[i]);
    if (number > 0 && number < count)
        invalid(answer, "%s%s; expected one of %s", name, names[number], expected);
    else
        invalid(answer, "%s%d; expected one of %s", name, (int)number, expected);
    return dl_enum_value("");
}

static value scopes(struct answer *answer, const dl_string *texts, size_t count)
{
    value list = dl_list(NULL, 0);
    if (count == 0)
        return list;
    if (texts == NULL) {
        invalid(answer, "scopes is NULL with the scope_count %zu; expected an array of that size", count);
        return list;
    }
    wasmtime_component_vallist_new_uninit(&list.of.list, count);
    for (size_t i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "scopes[%zu]", i);
        list.of.list.data[i] = text(answer, name, texts[i]);
    }
    return list;
}

/* ---- Results ---- */

static value caller_value(struct answer *answer, const dl_caller *caller)
{
    answer->subject = "a caller whose ";
    return DL_RECORD_OF(
        dl_field("credential",
                 enumeration(answer, "credential is ", dl_credential_names, caller->credential, ALL_VALUES)),
        dl_field("subject", optional_text(answer, "subject", caller->subject)),
        dl_field("scopes", scopes(answer, caller->scopes, caller->scope_count)),
        dl_field("scopes-optional", dl_boolean(caller->scopes_optional)),
        dl_field("all-owners", dl_boolean(caller->all_owners)),
        dl_field("admin-scope", text(answer, "admin_scope", caller->admin_scope)));
}

static value identity_error_value(struct answer *answer, const dl_identity_error *error)
{
    answer->subject = "an error whose ";
    return DL_RECORD_OF(
        dl_field("kind", enumeration(answer, "kind is ", dl_identity_error_kind_names, error->kind, ALL_VALUES)),
        dl_field("credential",
                 enumeration(answer, "credential is ", dl_credential_names, error->credential, ALL_VALUES)),
        dl_field("message", text(answer, "message", error->message)));
}

static value learning_value(struct answer *answer, const dl_learning *learning)
{
    answer->subject = "a learning whose ";
    if (learning->revision.size > MAX_REVISION_BYTES)
        invalid(answer, "revision has %zu bytes; expected at most %d", learning->revision.size, MAX_REVISION_BYTES);
    value updated_at = learning->has_updated_at ? dl_some(dl_integer(learning->updated_at)) : dl_none();
    return DL_RECORD_OF(dl_field("learning-type", text(answer, "learning_type", learning->learning_type)),
                        dl_field("namespace", optional_text(answer, "name_space", learning->name_space)),
                        dl_field("user-id", optional_text(answer, "user_id", learning->user_id)),
                        dl_field("agent-id", optional_text(answer, "agent_id", learning->agent_id)),
                        dl_field("team-id", optional_text(answer, "team_id", learning->team_id)),
                        dl_field("workflow-id", optional_text(answer, "workflow_id", learning->workflow_id)),
                        dl_field("session-id", optional_text(answer, "session_id", learning->session_id)),
                        dl_field("entity-id", optional_text(answer, "entity_id", learning->entity_id)),
                        dl_field("entity-type", optional_text(answer, "entity_type", learning->entity_type)),
                        dl_field("content", text(answer, "content", learning->content)),
                        dl_field("metadata", optional_text(answer, "metadata", learning->metadata)),
                        dl_field("created-at", dl_integer(learning->created_at)),
                        dl_field("updated-at", updated_at),
                        dl_field("revision", text(answer, "revision", learning->revision)));
}

static value target_value(struct answer *answer, const dl_target *target)
{
    answer->subject = "a target whose ";
    return DL_RECORD_OF(dl_field("database", text(answer, "database", target->database)),
                        dl_field("table", text(answer, "table", target->table)));
}

static value storage_error_value(struct answer *answer, const dl_storage_error *error, bool is_delete)
{
    answer->subject = "an error whose ";
    unsigned only_deletes = BIT(DL_STORAGE_DENIED) | BIT(DL_STORAGE_OUTCOME_UNKNOWN);
    unsigned allowed = is_delete ? ALL_VALUES : ~only_deletes;
    value kind = enumeration(answer, "kind is ", dl_storage_error_kind_names, error->kind, allowed);
    return dl_error(DL_RECORD_OF(dl_field("kind", kind), dl_field("message", text(answer, "message", error->message))));
}

/* ---- Calls ---- */

static value call_delete(const struct host_binding *host, const struct function *function, dl_string argument,
                         struct answer *answer, dl_record *record)
{
    const dl_host *functions = host->functions;
    dl_outcome outcome = 0;
    dl_storage_error error = {0};
    unsigned allowed = BIT(DL_OUTCOME_DELETED) | BIT(DL_OUTCOME_ABSENT);
    bool succeeded;
    switch (function->id) {
    case DELETE_IF_OWNED_BY:
        succeeded = functions->delete_if_owned_by(host->user_data, argument, &outcome, &error);
        allowed |= BIT(DL_OUTCOME_UNOWNED) | BIT(DL_OUTCOME_OWNED_BY_ANOTHER);
        break;
    case DELETE_IF_UNCHANGED:
        succeeded = functions->delete_if_unchanged(host->user_data, argument, &outcome, &error);
        allowed |= BIT(DL_OUTCOME_CHANGED);
        break;
    default:
        succeeded = functions->delete_any(host->user_data, &outcome, &error);
    }
    value result = succeeded ? dl_ok(enumeration(answer, "", dl_outcome_names, outcome, allowed))
                             : storage_error_value(answer, &error, true);
    bool is_unknown = answer->message[0] != '\0' || (!succeeded && error.kind == DL_STORAGE_OUTCOME_UNKNOWN);
    if (!is_unknown && succeeded && outcome == DL_OUTCOME_DELETED)
        *record = DL_RECORD_DELETED;
    else if (is_unknown && *record == DL_RECORD_NOT_DELETED)
        *record = DL_RECORD_UNKNOWN;
    return result;
}

bool dl_call_host(const struct host_binding *host, const struct function *function, dl_string argument, value *result,
                  dl_record *record, char message[DL_MESSAGE_BYTES + 1])
{
    struct answer answer = {function->host_name, "", host->allow_any_outcome, message};
    const dl_host *functions = host->functions;
    message[0] = '\0';
    dl_storage_error error = {0};
    switch (function->id) {
    case CURRENT: {
        dl_caller caller = {0};
        dl_identity_error identity_error = {0};
        *result = functions->current(host->user_data, &caller, &identity_error)
                      ? dl_ok(caller_value(&answer, &caller))
                      : dl_error(identity_error_value(&answer, &identity_error));
        break;
    }
    case LOCATE: {
        dl_target target = {0};
        *result = functions->locate(host->user_data, &target, &error) ? dl_ok(target_value(&answer, &target))
                                                           : storage_error_value(&answer, &error, false);
        break;
    }
    case FIND: {
        bool found = false;
        dl_learning learning = {0};
        if (functions->find(host->user_data, &found, &learning, &error)) {
            value record_value = found ? dl_some(learning_value(&answer, &learning)) : dl_none();
            *result = dl_ok(DL_RECORD_OF(dl_field("learning", record_value)));
        } else {
            *result = storage_error_value(&answer, &error, false);
        }
        break;
    }
    default:
        *result = call_delete(host, function, argument, &answer, record);
    }
    if (message[0] == '\0')
        return true;
    dl_delete_value(result);
    return false;
}
