/* A host for `learnings:plugin` policies, on wasmtime's C API.
 *
 *     char error[ERROR_BYTES];
 *     struct policy *policy = policy_open("delete-learning.wasm", &platform, &default_limits, error);
 *     struct decision decision;
 *     policy_decide(policy, &request, context, &decision);
 *
 * You implement the six functions of `struct platform`: the caller, and the one record that the request names. The
 * contract specifies what they must guarantee (`wit/identity.wit`, `wit/storage.wit`). The types here are those of the
 * contract, with its names and in its order.
 */
#ifndef DELETE_LEARNING_HOST_H
#define DELETE_LEARNING_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 text. It has a size because it can contain any character, including U+0000. */
struct text {
    const char *data; /* NULL for none; not NULL for an empty text */
    size_t size;
};
#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

/* Zero is not a valid value of any enum, so a value that you forget to set makes the request fail. */

enum credential { CREDENTIAL_NONE = 1, CREDENTIAL_SECURITY_KEY, CREDENTIAL_JWT, CREDENTIAL_SERVICE_ACCOUNT };

enum identity_error_kind {
    IDENTITY_MISSING = 1,
    IDENTITY_MALFORMED,
    IDENTITY_INVALID,
    IDENTITY_EXPIRED,
    IDENTITY_WRONG_AUDIENCE,
    IDENTITY_RESERVED_SUBJECT,
    IDENTITY_NOT_ENABLED,
    IDENTITY_RATE_LIMITED,
    IDENTITY_UNAVAILABLE,
    IDENTITY_INTERNAL,
};

enum outcome { OUTCOME_DELETED = 1, OUTCOME_ABSENT, OUTCOME_UNOWNED, OUTCOME_OWNED_BY_ANOTHER, OUTCOME_CHANGED };

enum storage_error_kind {
    STORAGE_INVALID_LEARNING_ID = 1,
    STORAGE_REPEATED_PARAMETER,
    STORAGE_DATABASE_REQUIRED,
    STORAGE_UNKNOWN_DATABASE,
    STORAGE_UNKNOWN_TABLE,
    STORAGE_UNSUPPORTED,
    STORAGE_DENIED,
    STORAGE_UNAVAILABLE,
    STORAGE_OUTCOME_UNKNOWN,
    STORAGE_INTERNAL,
};

/* The contract's names of the values of each enum. [0] is empty, and the last element is NULL. */
extern const char *const credential_names[];
extern const char *const identity_error_kind_names[];
extern const char *const outcome_names[];
extern const char *const storage_error_kind_names[];

struct caller {
    enum credential credential;
    struct text subject; /* optional */
    const struct text *scopes;
    size_t scope_count;
    bool scopes_optional;
    bool all_owners;
    struct text admin_scope;
};

struct identity_error {
    enum identity_error_kind kind;
    enum credential credential;
    struct text message;
};

struct target {
    struct text database;
    struct text table;
};

struct learning {
    struct text learning_type;
    struct text name_space; /* the contract's `namespace`; optional, like the next eight */
    struct text user_id;
    struct text agent_id;
    struct text team_id;
    struct text workflow_id;
    struct text session_id;
    struct text entity_id;
    struct text entity_type;
    struct text content;
    struct text metadata; /* optional */
    int64_t created_at;
    bool has_updated_at;
    int64_t updated_at;
    struct text revision;
};

struct storage_error {
    enum storage_error_kind kind;
    struct text message;
};

/* The imports of a policy, which you implement.
 *
 * Each function fills its result and returns true, or fills the error and returns false. Both are zeroed before the
 * call, so a text that you do not set is none or empty. `context` is the argument of policy_decide; it identifies the
 * caller and the record. You own the texts that you return; they are copied when the function returns. A text that is
 * not UTF-8 makes the request fail with 500.
 *
 * The time of a function is not limited, so set timeouts on your database. */
struct platform {
    bool (*current)(void *context, struct caller *caller, struct identity_error *error);
    bool (*locate)(void *context, struct target *target, struct storage_error *error);
    /* Sets `found` if the record exists. */
    bool (*find)(void *context, bool *found, struct learning *learning, struct storage_error *error);
    /* Each delete must check its condition and delete in one atomic step. */
    bool (*delete_any)(void *context, enum outcome *outcome, struct storage_error *error);
    bool (*delete_if_owned_by)(void *context, struct text user_id, enum outcome *outcome, struct storage_error *error);
    bool (*delete_if_unchanged)(void *context, struct text revision, enum outcome *outcome,
                                struct storage_error *error);
};

/* The limits of one decision. */
struct limits {
    size_t memory_bytes; /* of each memory; the maximum of all memories is `memories` times this */
    unsigned memories;   /* the number of core memories, tables and instances */
    unsigned tables;
    unsigned instances;
    size_t table_elements; /* of each table */
    size_t stack_bytes;    /* on the stack of the calling thread */
    unsigned cpu_ms;       /* rounded up to ticks of 10 ms, plus up to one tick; excludes the time of host functions */
    unsigned host_calls;   /* calls to the functions of `struct platform` */
};
extern const struct limits default_limits;

/* A request. The id is percent-decoded once, with U+FFFD in place of invalid UTF-8. */
struct request {
    struct text learning_id;
    struct text db_id; /* optional, like the next */
    struct text table;
};

/* Whether the record was deleted, for the audit event. It is independent of the answer. */
enum record_outcome { RECORD_NOT_DELETED, RECORD_DELETED, RECORD_UNKNOWN };

#define DETAIL_BYTES 1024
#define RULE_BYTES 64
#define ERROR_BYTES 1024

/* The answer for the caller is success if `deleted` is set, and `status`, `code` and `detail` otherwise. The other
 * fields are only for log and audit. Texts end in NUL. */
struct decision {
    bool deleted;
    unsigned status;  /* set if not deleted, like the next three; 500 if the policy failed */
    const char *code; /* the contract's name, for example `not-found` */
    char detail[DETAIL_BYTES + 1];
    char rule[RULE_BYTES + 1];
    enum record_outcome record;
    bool failed; /* the policy trapped, exceeded a limit or violated the contract */
    char error[ERROR_BYTES]; /* the reason, if it failed */
};

/* Compiles and links the policy in `file`. Returns NULL and sets `error` if that fails, also if the policy imports
 * anything other than the contract. Copies `platform` and `limits`. */
struct policy *policy_open(const char *file, const struct platform *platform, const struct limits *limits,
                           char error[ERROR_BYTES]);

/* Decides on one request in a fresh instance. Several threads can call this at the same time. Your functions are called
 * on the thread that calls this. */
void policy_decide(struct policy *policy, const struct request *request, void *context, struct decision *decision);

/* Frees a policy. No decision can be in progress. Does nothing if `policy` is NULL. */
void policy_close(struct policy *policy);

#endif
