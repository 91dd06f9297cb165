/* Decides on "permanently delete a learning" by running a policy, a WebAssembly component, through wasmtime's C API.
 *
 *     char error[256];
 *     dl_policy *policy = dl_policy_load_default(NULL, error, sizeof error);
 *     dl_decision decision;
 *     dl_policy_decide(policy, &request, &host, user_data, &decision);
 *     dl_policy_free(policy);
 *
 * You implement the six functions of `dl_host`: the caller, and the one record that the request names. The contract
 * specifies what they must guarantee (`wit/identity.wit`, `wit/storage.wit`, `wit/EMBEDDING.md` of this project). The
 * types below are those of the contract.
 *
 * Memory: the library aborts the process if it runs out of memory, as wasmtime does.
 */
#ifndef DELETE_LEARNING_H
#define DELETE_LEARNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DL_API __attribute__((visibility("default")))
#else
#define DL_API
#endif

/* ---- Text ---- */

/* UTF-8 text. It has a size because it can contain any character, including U+0000. `data` is NULL for none, and not
 * NULL for an empty text. */
typedef struct dl_string {
    const char *data;
    size_t size; /* bytes, without a terminating NUL */
} dl_string;

/* Returns the text up to the terminating NUL, or none if `text` is NULL. The result points to `text`; nothing is
 * copied. Thread-safe. */
DL_API dl_string dl_string_from(const char *text);

/* ---- The types of the contract. Zero is not a value of any enum, so one that you forget to set is an error. ---- */

/* The kind of credential that authenticated the caller. */
typedef enum dl_credential {
    DL_CREDENTIAL_JWT = 1,         /* a JSON Web Token that the host verified */
    DL_CREDENTIAL_SERVICE_ACCOUNT, /* the token of a service account */
    DL_CREDENTIAL_SECURITY_KEY,    /* the deployment's security key, the root credential */
    DL_CREDENTIAL_NONE,            /* the operator configured the deployment to run without authentication */
} dl_credential;

/* The reason why there is no caller. */
typedef enum dl_identity_error_kind {
    DL_IDENTITY_MISSING = 1,       /* the request has no credential */
    DL_IDENTITY_MALFORMED,         /* not in the form of HTTP Bearer, or more than one credential */
    DL_IDENTITY_INVALID,           /* it does not verify */
    DL_IDENTITY_EXPIRED,           /* it was valid */
    DL_IDENTITY_WRONG_AUDIENCE,    /* it verifies for another audience */
    DL_IDENTITY_RESERVED_SUBJECT,  /* its subject is reserved for the platform */
    DL_IDENTITY_NOT_ENABLED,       /* the deployment does not accept this kind */
    DL_IDENTITY_RATE_LIMITED,      /* this client sent too many that did not verify */
    DL_IDENTITY_UNAVAILABLE,       /* it cannot be verified at present */
    DL_IDENTITY_INTERNAL,          /* verification failed, and a retry will not succeed */
} dl_identity_error_kind;

/* The outcome of a delete. */
typedef enum dl_outcome {
    DL_OUTCOME_ABSENT = 1,       /* the record does not exist */
    DL_OUTCOME_UNOWNED,          /* the condition names an owner, and the record has none */
    DL_OUTCOME_OWNED_BY_ANOTHER, /* the condition names an owner, and the record has another */
    DL_OUTCOME_CHANGED,          /* the condition names a revision, and the record has another */
    DL_OUTCOME_DELETED,          /* this call deleted the record, durably */
} dl_outcome;

/* The reason why a function of storage returns no result. */
typedef enum dl_storage_error_kind {
    DL_STORAGE_INVALID_LEARNING_ID = 1, /* the id of the request cannot name a record */
    DL_STORAGE_REPEATED_PARAMETER,      /* more than one `db_id` or more than one `table` */
    DL_STORAGE_DATABASE_REQUIRED,       /* the request names no database, and there are several */
    DL_STORAGE_UNKNOWN_DATABASE,
    DL_STORAGE_UNKNOWN_TABLE,
    DL_STORAGE_UNSUPPORTED,     /* the database cannot store learnings */
    DL_STORAGE_DENIED,          /* a legal hold, for example; only deletes return this */
    DL_STORAGE_UNAVAILABLE,     /* nothing was deleted, and a retry can succeed */
    DL_STORAGE_OUTCOME_UNKNOWN, /* it is unknown whether the record was deleted; only deletes return this */
    DL_STORAGE_INTERNAL,        /* nothing was deleted, and a retry will not succeed */
} dl_storage_error_kind;

