/* A host for `learnings:plugin` policies, on wasmtime's C API.
 *
 *     char why[WHY_BYTES];
 *     struct policy *policy = policy_open("delete-learning.wasm", &platform, &default_limits, why);
 *     struct decision decision;
 *     policy_decide(policy, &request, context, &decision);
 *
 * Yours are the six functions of `struct platform`: who is calling, and the one record that the request names. What
 * their answers promise is written in the contract, `wit/identity.wit` and `wit/storage.wit`; the types here are the
 * contract's, with its names and in its order.
 */
#ifndef DELETE_LEARNING_HOST_H
#define DELETE_LEARNING_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text in UTF-8. It has a length because any character may occur in it, U+0000 too. */
struct text {
    const char *data; /* NULL is the contract's none; an empty text has data and no size */
    size_t size;
};
#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

/* No enum has a value for zero: what you forget to fill in is no answer, and the request fails. */

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
    STORAGE_UNAVAILABLE,
    STORAGE_OUTCOME_UNKNOWN,
    STORAGE_INTERNAL,
};

/* What the contract calls the values of each enum: [0] is empty, and NULL is at the end. */
extern const char *const credential_names[];
extern const char *const identity_error_kind_names[];
extern const char *const outcome_names[];
extern const char *const storage_error_kind_names[];

struct caller {
    enum credential credential;
    struct text subject; /* optional */
    const struct text *scopes;
    size_t scope_count;
    bool enforce_scopes;
    bool user_isolation;
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
    struct text name_space; /* the contract's `namespace`; this and the next eight are optional */
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

/* What a policy imports, to be implemented by you.
 *
 * Each function fills its answer and returns true, or fills the error and returns false. Both come zeroed, so a text
 * that you leave out is none, or empty. `context` is what policy_decide was given: put there who is calling and which
 * record is asked for. Texts that you answer are yours; they are copied when the function returns. One that is not
 * UTF-8 costs the request a 500.
 *
 * Nothing here limits how long your functions take: give what they wait for a timeout of its own. */
struct platform {
    bool (*current)(void *context, struct caller *caller, struct identity_error *error);
    bool (*locate)(void *context, struct target *target, struct storage_error *error);
    /* A record is found where `found` is set. */
    bool (*find)(void *context, bool *found, struct learning *learning, struct storage_error *error);
    /* The three deletes: each tests its condition and acts on it in one atomic step. */
    bool (*delete_any)(void *context, enum outcome *outcome, struct storage_error *error);
    bool (*delete_if_owned_by)(void *context, struct text user_id, enum outcome *outcome, struct storage_error *error);
    bool (*delete_if_unchanged)(void *context, struct text revision, enum outcome *outcome,
                                struct storage_error *error);
};

/* What one decision may cost. */
struct limits {
    size_t memory_bytes; /* of each memory; `memories` times this is the most */
    unsigned memories;   /* core memories, tables and instances that a policy is made of */
    unsigned tables;
    unsigned instances;
    size_t table_elements; /* of each table */
    size_t stack_bytes;    /* of the calling thread's stack */
    unsigned cpu_ms;       /* without the time that your functions take; in ticks of 10 ms, and up to one more */
    unsigned calls;        /* to the functions of `struct platform` */
};
extern const struct limits default_limits;

/* A request, as the caller sent it: the id percent-decoded once, with U+FFFD for what is not UTF-8. */
struct request {
    struct text learning_id;
    struct text db_id; /* this and the next are optional */
    struct text table;
};

/* What became of the record, whatever the caller is told: for the audit record. */
enum fate { FATE_KEPT, FATE_DELETED, FATE_UNKNOWN };

#define DETAIL_BYTES 1024
#define RULE_BYTES 64
#define WHY_BYTES 1024

/* What the caller is told: nothing but success where `deleted`, and else `status`, `code` and `detail`.
 * The rest is for log and audit alone. Texts end in NUL. */
struct decision {
    bool deleted;
    unsigned status;  /* where not deleted, as the next three; 500 where the policy failed */
    const char *code; /* the contract's name, such as `not-found` */
    char detail[DETAIL_BYTES + 1];
    char rule[RULE_BYTES + 1];
    enum fate fate;
    bool failed; /* the policy trapped, exceeded a limit or broke the contract */
    char why[WHY_BYTES]; /* how, where it failed */
};

/* Compiles the policy in `file` and links it. Whatever imports more than the contract is refused.
 * Returns NULL where it cannot be used, and says why in `why`. `platform` and `limits` are copied. */
struct policy *policy_open(const char *file, const struct platform *platform, const struct limits *limits,
                           char why[WHY_BYTES]);

/* Decides on one request and carries the decision out, in an instance that is gone afterwards.
 * May be called from several threads at once; your functions are called on the thread that calls this one. */
void policy_decide(struct policy *policy, const struct request *request, void *context, struct decision *decision);

/* Only once no decision is under way. NULL is fine. */
void policy_close(struct policy *policy);

#endif
