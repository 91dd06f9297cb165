/* Calls the functions of `dl_host`, checks what they return, and converts it to values of the component model. */
#ifndef DL_ANSWERS_H
#define DL_ANSWERS_H

#include "contract.h"

/* The host of one decision. */
struct host_binding {
    const dl_host *functions; /* NULL to try a component without a host */
    void *user_data;
    bool allow_any_outcome;
};

/* Calls the function of the host. Returns true and sets `*result`, a value of the type `result`, or returns false and
 * sets `message` if the function returned something invalid.
 *
 * Updates `*record` if the function is a delete. */
bool dl_call_host(const struct host_binding *host, const struct function *function, dl_string argument, value *result,
                  dl_record *record, char message[DL_MESSAGE_BYTES + 1]);

#endif
