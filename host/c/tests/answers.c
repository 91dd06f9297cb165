/* The invalid results that a function of `dl_host` can return, and the message for each. */
#include "record.h"

#include <stdlib.h>

/* One mistake: it changes what a function returned. */
struct mistake {
    const char *function;
    const char *message; /* after `identity.current returned ` */
    dl_record record;
    void (*make)(void);
};

/* What the host below returns, valid until a mistake changes it. */
static struct {
    bool current_fails, locate_fails, find_fails, delete_fails, finds_nothing;
    dl_caller caller;
    dl_identity_error identity_error;
    dl_target target;
    dl_learning learning;
    dl_outcome outcome;
    dl_storage_error error;
} answer;

static dl_string text(const char *text)
{
    return dl_string_from(text);
}

static char long_revision[257];
static dl_string scopes[2];

static void set_valid_answer(void)
{
    memset(&answer, 0, sizeof answer);
    struct record record = {.exists = true, .owner = "alice"};
    dl_storage_error none;
    bool found;
    record_current(&record, &answer.caller, &answer.identity_error);
    memcpy(scopes, answer.caller.scopes, sizeof scopes);
    answer.caller.scopes = scopes;
    record_locate(&record, &answer.target, &none);
    record_find(&record, &found, &answer.learning, &none);
    answer.outcome = DL_OUTCOME_DELETED;
    answer.identity_error = (dl_identity_error){DL_IDENTITY_EXPIRED, DL_CREDENTIAL_JWT, text("expired")};
    answer.error = (dl_storage_error){DL_STORAGE_UNAVAILABLE, text("busy")};
}

static bool current(void *user_data, dl_caller *caller, dl_identity_error *error)
{
    (void)user_data;
    *caller = answer.caller;
    *error = answer.identity_error;
    return !answer.current_fails;
}

static bool locate(void *user_data, dl_target *target, dl_storage_error *error)
{
    (void)user_data;
    *target = answer.target;
    *error = answer.error;
    return !answer.locate_fails;
}

static bool find(void *user_data, bool *found, dl_learning *learning, dl_storage_error *error)
{
    (void)user_data;
    *found = !answer.finds_nothing;
    *learning = answer.learning;
    *error = answer.error;
    return !answer.find_fails;
}

static bool delete_any(void *user_data, dl_outcome *outcome, dl_storage_error *error)
{
    (void)user_data;
    *outcome = answer.outcome;
    *error = answer.error;
    return !answer.delete_fails;
}

static bool delete_if(void *user_data, dl_string argument, dl_outcome *outcome, dl_storage_error *error)
{
    (void)argument;
    return delete_any(user_data, outcome, error);
}

static const dl_host host = {current, locate, find, delete_any, delete_if, delete_if};

/* Defines a mistake as a function without a name of its own. */
#define MISTAKE(name, statements)                                                                                      \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        statements;                                                                                                    \
    }

#define NOT_UTF8 "a\xff"
#define NO_TEXT ((dl_string){NULL, 0})
#define LONG_TEXT ((dl_string){long_revision, sizeof long_revision})
#define NO_TEXT_WITH_SIZE ((dl_string){NULL, 3})

