/* The functions of the contract, and whether a component implements it. */
#ifndef DL_CONTRACT_H
#define DL_CONTRACT_H

#include "values.h"

#define DL_IDENTITY "learnings:plugin/identity@0.1.0"
#define DL_STORAGE "learnings:plugin/storage@0.1.0"
#define DL_CONFIG "wasi:config/store@0.2.0-rc.1"
#define DL_CLOCK "wasi:clocks/wall-clock@0.2.0"
#define DL_EXPORT "delete-learning"

typedef enum function_id {
    CURRENT,
    LOCATE,
    FIND,
    DELETE_ANY,
    DELETE_IF_OWNED_BY,
    DELETE_IF_UNCHANGED,
    FUNCTION_COUNT,
    /* Of WASI. */
    CONFIG_GET,
    CONFIG_GET_ALL,
    CLOCK_NOW,
    CLOCK_RESOLUTION,
} function_id;

/* A function that components import, and that guards export if it is of storage. */
struct function {
    function_id id;
    const char *interface;
    const char *name;      /* in the contract */
    const char *host_name; /* in messages about `dl_host` */
    const char *type;      /* as described by contract.c */
};

extern const struct function dl_functions[FUNCTION_COUNT];
#define DL_WASI_FUNCTION_COUNT 4
extern const struct function dl_wasi_functions[DL_WASI_FUNCTION_COUNT];

/* Checks that a component imports only the contract, `wasi:config/store`, and the wall clock if that is granted, and
 * exports the world of a policy or of a guard with the types of the contract. Returns false and writes the mismatch to
 * `reason`. */
bool dl_check_component(const wasm_engine_t *engine, const wasmtime_component_t *component, bool is_guard,
                        bool has_wall_clock, char *reason, size_t reason_size);

#endif
