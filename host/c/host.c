#define _POSIX_C_SOURCE 200809L

#include "host.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wasmtime.h>
#include <wasmtime/component.h>

#define IDENTITY "learnings:plugin/identity@0.1.0"
#define STORAGE "learnings:plugin/storage@0.1.0"
#define EXPORT "delete-learning"
#define TICK_MS 10

typedef wasmtime_component_val_t value;
typedef wasmtime_component_valrecord_entry_t field;

const char *const credential_names[] = {"", "none", "security-key", "jwt", "service-account", NULL};
const char *const identity_error_kind_names[] = {
    "",
    "missing",          "malformed",   "invalid",      "expired",     "wrong-audience",
    "reserved-subject", "not-enabled", "rate-limited", "unavailable", "internal",
    NULL,
};
const char *const outcome_names[] = {"", "deleted", "absent", "unowned", "owned-by-another", "changed", NULL};
const char *const storage_error_kind_names[] = {
    "",
    "invalid-learning-id", "repeated-parameter", "database-required", "unknown-database", "unknown-table",
    "unsupported",         "denied",             "unavailable",       "outcome-unknown",   "internal",
    NULL,
};

static const struct {
    const char *code;
    unsigned status;
} statuses[] = {
    {"bad-request", 400},           {"unauthenticated", 401}, {"forbidden", 403},
    {"not-found", 404},             {"conflict", 409},        {"too-many-requests", 429},
    {"internal-server-error", 500}, {"not-implemented", 501}, {"service-unavailable", 503},
};

const struct limits default_limits = {
    .memory_bytes = 16 << 20,
    .memories = 4,
    .tables = 16,
    .instances = 16,
    .table_elements = 10000,
    .stack_bytes = 256 << 10,
    .cpu_ms = 100,
    .host_calls = 32,
};

struct policy {
    struct platform platform;
    struct limits limits;
    wasm_engine_t *engine;
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
    wasmtime_component_export_index_t *export;
    pthread_t ticker;
    bool has_ticker;
    atomic_bool stopping;
    atomic_uint_fast64_t ticks;
};

/* The state of one decision. */
struct host_state {
    struct policy *policy;
    void *context;
    unsigned remaining_calls;
    uint64_t deadline; /* in ticks */
    bool timed_out;
    enum record_outcome record;
};

/* ---- Text ---- */

/* The C API aborts the process if it receives text that is not UTF-8. */
static bool is_utf8(struct text text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    size_t left = text.size;
    while (left > 0) {
        size_t more = at[0] < 0x80 ? 0 : at[0] < 0xC2 ? 4 : at[0] < 0xE0 ? 1 : at[0] < 0xF0 ? 2 : at[0] < 0xF5 ? 3 : 4;
        if (more >= left || more == 4)
            return false;
        for (size_t i = 1; i <= more; i++)
            if ((at[i] & 0xC0) != 0x80)
                return false;
        /* Overlong forms, surrogates, and code points above U+10FFFF. */
        if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF0 && at[1] < 0x90) ||
            (at[0] == 0xF4 && at[1] > 0x8F))
            return false;
        at += more + 1;
        left -= more + 1;
    }
    return true;
}

/* The control characters of Unicode: C0, DEL and C1. */
static bool has_control_characters(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = text.data[i], next = i + 1 < text.size ? text.data[i + 1] : 0;
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next < 0xA0))
            return true;
    }
    return false;
}

