/* Runs a policy and its guards in fresh instances. */
#ifndef DL_RUN_H
#define DL_RUN_H

#include "policy.h"

/* Adds the functions of the contract to a linker. */
wasmtime_error_t *dl_link_functions(wasmtime_component_linker_t *linker);

/* Instantiates a component once without a host, to find out whether it fits the limits. Returns true, or false and sets
 * the message. A component that calls its host while it starts is accepted. */
bool dl_try_component(const dl_policy *policy, size_t level, char message[DL_MESSAGE_BYTES + 1]);

#endif
