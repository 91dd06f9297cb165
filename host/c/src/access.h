/* The interfaces of WASI that a component can import: its settings, and the wall clock if it is granted. */
#ifndef DL_ACCESS_H
#define DL_ACCESS_H

#include "contract.h"

/* A copy of the settings of a component, and whether it can import the wall clock. */
struct access {
    dl_setting *settings;
    size_t setting_count;
    bool wall_clock;
};

/* Copies what a component gets. Returns false and writes the reason if a setting is invalid. */
bool dl_copy_access(struct access *to, const dl_access *from, char *reason, size_t reason_size);
void dl_delete_access(struct access *access);

/* The result of a function of `dl_wasi_functions`. */
value dl_wasi_result(const struct access *access, const struct function *function, dl_string argument);

#endif