MISTAKE(credential_unset, answer.caller.credential = 0)
MISTAKE(credential_unknown, answer.caller.credential = 17)
MISTAKE(subject_not_utf8, answer.caller.subject = text(NOT_UTF8))
MISTAKE(subject_surrogate, answer.caller.subject = text("\xed\xa0\x80"))
MISTAKE(subject_overlong, answer.caller.subject = text("\xc0\xaf"))
MISTAKE(subject_truncated, answer.caller.subject = text("caf\xc3"))
MISTAKE(subject_null, answer.caller.subject = NO_TEXT_WITH_SIZE)
MISTAKE(scopes_null, answer.caller.scopes = NULL)
MISTAKE(scope_null, scopes[1] = NO_TEXT)
MISTAKE(scope_not_utf8, scopes[0] = text(NOT_UTF8))
MISTAKE(admin_scope_null, answer.caller.admin_scope = NO_TEXT)
MISTAKE(admin_scope_not_utf8, answer.caller.admin_scope = text(NOT_UTF8))
MISTAKE(identity_kind_unset, answer.current_fails = true; answer.identity_error.kind = 0)
MISTAKE(identity_kind_unknown, answer.current_fails = true; answer.identity_error.kind = 11)
MISTAKE(identity_credential_unset, answer.current_fails = true; answer.identity_error.credential = 0)
MISTAKE(identity_message_null, answer.current_fails = true; answer.identity_error.message = NO_TEXT)
MISTAKE(identity_message_not_utf8, answer.current_fails = true; answer.identity_error.message = text(NOT_UTF8))
MISTAKE(database_null, answer.target.database = NO_TEXT)
MISTAKE(table_not_utf8, answer.target.table = text(NOT_UTF8))
MISTAKE(locate_kind_unset, answer.locate_fails = true; answer.error.kind = 0)
MISTAKE(locate_denied, answer.locate_fails = true; answer.error.kind = DL_STORAGE_DENIED)
MISTAKE(locate_message_null, answer.locate_fails = true; answer.error.message = NO_TEXT)
MISTAKE(type_null, answer.learning.learning_type = NO_TEXT)
MISTAKE(content_null, answer.learning.content = NO_TEXT)
MISTAKE(content_not_utf8, answer.learning.content = text(NOT_UTF8))
MISTAKE(metadata_not_utf8, answer.learning.metadata = text(NOT_UTF8))
MISTAKE(namespace_null, answer.learning.name_space = NO_TEXT_WITH_SIZE)
MISTAKE(owner_not_utf8, answer.learning.user_id = text(NOT_UTF8))
MISTAKE(revision_null, answer.learning.revision = NO_TEXT)
MISTAKE(revision_long, answer.learning.revision = LONG_TEXT)
MISTAKE(find_kind_unknown, answer.find_fails = true; answer.error.kind = 99)
MISTAKE(find_unknown_outcome, answer.find_fails = true; answer.error.kind = DL_STORAGE_OUTCOME_UNKNOWN)
MISTAKE(find_message_not_utf8, answer.find_fails = true; answer.error.message = text(NOT_UTF8))
MISTAKE(outcome_unset, answer.outcome = 0)
MISTAKE(outcome_unknown, answer.outcome = 17)
MISTAKE(outcome_changed, answer.outcome = DL_OUTCOME_CHANGED)
MISTAKE(outcome_unowned, answer.outcome = DL_OUTCOME_UNOWNED)
MISTAKE(delete_kind_unset, answer.delete_fails = true; answer.error.kind = 0)
MISTAKE(delete_kind_unknown, answer.delete_fails = true; answer.error.kind = 11)
MISTAKE(delete_message_null, answer.delete_fails = true; answer.error.message = NO_TEXT)
MISTAKE(delete_message_not_utf8, answer.delete_fails = true; answer.error.message = text(NOT_UTF8))

#define CREDENTIALS "expected one of jwt, service-account, security-key, none"
#define IDENTITY_KINDS                                                                                                 \
    "expected one of missing, malformed, invalid, expired, wrong-audience, reserved-subject, not-enabled, "           \
    "rate-limited, unavailable, internal"
#define READ_KINDS                                                                                                     \
    "expected one of invalid-learning-id, repeated-parameter, database-required, unknown-database, unknown-table, "    \
    "unsupported, unavailable, internal"
#define DELETE_KINDS                                                                                                   \
    "expected one of invalid-learning-id, repeated-parameter, database-required, unknown-database, unknown-table, "    \
    "unsupported, denied, unavailable, outcome-unknown, internal"
#define KEPT DL_RECORD_NOT_DELETED
#define UNKNOWN DL_RECORD_UNKNOWN

