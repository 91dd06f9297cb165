/* A host with one record in memory, for tests. */
#ifndef DL_TEST_RECORD_H
#define DL_TEST_RECORD_H

#include "delete_learning.h"

#include <stdio.h>
#include <string.h>

struct record {
    bool exists;
    const char *owner; /* NULL for none */
    int64_t created_at;
};

/* Checks a condition, and prints the message if it does not hold. */
static int checks, failed_checks;
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (!(condition)) {                                                                                            \
            failed_checks++;                                                                                           \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                     \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
        }                                                                                                              \
    } while (0)

static inline bool record_current(void *user_data, dl_caller *caller, dl_identity_error *error)
{
    (void)user_data, (void)error;
    static const dl_string scopes[] = {{"learnings:delete", 16}, {"learnings:read", 14}};
    *caller = (dl_caller){
        .credential = DL_CREDENTIAL_JWT,
        .subject = dl_string_from("alice"),
        .scopes = scopes,
        .scope_count = 2,
        .admin_scope = dl_string_from("agent_os:admin"),
    };
    return true;
}

static inline bool record_locate(void *user_data, dl_target *target, dl_storage_error *error)
{
    (void)user_data, (void)error;
    *target = (dl_target){dl_string_from("main"), dl_string_from("learnings")};
    return true;
}

static inline bool record_find(void *user_data, bool *found, dl_learning *learning, dl_storage_error *error)
{
    (void)error;
    struct record *record = user_data;
    *found = record->exists;
    *learning = (dl_learning){
        .learning_type = dl_string_from("user_profile"),
        .user_id = dl_string_from(record->owner),
        .content = dl_string_from("{}"),
        .created_at = record->created_at,
        .revision = dl_string_from("1"),
    };
    return true;
}

static inline bool record_delete(struct record *record, dl_outcome refused, dl_outcome *outcome)
{
    *outcome = !record->exists ? DL_OUTCOME_ABSENT : refused != 0 ? refused : DL_OUTCOME_DELETED;
    if (*outcome == DL_OUTCOME_DELETED)
        record->exists = false;
    return true;
}

static inline bool record_delete_any(void *user_data, dl_outcome *outcome, dl_storage_error *error)
{
    (void)error;
    return record_delete(user_data, 0, outcome);
}

static inline bool equals(dl_string text, const char *other)
{
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static inline bool record_delete_if_owned_by(void *user_data, dl_string user_id, dl_outcome *outcome,
                                             dl_storage_error *error)
{
    (void)error;
    struct record *record = user_data;
    dl_outcome refused = record->owner == NULL           ? DL_OUTCOME_UNOWNED
                         : equals(user_id, record->owner) ? 0
                                                          : DL_OUTCOME_OWNED_BY_ANOTHER;
    return record_delete(record, refused, outcome);
}

static inline bool record_delete_if_unchanged(void *user_data, dl_string revision, dl_outcome *outcome,
                                              dl_storage_error *error)
{
    (void)error;
    return record_delete(user_data, equals(revision, "1") ? 0 : DL_OUTCOME_CHANGED, outcome);
}

static const dl_host record_host = {
    record_current,    record_locate,             record_find,
    record_delete_any, record_delete_if_owned_by, record_delete_if_unchanged,
};

/* Decides on the deletion of a record by alice. */
static inline dl_decision decide(const dl_policy *policy, const dl_host *host, void *user_data)
{
    dl_decision decision;
    dl_policy_decide(policy, &(dl_request){.learning_id = dl_string_from("record")}, host, user_data, &decision);
    return decision;
}

/* Prints the result of a test program, and returns its exit status. */
static inline int report(const char *name)
{
    printf("%s: %d checks, %d failed\n", name, checks, failed_checks);
    return failed_checks > 0 || checks == 0;
}

#endif