static void copy(char *to, struct text from)
{
    memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static bool equals(wasm_name_t name, const char *expected)
{
    return name.size == strlen(expected) && memcmp(name.data, expected, name.size) == 0;
}

static void move_message(wasmtime_error_t *error, char to[ERROR_BYTES])
{
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    struct text text = {message.data, message.size};
    /* Truncates at the start, because the cause comes last, and at a character boundary. */
    while (text.size >= ERROR_BYTES || (text.size > 0 && (text.data[0] & 0xC0) == 0x80))
        text.data++, text.size--;
    copy(to, text);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
}

/* ---- Lowering of C values to component values. A value owns the values in it. ---- */

/* `valid` is cleared if a value is not valid in the contract. */

static value boolean(bool is_true)
{
    return (value){.kind = WASMTIME_COMPONENT_BOOL, .of.boolean = is_true};
}

static value integer(int64_t number)
{
    return (value){.kind = WASMTIME_COMPONENT_S64, .of.s64 = number};
}

static value string(struct text text, bool *valid)
{
    value string = {.kind = WASMTIME_COMPONENT_STRING};
    if (!is_utf8(text)) {
        *valid = false;
        text = TEXT("");
    }
    wasm_byte_vec_new(&string.of.string, text.size, text.data);
    return string;
}

static value enumeration(const char *const names[], unsigned index, bool *valid)
{
    unsigned count = 0;
    while (names[count] != NULL)
        count++;
    if (index == 0 || index >= count) {
        *valid = false;
        index = 0;
    }
    value name = {.kind = WASMTIME_COMPONENT_ENUM};
    wasm_byte_vec_new(&name.of.enumeration, strlen(names[index]), names[index]);
    return name;
}

static value none(void)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION};
}

static value some(value inner)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION, .of.option = wasmtime_component_val_new(&inner)};
}

static value optional(struct text text, bool *valid)
{
    return text.data == NULL ? none() : some(string(text, valid));
}

static value strings(const struct text *texts, size_t count, bool *valid)
{
    value list = {.kind = WASMTIME_COMPONENT_LIST};
    wasmtime_component_vallist_new_uninit(&list.of.list, count);
    for (size_t i = 0; i < count; i++)
        list.of.list.data[i] = string(texts[i], valid);
    return list;
}

static field new_field(const char *name, value inner)
{
    field entry = {.val = inner};
    wasm_byte_vec_new(&entry.name, strlen(name), name);
    return entry;
}

static value record(const field fields[], size_t count)
{
    value record = {.kind = WASMTIME_COMPONENT_RECORD};
    wasmtime_component_valrecord_new(&record.of.record, count, fields);
    return record;
}
/* A record. The fields must be in the contract's order. */
#define RECORD(...) record((field[]){__VA_ARGS__}, sizeof((field[]){__VA_ARGS__}) / sizeof(field))

static value result(bool is_ok, value inner)
{
    return (value){
        .kind = WASMTIME_COMPONENT_RESULT,
        .of.result = {.is_ok = is_ok, .val = wasmtime_component_val_new(&inner)},
    };
}

static value lower_caller(const struct caller *caller, bool *valid)
{
    return RECORD(new_field("credential", enumeration(credential_names, caller->credential, valid)),
                  new_field("subject", optional(caller->subject, valid)),
                  new_field("scopes", strings(caller->scopes, caller->scope_count, valid)),
                  new_field("scopes-optional", boolean(caller->scopes_optional)),
                  new_field("all-owners", boolean(caller->all_owners)),
                  new_field("admin-scope", string(caller->admin_scope, valid)));
}

static value lower_learning(const struct learning *learning, bool *valid)
{
    return RECORD(new_field("learning-type", string(learning->learning_type, valid)),
                  new_field("namespace", optional(learning->name_space, valid)),
                  new_field("user-id", optional(learning->user_id, valid)),
                  new_field("agent-id", optional(learning->agent_id, valid)),
                  new_field("team-id", optional(learning->team_id, valid)),
                  new_field("workflow-id", optional(learning->workflow_id, valid)),
                  new_field("session-id", optional(learning->session_id, valid)),
                  new_field("entity-id", optional(learning->entity_id, valid)),
                  new_field("entity-type", optional(learning->entity_type, valid)),
                  new_field("content", string(learning->content, valid)),
                  new_field("metadata", optional(learning->metadata, valid)),
                  new_field("created-at", integer(learning->created_at)),
                  new_field("updated-at", learning->has_updated_at ? some(integer(learning->updated_at)) : none()),
                  new_field("revision", string(learning->revision, valid)));
}

