/* A loaded policy. */
#ifndef DL_POLICY_H
#define DL_POLICY_H

#include "access.h"

#include <pthread.h>
#include <stdatomic.h>

#define DL_TICK_MS 10

/* The policy or a guard. */
struct component {
    char *name; /* NULL for the policy */
    struct access access;
    wasmtime_component_t *component;
    /* The exported functions: [0] of a policy, and by `function_id` of a guard. */
    wasmtime_component_export_index_t *exports[FUNCTION_COUNT];
};

struct dl_policy {
    dl_limits limits;
    bool allow_any_outcome;
    wasm_engine_t *engine;
    wasmtime_component_linker_t *linker;
    struct component *components; /* the policy, then its guards, outermost first */
    size_t component_count;
    pthread_t ticker;
    bool has_ticker;
    atomic_bool is_stopping;
};

#endif