/* An authenticated caller. Its zero value has no permissions. */
typedef struct dl_caller {
    dl_credential credential;
    dl_string subject; /* optional: none if the credential identifies no user */
    const dl_string *scopes;
    size_t scope_count;
    bool scopes_optional;  /* whether the holder of a token needs no scope */
    bool all_owners;       /* whether the holder of a token can delete the records of all owners */
    dl_string admin_scope; /* the scope that makes a caller an administrator */
} dl_caller;

typedef struct dl_identity_error {
    dl_identity_error_kind kind;
    dl_credential credential; /* of the request, or the one that the deployment requires */
    dl_string message;        /* for the log; without a secret */
} dl_identity_error;

/* The location of the record, which does not have to exist. */
typedef struct dl_target {
    dl_string database;
    dl_string table;
} dl_target;

typedef struct dl_learning {
    dl_string learning_type;
    dl_string name_space; /* the contract's `namespace`; optional, like the next seven */
    dl_string user_id;    /* the owner */
    dl_string agent_id;
    dl_string team_id;
    dl_string workflow_id;
    dl_string session_id;
    dl_string entity_id;
    dl_string entity_type;
    dl_string content;  /* JSON */
    dl_string metadata; /* JSON; optional */
    int64_t created_at; /* seconds since 1970-01-01T00:00:00Z, like updated_at */
    bool has_updated_at;
    int64_t updated_at;
    dl_string revision; /* identifies this state of the record; at most 256 bytes */
} dl_learning;

typedef struct dl_storage_error {
    dl_storage_error_kind kind;
    dl_string message; /* for the log; without a secret. That of `denied` is for the caller. */
} dl_storage_error;

/* A request. The id is percent-decoded once, with U+FFFD in place of invalid UTF-8. */
typedef struct dl_request {
    dl_string learning_id;
    dl_string db_id; /* optional, like the next */
    dl_string table;
} dl_request;

/* ---- What you implement ---- */

/* The imports of a policy.
 *
 * Each function sets its result and returns true, or sets the error and returns false. Both are zeroed before the call.
 * `user_data` is the argument of dl_policy_decide; it identifies the caller and the record. The functions are called on
 * the thread that called dl_policy_decide, in any order and any number of times within the limits. They must return
 * (longjmp and C++ exceptions must not leave them), and must set timeouts on the database.
 *
 * Ownership: the texts and arrays that you return remain yours. They must be valid until the next call of a function of
 * this decision, or until dl_policy_decide returns. The arguments are valid until the function returns.
 *
 * An invalid result (an outcome that the function cannot return, a required text that is none, text that is not
 * UTF-8) makes the decision fail with DL_FAILURE_INVALID_ANSWER and a message that names function, value and what is
 * allowed. If a delete returned it, the record of the decision is DL_RECORD_UNKNOWN. */
typedef struct dl_host {
    /* identity.current: returns the caller, the same one in every call of one decision. */
    bool (*current)(void *user_data, dl_caller *caller, dl_identity_error *error);
    /* storage.locate: checks that database and table exist. Reads no record. */
    bool (*locate)(void *user_data, dl_target *target, dl_storage_error *error);
    /* storage.find: reads the record. Sets `*found` if it exists, and only then `*learning`. */
    bool (*find)(void *user_data, bool *found, dl_learning *learning, dl_storage_error *error);
    /* The deletes. Each must check its condition and delete in one atomic step, and must return DL_OUTCOME_DELETED only
     * after the deletion is durable. If it is unknown whether the record was deleted, return the error
     * DL_STORAGE_OUTCOME_UNKNOWN. */
    /* storage.delete: `deleted` or `absent`. */
    bool (*delete_any)(void *user_data, dl_outcome *outcome, dl_storage_error *error);
    /* storage.delete-if-owned-by, which compares owners byte by byte: `deleted`, `absent`, `unowned` or
     * `owned-by-another`. */
    bool (*delete_if_owned_by)(void *user_data, dl_string user_id, dl_outcome *outcome, dl_storage_error *error);
    /* storage.delete-if-unchanged: `deleted`, `absent` or `changed`. */
    bool (*delete_if_unchanged)(void *user_data, dl_string revision, dl_outcome *outcome, dl_storage_error *error);
} dl_host;