static value lower_storage_error(const struct storage_error *error, bool *valid)
{
    return result(false, RECORD(new_field("kind", enumeration(storage_error_kind_names, error->kind, valid)),
                                new_field("message", string(error->message, valid))));
}

/* ---- The imports of a policy ---- */

static value current(struct host_state *state, struct text argument, bool *valid)
{
    (void)argument;
    struct caller caller = {0};
    struct identity_error error = {0};
    if (state->policy->platform.current(state->context, &caller, &error))
        return result(true, lower_caller(&caller, valid));
    return result(false, RECORD(new_field("kind", enumeration(identity_error_kind_names, error.kind, valid)),
                                new_field("credential", enumeration(credential_names, error.credential, valid)),
                                new_field("message", string(error.message, valid))));
}

static value locate(struct host_state *state, struct text argument, bool *valid)
{
    (void)argument;
    struct target target = {0};
    struct storage_error error = {0};
    if (!state->policy->platform.locate(state->context, &target, &error))
        return lower_storage_error(&error, valid);
    return result(true, RECORD(new_field("database", string(target.database, valid)),
                               new_field("table", string(target.table, valid))));
}

static value find(struct host_state *state, struct text argument, bool *valid)
{
    (void)argument;
    bool found = false;
    struct learning learning = {0};
    struct storage_error error = {0};
    if (!state->policy->platform.find(state->context, &found, &learning, &error))
        return lower_storage_error(&error, valid);
    return result(true, RECORD(new_field("learning", found ? some(lower_learning(&learning, valid)) : none())));
}

/* Records the outcome of a delete, and lowers it. */
static value lower_outcome(struct host_state *state, bool succeeded, enum outcome outcome,
                           const struct storage_error *error, bool *valid)
{
    if (succeeded && outcome == OUTCOME_DELETED)
        state->record = RECORD_DELETED;
    else if (!succeeded && error->kind == STORAGE_OUTCOME_UNKNOWN && state->record == RECORD_NOT_DELETED)
        state->record = RECORD_UNKNOWN;
    return succeeded ? result(true, enumeration(outcome_names, outcome, valid)) : lower_storage_error(error, valid);
}

static value delete_any(struct host_state *state, struct text argument, bool *valid)
{
    (void)argument;
    enum outcome outcome = 0;
    struct storage_error error = {0};
    bool succeeded = state->policy->platform.delete_any(state->context, &outcome, &error);
    return lower_outcome(state, succeeded, outcome, &error, valid);
}

static value delete_if_owned_by(struct host_state *state, struct text user_id, bool *valid)
{
    enum outcome outcome = 0;
    struct storage_error error = {0};
    bool succeeded = state->policy->platform.delete_if_owned_by(state->context, user_id, &outcome, &error);
    return lower_outcome(state, succeeded, outcome, &error, valid);
}

static value delete_if_unchanged(struct host_state *state, struct text revision, bool *valid)
{
    enum outcome outcome = 0;
    struct storage_error error = {0};
    bool succeeded = state->policy->platform.delete_if_unchanged(state->context, revision, &outcome, &error);
    return lower_outcome(state, succeeded, outcome, &error, valid);
}

struct function {
    const char *interface;
    const char *name;
    size_t parameters; /* none, or one string */
    value (*call)(struct host_state *state, struct text argument, bool *valid);
};

static const struct function functions[] = {
    {IDENTITY, "current", 0, current},
    {STORAGE, "locate", 0, locate},
    {STORAGE, "find", 0, find},
    {STORAGE, "delete", 0, delete_any},
    {STORAGE, "delete-if-owned-by", 1, delete_if_owned_by},
    {STORAGE, "delete-if-unchanged", 1, delete_if_unchanged},
};

