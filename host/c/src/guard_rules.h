/* The rules of a guard (`wit/world.wit`): a guard can only retain records.
 *
 * Records what the storage behind a guard returned in one request. From that, decides whether the guard can perform
 * a delete, before the delete is performed, and whether what the guard returns is true. The checks return the
 * violation, or NULL. */
#ifndef DL_GUARD_RULES_H
#define DL_GUARD_RULES_H

#include "contract.h"

struct guard_rules {
    /* The function that the guard serves, or NULL, and its argument. */
    const struct function *serving;
    dl_string argument;
    /* The result of the last successful `find` of this request: a `lookup`. */
    bool has_found;
    value found;
    bool has_denied; /* the guard itself denied a delete in this request */
    /* The rest is about the call that is being served. */
    bool found_in_call;
    bool has_located;
    value located;
    unsigned outcomes;         /* bits of dl_outcome: of all deletes that the guard performed */
    unsigned same_outcomes;    /* of the deletes with the condition of the call */
    unsigned errors;           /* bits of dl_storage_error_kind */
};

/* Begins a call to the guard. The argument must be valid until the call ends. */
void dl_rules_begin(struct guard_rules *rules, const struct function *function, dl_string argument);
void dl_rules_delete(struct guard_rules *rules);

/* Checks a call of the guard to the storage before it is performed. */
const char *dl_rules_check_call(const struct guard_rules *rules, const struct function *function, dl_string argument);
/* Records what the storage returned: a value of the type `result`. */
void dl_rules_record(struct guard_rules *rules, const struct function *function, dl_string argument,
                     const value *result);
/* Checks what the guard returned, and records whether the guard denied a delete. */
const char *dl_rules_check_answer(struct guard_rules *rules, const value *answer);

#endif