/* ---- Loading a policy ---- */

/* The limits of each instance: of the policy and of each guard. */
typedef struct dl_limits {
    size_t max_component_bytes;    /* of a component; a larger one is not loaded */
    size_t max_memory_bytes;       /* of each linear memory; growing beyond fails in the policy */
    uint32_t max_memories;         /* the maximum of all memories is this times `max_memory_bytes` */
    size_t max_table_elements;     /* of each table */
    uint32_t max_core_instances;   /* the number of core instances, and of tables */
    size_t max_stack_bytes;        /* on the stack of the calling thread, for the policy and for each guard */
    uint32_t max_host_calls;       /* calls to identity and storage */
    uint32_t max_wasi_calls;       /* calls for settings and the clock */
    size_t max_host_call_bytes;    /* of the texts that the component passes to the host, its rejection included */
    uint32_t cpu_time_limit_ms;    /* processor time, calls to the host excluded; checked every 10 ms */
    uint32_t execution_timeout_ms; /* of a decision, calls to the host included; checked every 10 ms while it runs */
    uint64_t max_fuel;             /* of an instance, in wasmtime's unit of about one instruction; 0 for no limit */
} dl_limits;

/* Returns the default limits: 16 MiB for each of 4 memories, 100 ms of processor time, a timeout of 10 s, 64 calls with
 * 64 KiB of text, 1000 calls to WASI, 256 KiB of stack, no limit on fuel. Thread-safe. */
DL_API dl_limits dl_limits_default(void);

/* A setting, which a component reads through `wasi:config/store`. */
typedef struct dl_setting {
    const char *key;
    const char *value; /* text; anything else as JSON */
} dl_setting;

/* What a component gets beyond the contract. Its zero value is nothing. */
typedef struct dl_access {
    const dl_setting *settings;
    size_t setting_count;
    bool wall_clock; /* whether it can import `wasi:clocks/wall-clock@0.2` */
} dl_access;

/* A guard: a component between the policy and the storage that can only retain records (`wit/world.wit`, world
 * `guard`). The library checks what a guard does; one that violates a rule of guards makes the decision fail. */
typedef struct dl_guard {
    const char *name; /* for messages and `denied_by` */
    const void *component;
    size_t component_size; /* bytes */
    dl_access access;
} dl_guard;

typedef struct dl_options {
    const dl_limits *limits; /* NULL for the default */
    dl_access access;        /* of the policy */
    const dl_guard *guards;  /* outermost first */
    size_t guard_count;
    /* Passes on outcomes and error kinds that the contract has and the function cannot return, for example `changed`
     * from delete_any, instead of failing with DL_FAILURE_INVALID_ANSWER. For the conformance cases, which test what
     * a policy does with them. */
    bool allow_any_outcome;
} dl_options;

/* A policy with its guards, compiled and ready to run. */
typedef struct dl_policy dl_policy;

/* Compile and check a policy: from memory, from a file, or the default policy, which is part of this library.
 *
 * `options` can be NULL. Everything that the arguments point to is copied. Returns a policy to free with
 * dl_policy_free, or NULL after writing the reason to `error` (at most `error_size` bytes with the terminating NUL;
 * `error` can be NULL). Takes tens of milliseconds per component, and starts a thread that lives as long as the
 * policy: load policies once, and after fork(). Wasmtime installs handlers of SIGSEGV, SIGBUS, SIGILL and SIGFPE,
 * and passes on the signals that are not its own. Thread-safe. */
DL_API dl_policy *dl_policy_load(const void *component, size_t component_size, const dl_options *options, char *error,
                                 size_t error_size);
DL_API dl_policy *dl_policy_load_file(const char *path, const dl_options *options, char *error, size_t error_size);
DL_API dl_policy *dl_policy_load_default(const dl_options *options, char *error, size_t error_size);

/* Frees a policy. No decision can be in progress. Does nothing if `policy` is NULL. */
DL_API void dl_policy_free(dl_policy *policy);

/* ---- Deciding ---- */

