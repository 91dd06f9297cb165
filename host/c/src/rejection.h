/* The rejection that a policy returned. */
#ifndef DL_REJECTION_H
#define DL_REJECTION_H

#include "values.h"

/* Copies a rejection. Returns how it violates the contract's description of its fields (`wit/types.wit`), or NULL. */
const char *dl_copy_rejection(const value *rejection, dl_decision *decision);

#endif