static const struct mistake mistakes[] = {
    {"identity.current", "a caller whose credential is 0; " CREDENTIALS, KEPT, credential_unset},
    {"identity.current", "a caller whose credential is 17; " CREDENTIALS, KEPT, credential_unknown},
    {"identity.current", "a caller whose subject has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     subject_not_utf8},
    {"identity.current", "a caller whose subject has a byte that is not UTF-8 at offset 0; expected UTF-8", KEPT,
     subject_surrogate},
    {"identity.current", "a caller whose subject has a byte that is not UTF-8 at offset 0; expected UTF-8", KEPT,
     subject_overlong},
    {"identity.current", "a caller whose subject has a byte that is not UTF-8 at offset 3; expected UTF-8", KEPT,
     subject_truncated},
    {"identity.current",
     "a caller whose subject is NULL with the size 3; expected a string, or NULL with the size 0", KEPT, subject_null},
    {"identity.current", "a caller whose scopes is NULL with the scope_count 2; expected an array of that size", KEPT,
     scopes_null},
    {"identity.current", "a caller whose scopes[1] is NULL; expected a string", KEPT, scope_null},
    {"identity.current", "a caller whose scopes[0] has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     scope_not_utf8},
    {"identity.current", "a caller whose admin_scope is NULL; expected a string", KEPT, admin_scope_null},
    {"identity.current", "a caller whose admin_scope has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     admin_scope_not_utf8},
    {"identity.current", "an error whose kind is 0; " IDENTITY_KINDS, KEPT, identity_kind_unset},
    {"identity.current", "an error whose kind is 11; " IDENTITY_KINDS, KEPT, identity_kind_unknown},
    {"identity.current", "an error whose credential is 0; " CREDENTIALS, KEPT, identity_credential_unset},
    {"identity.current", "an error whose message is NULL; expected a string", KEPT, identity_message_null},
    {"identity.current", "an error whose message has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     identity_message_not_utf8},
    {"storage.locate", "a target whose database is NULL; expected a string", KEPT, database_null},
    {"storage.locate", "a target whose table has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     table_not_utf8},
    {"storage.locate", "an error whose kind is 0; " READ_KINDS, KEPT, locate_kind_unset},
    {"storage.locate", "an error whose kind is denied; " READ_KINDS, KEPT, locate_denied},
    {"storage.locate", "an error whose message is NULL; expected a string", KEPT, locate_message_null},
    {"storage.find", "a learning whose learning_type is NULL; expected a string", KEPT, type_null},
    {"storage.find", "a learning whose content is NULL; expected a string", KEPT, content_null},
    {"storage.find", "a learning whose content has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     content_not_utf8},
    {"storage.find", "a learning whose metadata has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     metadata_not_utf8},
    {"storage.find",
     "a learning whose name_space is NULL with the size 3; expected a string, or NULL with the size 0", KEPT,
     namespace_null},
    {"storage.find", "a learning whose user_id has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     owner_not_utf8},
    {"storage.find", "a learning whose revision is NULL; expected a string", KEPT, revision_null},
    {"storage.find", "a learning whose revision has 257 bytes; expected at most 256", KEPT, revision_long},
    {"storage.find", "an error whose kind is 99; " READ_KINDS, KEPT, find_kind_unknown},
    {"storage.find", "an error whose kind is outcome-unknown; " READ_KINDS, KEPT, find_unknown_outcome},
    {"storage.find", "an error whose message has a byte that is not UTF-8 at offset 1; expected UTF-8", KEPT,
     find_message_not_utf8},
    {"storage.delete_any", "0; expected one of absent, deleted", UNKNOWN, outcome_unset},
    {"storage.delete_any", "17; expected one of absent, deleted", UNKNOWN, outcome_unknown},
    {"storage.delete_any", "unowned; expected one of absent, deleted", UNKNOWN, outcome_unowned},
    {"storage.delete_any", "an error whose kind is 0; " DELETE_KINDS, UNKNOWN, delete_kind_unset},
    {"storage.delete_if_owned_by", "17; expected one of absent, unowned, owned-by-another, deleted", UNKNOWN,
     outcome_unknown},
    {"storage.delete_if_owned_by", "changed; expected one of absent, unowned, owned-by-another, deleted", UNKNOWN,
     outcome_changed},
    {"storage.delete_if_owned_by", "an error whose kind is 11; " DELETE_KINDS, UNKNOWN, delete_kind_unknown},
    {"storage.delete_if_owned_by", "an error whose message is NULL; expected a string", UNKNOWN, delete_message_null},
    {"storage.delete_if_unchanged", "17; expected one of absent, changed, deleted", UNKNOWN, outcome_unknown},
    {"storage.delete_if_unchanged", "unowned; expected one of absent, changed, deleted", UNKNOWN, outcome_unowned},
    {"storage.delete_if_unchanged", "an error whose message has a byte that is not UTF-8 at offset 1; expected UTF-8",
     UNKNOWN, delete_message_not_utf8},
};

static dl_policy *load(const char *path)
{
    char error[512];
    dl_limits limits = dl_limits_default();
    limits.cpu_time_limit_ms = 10000; /* This test also runs under valgrind. */
    dl_options options = {.limits = &limits};
    dl_policy *policy = path == NULL ? dl_policy_load_default(&options, error, sizeof error)
                                     : dl_policy_load_file(path, &options, error, sizeof error);
    if (policy == NULL) {
        printf("%s\n", error);
        exit(2);
    }
    return policy;
}

/* Arguments: the component of tests/malicious_policies/probes/finds.wat, which calls locate, find, and
 * delete-if-unchanged. */
int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: answers FINDS-COMPONENT\n");
        return 2;
    }
    memset(long_revision, 'r', sizeof long_revision);
    dl_policy *default_policy = load(NULL), *finds = load(argv[1]);
    int count = sizeof mistakes / sizeof *mistakes;
    for (int i = 0; i < count; i++) {
        const struct mistake *mistake = &mistakes[i];
        const dl_policy *policy = strncmp(mistake->function, "identity.", 9) == 0 ? default_policy : finds;
        set_valid_answer();
        if (strcmp(mistake->function, "storage.delete_any") == 0) {
            policy = default_policy; /* deletes unconditionally for callers that can delete all records */
            answer.caller.all_owners = true;
        } else if (strcmp(mistake->function, "storage.delete_if_owned_by") == 0) {
            policy = default_policy;
        }
        dl_decision decision = decide(policy, &host, NULL);
        CHECK(decision.answer == DL_ANSWER_DELETED, "without the mistake: %s", decision.message);

        mistake->make();
        decision = decide(policy, &host, NULL);
        char expected[DL_MESSAGE_BYTES];
        snprintf(expected, sizeof expected, "%s returned %s", mistake->function, mistake->message);
        CHECK(strcmp(decision.message, expected) == 0, "\n  %s\n  %s", decision.message, expected);
        CHECK(decision.answer == DL_ANSWER_FAILED && decision.failure == DL_FAILURE_INVALID_ANSWER, "%s", expected);
        CHECK(decision.status == 500 && strcmp(decision.detail, "Internal server error") == 0, "%s", expected);
        CHECK(decision.record == mistake->record, "%s: %s", expected, dl_record_name(decision.record));
    }

    /* Arguments of dl_policy_decide. */
    dl_decision decision;
    dl_host partial = host;
    partial.find = NULL;
    set_valid_answer();
    dl_policy_decide(default_policy, &(dl_request){.learning_id = text("a")}, &partial, NULL, &decision);
    CHECK(strcmp(decision.message, "the function \"find\" of the host is NULL") == 0, "%s", decision.message);
    dl_policy_decide(default_policy, &(dl_request){.learning_id = NO_TEXT}, &host, NULL, &decision);
    CHECK(strcmp(decision.message, "learning_id of the request is NULL; expected a string") == 0, "%s",
          decision.message);
    dl_policy_decide(default_policy, &(dl_request){text("a"), text(NOT_UTF8), NO_TEXT}, &host, NULL, &decision);
    CHECK(strcmp(decision.message, "db_id of the request is not UTF-8") == 0, "%s", decision.message);
    CHECK(decision.failure == DL_FAILURE_INVALID_ARGUMENT && decision.record == DL_RECORD_NOT_DELETED, "%s",
          decision.message);

    dl_policy_free(finds);
    dl_policy_free(default_policy);
    return report("invalid answers and arguments");
}