typedef enum dl_answer {
    DL_ANSWER_DELETED = 1, /* the policy deleted the record */
    DL_ANSWER_REJECTED,    /* the policy rejected the request */
    DL_ANSWER_FAILED,      /* there is no valid decision; `failure` and `message` have the cause */
} dl_answer;

/* What became of the record, for the audit event. It is true whatever the answer is. */
typedef enum dl_record {
    DL_RECORD_NOT_DELETED = 1,
    DL_RECORD_DELETED,
    DL_RECORD_UNKNOWN, /* a delete was attempted, and its outcome is unknown */
} dl_record;

/* Why there is no valid decision. */
typedef enum dl_failure {
    DL_FAILURE_TRAP = 1,                /* wasmtime stopped it: a trap, or an invalid value or pointer */
    DL_FAILURE_CPU_TIME_LIMIT,          /* exceeded `cpu_time_limit_ms` */
    DL_FAILURE_EXECUTION_TIMEOUT,       /* exceeded `execution_timeout_ms` */
    DL_FAILURE_FUEL,                    /* exceeded `max_fuel` */
    DL_FAILURE_HOST_CALLS,              /* exceeded `max_host_calls` or `max_wasi_calls` */
    DL_FAILURE_HOST_CALL_BYTES,         /* exceeded `max_host_call_bytes` */
    DL_FAILURE_FALSE_SUCCESS,           /* reported a deletion that did not happen */
    DL_FAILURE_REJECTED_AFTER_DELETION, /* rejected the request after deleting the record */
    DL_FAILURE_INVALID_REJECTION,       /* returned a rejection that violates the contract */
    DL_FAILURE_GUARD_VIOLATION,         /* a guard violated a rule of guards */
    DL_FAILURE_INVALID_ANSWER,          /* a function of `dl_host` returned an invalid result */
    DL_FAILURE_INVALID_ARGUMENT,        /* an argument of dl_policy_decide is invalid; the policy did not run */
} dl_failure;

#define DL_DETAIL_BYTES 1024
#define DL_RULE_BYTES 64
#define DL_MESSAGE_BYTES 1024

/* A decision. Answer the caller with `status`, and if it is not 204, with `error_code` and `detail`. Everything else is
 * only for log and audit. It owns no memory; its texts end in NUL. */
typedef struct dl_decision {
    dl_answer answer;
    unsigned status;                    /* HTTP: 204 if deleted, that of the rejection, or 500 if the policy failed */
    const char *error_code;             /* static: `NOT_FOUND`, as the API has it; NULL if deleted */
    const char *code;                   /* static: `not-found`, as the contract has it; NULL if deleted */
    char detail[DL_DETAIL_BYTES + 1];   /* a sentence for the caller; empty if deleted */
    char rule[DL_RULE_BYTES + 1];       /* the rule that decided */
    dl_record record;
    const char *denied_by;              /* the guard that denied the deletion, or NULL; valid as long as the policy */
    dl_failure failure;                 /* 0 if the answer is not DL_ANSWER_FAILED, like the next two */
    const char *failed_guard;           /* the guard that failed, or NULL; valid as long as the policy */
    char message[DL_MESSAGE_BYTES + 1]; /* the cause, which must not be sent to the caller */
} dl_decision;

/* Decides on one request in fresh instances of the policy and of its guards, and overwrites `*decision`.
 *
 * Always sets a decision that can be answered; in doubt it fails. Several threads can call this with one policy at the
 * same time. The stack of the thread needs `max_stack_bytes` for the policy and for each guard, and 256 KiB more. */
DL_API void dl_policy_decide(const dl_policy *policy, const dl_request *request, const dl_host *host, void *user_data,
                             dl_decision *decision);

/* ---- Names, for logs and audit events. Static text, or NULL if there is no such value. Thread-safe. ---- */

DL_API const char *dl_credential_name(dl_credential value);                   /* `service-account` */
DL_API const char *dl_identity_error_kind_name(dl_identity_error_kind value); /* `wrong-audience` */
DL_API const char *dl_outcome_name(dl_outcome value);                         /* `owned-by-another` */
DL_API const char *dl_storage_error_kind_name(dl_storage_error_kind value);   /* `unknown-table` */
DL_API const char *dl_record_name(dl_record value);                           /* `not-deleted` */
DL_API const char *dl_failure_name(dl_failure value);                         /* `cpu-time-limit` */

#ifdef __cplusplus
}
#endif

#endif
