/* The contract's names of the values of each enum. [0] is NULL, and so is the element after the last value. */
#ifndef DL_NAMES_H
#define DL_NAMES_H

extern const char *const dl_credential_names[];
extern const char *const dl_identity_error_kind_names[];
extern const char *const dl_outcome_names[];
extern const char *const dl_storage_error_kind_names[];

#endif