/* Handles every host call. An error stops the policy, as a trap does. */
static wasmtime_error_t *call_host(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                   value *arguments, size_t argument_count, value *results, size_t result_count)
{
    (void)type;
    const struct function *function = data;
    struct host_state *state = wasmtime_context_get_data(context);

    /* The linker does not compare signatures, so a component can use another one. */
    if (argument_count != function->parameters || result_count != 1 ||
        (argument_count == 1 && arguments[0].kind != WASMTIME_COMPONENT_STRING))
        return wasmtime_error_new("the policy was built for another contract");
    if (state->remaining_calls == 0)
        return wasmtime_error_new("the policy called the host too often");
    state->remaining_calls--;

    struct text argument = {"", 0};
    if (argument_count == 1 && arguments[0].of.string.size > 0)
        argument = (struct text){arguments[0].of.string.data, arguments[0].of.string.size};

    /* The time of a host call does not count toward the policy's limit. */
    uint64_t now = atomic_load(&state->policy->ticks);
    uint64_t remaining = now < state->deadline ? state->deadline - now : 0;
    bool valid = true;
    results[0] = function->call(state, argument, &valid);
    state->deadline = atomic_load(&state->policy->ticks) + remaining;
    wasmtime_context_set_epoch_deadline(context, remaining);

    return valid ? NULL : wasmtime_error_new("the platform returned a value that is not valid in the contract");
}

/* ---- Loading a policy ---- */

static void *tick(void *data)
{
    struct policy *policy = data;
    const struct timespec period = {.tv_nsec = TICK_MS * 1000 * 1000};
    while (!atomic_load(&policy->stopping)) {
        nanosleep(&period, NULL);
        atomic_fetch_add(&policy->ticks, 1);
        wasmtime_engine_increment_epoch(policy->engine);
    }
    return NULL;
}

