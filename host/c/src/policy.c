#define _POSIX_C_SOURCE 200809L

#include "policy.h"

#include "run.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The default policy, generated from its component when the library is built. */
extern const unsigned char dl_default_policy[];
extern const size_t dl_default_policy_size;

dl_limits dl_limits_default(void)
{
    return (dl_limits){
        .max_component_bytes = 16 << 20,
        .max_memory_bytes = 16 << 20,
        .max_memories = 4,
        .max_table_elements = 10000,
        .max_core_instances = 16,
        .max_stack_bytes = 256 << 10,
        .max_host_calls = 64,
        .max_wasi_calls = 1000,
        .max_host_call_bytes = 64 << 10,
        .cpu_time_limit_ms = 100,
        .execution_timeout_ms = 10000,
        .max_fuel = 0,
    };
}

/* Where a load error is written. */
struct load_error {
    char *text;
    size_t size;
};

static bool refuse(const struct load_error *error, const char *format, ...)
{
    char message[2 * DL_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (error->text != NULL && error->size > 0)
        dl_copy_text(error->text, error->size, dl_string_from(message));
    return false;
}

static bool refuse_with(const struct load_error *to, const char *what, wasmtime_error_t *error)
{
    wasm_name_t text;
    wasmtime_error_message(error, &text);
    refuse(to, "%s: %.*s", what, (int)(text.size < DL_MESSAGE_BYTES ? text.size : DL_MESSAGE_BYTES), text.data);
    wasm_byte_vec_delete(&text);
    wasmtime_error_delete(error);
    return false;
}

/* ---- The ticker, which lets instances check the time ---- */

static void *tick(void *data)
{
    dl_policy *policy = data;
    const struct timespec period = {.tv_nsec = DL_TICK_MS * 1000 * 1000};
    while (!atomic_load(&policy->is_stopping)) {
        nanosleep(&period, NULL);
        wasmtime_engine_increment_epoch(policy->engine);
    }
    return NULL;
}

static bool start_ticker(dl_policy *policy)
{
    /* A signal that is handled on the ticker's thread would interrupt its sleep. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    policy->has_ticker = pthread_create(&policy->ticker, NULL, tick, policy) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return policy->has_ticker;
}

/* ---- Loading ---- */

static bool check_limits(const dl_limits *limits, const struct load_error *error)
{
    const struct {
        const char *name;
        uint64_t value, min, max;
    } bounds[] = {
        {"max_component_bytes", limits->max_component_bytes, 1, INT64_MAX},
        {"max_memory_bytes", limits->max_memory_bytes, 64 << 10, INT64_MAX},
        {"max_memories", limits->max_memories, 1, UINT32_MAX},
        {"max_table_elements", limits->max_table_elements, 0, INT64_MAX},
        {"max_core_instances", limits->max_core_instances, 1, UINT32_MAX},
        {"max_stack_bytes", limits->max_stack_bytes, 16 << 10, 1 << 30},
        {"max_host_calls", limits->max_host_calls, 1, UINT32_MAX},
        {"max_host_call_bytes", limits->max_host_call_bytes, 1024, INT64_MAX},
        {"cpu_time_limit_ms", limits->cpu_time_limit_ms, 1, UINT32_MAX},
        {"execution_timeout_ms", limits->execution_timeout_ms, 1, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].value < bounds[i].min || bounds[i].value > bounds[i].max)
            return refuse(error, "%s is %llu; expected %llu to %llu", bounds[i].name,
                          (unsigned long long)bounds[i].value, (unsigned long long)bounds[i].min,
                          (unsigned long long)bounds[i].max);
    return true;
}

static char *copy_name(const char *name)
{
    char *copy = malloc(strlen(name) + 1);
    if (copy == NULL)
        abort();
    return strcpy(copy, name);
}

/* Looks up the exported functions of a component whose exports were checked. */
static bool find_exports(struct component *component)
{
    wasmtime_component_t *binary = component->component;
    if (component->name == NULL) {
        component->exports[0] = wasmtime_component_get_export_index(binary, NULL, DL_EXPORT, strlen(DL_EXPORT));
        return component->exports[0] != NULL;
    }
    bool found = true;
    wasmtime_component_export_index_t *storage =
        wasmtime_component_get_export_index(binary, NULL, DL_STORAGE, strlen(DL_STORAGE));
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (dl_functions[i].id != CURRENT) {
            const char *name = dl_functions[i].name;
            component->exports[i] = wasmtime_component_get_export_index(binary, storage, name, strlen(name));
            found = found && component->exports[i] != NULL;
        }
    wasmtime_component_export_index_delete(storage);
    return found;
}

/* Compiles and checks the next component: the policy if `name` is NULL, and otherwise a guard. */
static bool add_component(dl_policy *policy, const char *name, const void *bytes, size_t size, const dl_access *access,
                          const struct load_error *error)
{
    char subject[DL_MESSAGE_BYTES], reason[DL_MESSAGE_BYTES + 1];
    if (name == NULL)
        snprintf(subject, sizeof subject, "the policy cannot be loaded");
    else
        snprintf(subject, sizeof subject, "the guard \"%s\" cannot be loaded", name);
    if (size > policy->limits.max_component_bytes)
        return refuse(error, "%s: it has %zu bytes, which exceeds max_component_bytes (%zu)", subject, size,
                      policy->limits.max_component_bytes);

    size_t level = policy->component_count;
    struct component *component = &policy->components[level];
    wasmtime_error_t *invalid =
        wasmtime_component_new(policy->engine, (const uint8_t *)bytes, size, &component->component);
    if (invalid != NULL)
        return refuse_with(error, subject, invalid);
    policy->component_count++;
    component->name = name == NULL ? NULL : copy_name(name);
    if (!dl_copy_access(&component->access, access, reason, sizeof reason))
        return refuse(error, "%s: %s", subject, reason);
    if (!dl_check_component(policy->engine, component->component, name != NULL, access->wall_clock, reason,
                            sizeof reason))
        return refuse(error, "%s: %s", subject, reason);
    if (!find_exports(component))
        return refuse(error, "%s: an exported function is missing", subject);
    if (!dl_try_component(policy, level, reason))
        return refuse(error, "%s: %s", subject, reason);
    return true;
}

static bool load_into(dl_policy *policy, const void *component, size_t size, const dl_options *options,
                      const struct load_error *error)
{
    if (!check_limits(&policy->limits, error))
        return false;
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_epoch_interruption_set(config, true);
    wasmtime_config_consume_fuel_set(config, policy->limits.max_fuel > 0);
    wasmtime_config_max_wasm_stack_set(config, policy->limits.max_stack_bytes);
    /* Instead of 4 GiB of address space for each memory. */
    wasmtime_config_memory_reservation_set(config, policy->limits.max_memory_bytes);
    wasmtime_config_memory_guard_size_set(config, 64 << 10);
#ifdef WASMTIME_FEATURE_THREADS
    wasmtime_config_wasm_threads_set(config, false);
#endif
    /* A policy is small, so a pool of compiler threads is not worth keeping. */
    wasmtime_config_parallel_compilation_set(config, false);
    policy->engine = wasm_engine_new_with_config(config);
    if (policy->engine == NULL)
        return refuse(error, "wasmtime cannot be set up with these limits");
    policy->linker = wasmtime_component_linker_new(policy->engine);
    wasmtime_error_t *unlinked = dl_link_functions(policy->linker);
    if (unlinked != NULL)
        return refuse_with(error, "wasmtime cannot be set up", unlinked);
    if (!start_ticker(policy))
        return refuse(error, "the thread that checks the time limits cannot be started");

    size_t guard_count = options == NULL ? 0 : options->guard_count;
    policy->components = calloc(1 + guard_count, sizeof *policy->components);
    if (policy->components == NULL)
        abort();
    const dl_access nothing = {0};
    if (!add_component(policy, NULL, component, size, options == NULL ? &nothing : &options->access, error))
        return false;
    for (size_t i = 0; i < guard_count; i++) {
        const dl_guard *guard = &options->guards[i];
        if (guard->name == NULL)
            return refuse(error, "the name of guard %zu is NULL; expected a string", i);
        if (dl_valid_utf8_bytes(dl_string_from(guard->name)) < strlen(guard->name))
            return refuse(error, "the name of guard %zu is not UTF-8", i);
        if (!add_component(policy, guard->name, guard->component, guard->component_size, &guard->access, error))
            return false;
    }
    return true;
}

dl_policy *dl_policy_load(const void *component, size_t component_size, const dl_options *options, char *error_text,
                          size_t error_size)
{
    const struct load_error error = {error_text, error_size};
    dl_policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        abort();
    policy->allow_any_outcome = options != NULL && options->allow_any_outcome;
    policy->limits = options == NULL || options->limits == NULL ? dl_limits_default() : *options->limits;
    if (load_into(policy, component, component_size, options, &error))
        return policy;
    dl_policy_free(policy);
    return NULL;
}

dl_policy *dl_policy_load_default(const dl_options *options, char *error, size_t error_size)
{
    return dl_policy_load(dl_default_policy, dl_default_policy_size, options, error, error_size);
}

/* Returns the content of a file, or NULL with the reason in `errno`. */
static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    unsigned char *content = NULL;
    size_t capacity = 0, read;
    *size = 0;
    do {
        if (*size == capacity) {
            capacity = capacity == 0 ? 64 << 10 : 2 * capacity;
            content = realloc(content, capacity);
            if (content == NULL)
                abort();
        }
        read = fread(content + *size, 1, capacity - *size, file);
        *size += read;
    } while (read > 0);
    int failure = ferror(file) ? errno : 0;
    fclose(file);
    if (failure == 0)
        return content;
    free(content);
    errno = failure;
    return NULL;
}

dl_policy *dl_policy_load_file(const char *path, const dl_options *options, char *error_text, size_t error_size)
{
    size_t size;
    unsigned char *component = read_file(path, &size);
    if (component == NULL) {
        refuse(&(struct load_error){error_text, error_size}, "cannot read \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    dl_policy *policy = dl_policy_load(component, size, options, error_text, error_size);
    free(component);
    return policy;
}

void dl_policy_free(dl_policy *policy)
{
    if (policy == NULL)
        return;
    if (policy->has_ticker) {
        atomic_store(&policy->is_stopping, true);
        pthread_join(policy->ticker, NULL);
    }
    for (size_t i = 0; i < policy->component_count; i++) {
        struct component *component = &policy->components[i];
        for (size_t j = 0; j < FUNCTION_COUNT; j++)
            if (component->exports[j] != NULL)
                wasmtime_component_export_index_delete(component->exports[j]);
        wasmtime_component_delete(component->component);
        free(component->name);
        dl_delete_access(&component->access);
    }
    free(policy->components);
    if (policy->linker != NULL)
        wasmtime_component_linker_delete(policy->linker);
    if (policy->engine != NULL)
        wasm_engine_delete(policy->engine);
    free(policy);
}