static bool start_ticker(struct policy *policy)
{
    /* A signal that is handled on the ticker's thread would interrupt its sleep. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    policy->has_ticker = pthread_create(&policy->ticker, NULL, tick, policy) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return policy->has_ticker;
}

static char *read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    if (file == NULL)
        return NULL;
    char *content = NULL;
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

static wasmtime_error_t *link_functions(wasmtime_component_linker_t *linker)
{
    wasmtime_error_t *error = NULL;
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
    wasmtime_component_linker_instance_t *interface = NULL;
    for (size_t i = 0; error == NULL && i < sizeof functions / sizeof *functions; i++) {
        const struct function *function = &functions[i];
        if (i == 0 || strcmp(function->interface, functions[i - 1].interface) != 0) {
            if (interface != NULL)
                wasmtime_component_linker_instance_delete(interface);
            interface = NULL;
            error = wasmtime_component_linker_instance_add_instance(root, function->interface,
                                                                    strlen(function->interface), &interface);
        }
        if (error == NULL)
            error = wasmtime_component_linker_instance_add_func(interface, function->name, strlen(function->name),
                                                                call_host, (void *)function, NULL);
    }
    if (interface != NULL)
        wasmtime_component_linker_instance_delete(interface);
    wasmtime_component_linker_instance_delete(root);
    return error;
}

static wasmtime_error_t *stop_at_deadline(const wasmtime_context_t *context, void *data, uint64_t *more,
                                     wasmtime_update_deadline_kind_t *kind)
{
    (void)context, (void)more, (void)kind;
    ((struct host_state *)data)->timed_out = true;
    return wasmtime_error_new("the policy exceeded the CPU time limit");
}

/* Creates a fresh instance within the limits, in a store that the caller must delete. */
static wasmtime_error_t *instantiate(struct host_state *state, wasmtime_store_t **store,
                                     wasmtime_component_func_t *function)
{
    struct policy *policy = state->policy;
    const struct limits *limits = &policy->limits;
    *store = wasmtime_store_new(policy->engine, state, NULL);
    wasmtime_context_t *context = wasmtime_store_context(*store);
    wasmtime_store_limiter(*store, limits->memory_bytes, limits->table_elements, limits->instances, limits->tables,
                           limits->memories);
    /* One more tick, because the current tick is not a whole one. */
    uint64_t ticks = (limits->cpu_ms + TICK_MS - 1) / TICK_MS + 1;
    state->deadline = atomic_load(&policy->ticks) + ticks;
    wasmtime_context_set_epoch_deadline(context, ticks);
    wasmtime_store_epoch_deadline_callback(*store, stop_at_deadline, state, NULL);

    wasmtime_component_instance_t instance;
    wasmtime_error_t *error =
        wasmtime_component_linker_instantiate(policy->linker, context, policy->component, &instance);
    if (error == NULL && !wasmtime_component_instance_get_func(&instance, context, policy->export, function))
        error = wasmtime_error_new("the export `" EXPORT "` is not a function");
    return error;
}

struct policy *policy_open(const char *file, const struct platform *platform, const struct limits *limits,
                           char error_text[ERROR_BYTES])
{
    size_t size;
    char *binary = read_file(file, &size);
    if (binary == NULL) {
        snprintf(error_text, ERROR_BYTES, "cannot read the file: %s", strerror(errno));
        return NULL;
    }
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        abort();
    policy->platform = *platform;
    policy->limits = *limits;

    wasm_config_t *config = wasm_config_new();
    wasmtime_config_epoch_interruption_set(config, true);
    wasmtime_config_max_wasm_stack_set(config, limits->stack_bytes);
    /* A policy is small, so a pool of compiler threads is not worth keeping. */
    wasmtime_config_parallel_compilation_set(config, false);
    policy->engine = wasm_engine_new_with_config(config);
    policy->linker = wasmtime_component_linker_new(policy->engine);

    wasmtime_error_t *error = start_ticker(policy) ? NULL : wasmtime_error_new("cannot start a thread");
    if (error == NULL)
        error = link_functions(policy->linker);
    if (error == NULL)
        error = wasmtime_component_new(policy->engine, (const uint8_t *)binary, size, &policy->component);
    free(binary);
    if (error == NULL) {
        policy->export = wasmtime_component_get_export_index(policy->component, NULL, EXPORT, strlen(EXPORT));
        if (policy->export == NULL)
            error = wasmtime_error_new("the component does not export `" EXPORT "`");
    }
    if (error == NULL) {
        /* One instantiation as a test, so that unknown imports fail now and not at the first request. */
        struct host_state trial = {.policy = policy};
        wasmtime_store_t *store;
        wasmtime_component_func_t function;
        error = instantiate(&trial, &store, &function);
        wasmtime_store_delete(store);
    }
    if (error != NULL) {
        move_message(error, error_text);
        policy_close(policy);
        return NULL;
    }
    return policy;
}

void policy_close(struct policy *policy)
{
    if (policy == NULL)
        return;
    if (policy->has_ticker) {
        atomic_store(&policy->stopping, true);
        pthread_join(policy->ticker, NULL);
    }
    if (policy->export != NULL)
        wasmtime_component_export_index_delete(policy->export);
    if (policy->component != NULL)
        wasmtime_component_delete(policy->component);
    wasmtime_component_linker_delete(policy->linker);
    wasm_engine_delete(policy->engine);
    free(policy);
}

/* ---- Deciding ---- */

/* Validates and copies a rejection. Returns the violation of the contract, or NULL. */
static const char *copy_rejection(const value *rejection, struct decision *decision)
{
    static const struct {
        const char *name;
        wasmtime_component_valkind_t kind;
    } shape[] = {
        {"status", WASMTIME_COMPONENT_U16},
        {"code", WASMTIME_COMPONENT_ENUM},
        {"detail", WASMTIME_COMPONENT_STRING},
        {"rule", WASMTIME_COMPONENT_STRING},
    };
    if (rejection == NULL || rejection->kind != WASMTIME_COMPONENT_RECORD || rejection->of.record.size != 4)
        return "the policy was built for another contract";
    const field *fields = rejection->of.record.data;
    for (size_t i = 0; i < 4; i++)
        if (!equals(fields[i].name, shape[i].name) || fields[i].val.kind != shape[i].kind)
            return "the policy was built for another contract";

    decision->status = fields[0].val.of.u16;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (equals(fields[1].val.of.enumeration, statuses[i].code) && decision->status == statuses[i].status)
            decision->code = statuses[i].code;
    if (decision->code == NULL)
        return "the status of the rejection does not belong to its code";

    struct text detail = {fields[2].val.of.string.data, fields[2].val.of.string.size};
    if (detail.size == 0 || detail.size > DETAIL_BYTES || has_control_characters(detail))
        return "the detail of the rejection is not 1 to 1024 bytes without control characters";
    copy(decision->detail, detail);

    struct text rule = {fields[3].val.of.string.data, fields[3].val.of.string.size};
    bool is_valid = rule.size >= 1 && rule.size <= RULE_BYTES;
    for (size_t i = 0; is_valid && i < rule.size; i++)
        is_valid = memchr("abcdefghijklmnopqrstuvwxyz0123456789-", rule.data[i], 37) != NULL;
    if (!is_valid)
        return "the rule of the rejection is not 1 to 64 bytes of a-z, 0-9 and `-`";
    copy(decision->rule, rule);
    return NULL;
}

/* Accepts a success only if storage deleted the record, and a rejection only if it did not. */
static const char *copy_answer(const value *answer, struct decision *decision)
{
    if (answer->kind != WASMTIME_COMPONENT_RESULT)
        return "the policy was built for another contract";
    if (answer->of.result.is_ok) {
        decision->deleted = decision->record == RECORD_DELETED;
        return decision->deleted ? NULL : "the policy reported a deletion that did not happen";
    }
    const char *violation = copy_rejection(answer->of.result.val, decision);
    if (violation == NULL && decision->record == RECORD_DELETED)
        violation = "the policy rejected the request after deleting the record";
    return violation;
}

void policy_decide(struct policy *policy, const struct request *request, void *context, struct decision *decision)
{
    *decision = (struct decision){0};
    struct host_state state = {.policy = policy, .context = context, .remaining_calls = policy->limits.host_calls};
    const char *violation = NULL;

    bool valid = true;
    value argument = RECORD(new_field("learning-id", string(request->learning_id, &valid)),
                            new_field("db-id", optional(request->db_id, &valid)),
                            new_field("table", optional(request->table, &valid)));
    if (!valid) {
        violation = "the request is not UTF-8";
    } else {
        wasmtime_store_t *store;
        wasmtime_component_func_t function;
        value answer = boolean(false);
        wasmtime_error_t *error = instantiate(&state, &store, &function);
        if (error == NULL)
            error = wasmtime_component_func_call(&function, wasmtime_store_context(store), &argument, 1, &answer, 1);
        decision->record = state.record;
        if (error == NULL) {
            violation = copy_answer(&answer, decision);
        } else {
            move_message(error, decision->error);
            violation = state.timed_out ? "the policy exceeded the CPU time limit" : decision->error;
        }
        wasmtime_component_val_delete(&answer);
        wasmtime_store_delete(store);
    }
    wasmtime_component_val_delete(&argument);

    if (violation != NULL) {
        decision->failed = true;
        decision->status = 500;
        decision->code = "internal-server-error";
        strcpy(decision->detail, "Internal server error");
        strcpy(decision->rule, "policy-error");
        if (violation != decision->error)
            snprintf(decision->error, sizeof decision->error, "%s", violation);
    }
}
