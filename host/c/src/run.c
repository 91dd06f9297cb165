#define _POSIX_C_SOURCE 200809L

#include "run.h"

#include "answers.h"
#include "guard_rules.h"
#include "names.h"
#include "rejection.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An instance of the policy or of a guard. It is created by the first call. */
struct instance {
    struct run *run;
    size_t level; /* 0 for the policy, then the guards, outermost first */
    wasmtime_store_t *store;
    bool is_instantiated;
    wasmtime_component_instance_t instance;
    uint32_t calls_left;
    uint32_t wasi_calls_left;
    size_t bytes_left;
    uint64_t cpu_ns;     /* used before `resumed_at` */
    uint64_t resumed_at; /* on the processor time clock of the thread */
    struct guard_rules rules;
};

/* One decision. */
struct run {
    const dl_policy *policy;
    struct host_binding host;
    uint64_t deadline_ns;
    struct instance *instances;
    dl_record record;
    const char *deleting_rule;
    bool has_called_missing_host;
    /* The first failure. Those that follow from it are ignored. */
    dl_failure failure;
    const char *failed_guard;
    char message[DL_MESSAGE_BYTES + 1];
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Failures ---- */

static void fail(struct run *run, dl_failure failure, const char *message)
{
    if (run->failure != 0)
        return;
    run->failure = failure;
    dl_copy_text(run->message, sizeof run->message, dl_string_from(message));
}

/* Records that the component of this instance failed. */
static void fail_instance(const struct instance *instance, dl_failure failure, const char *reason)
{
    struct run *run = instance->run;
    if (run->failure != 0)
        return;
    char message[2 * DL_MESSAGE_BYTES];
    run->failed_guard = run->policy->components[instance->level].name;
    if (run->host.functions == NULL) /* A load error names the component itself. */
        snprintf(message, sizeof message, "%s", reason);
    else if (run->failed_guard == NULL)
        snprintf(message, sizeof message, "the policy failed: %s", reason);
    else
        snprintf(message, sizeof message, "the guard \"%s\" failed: %s", run->failed_guard, reason);
    fail(run, failure, message);
}

/* Returns an error that stops the instance that runs, and then those that called it. */
static wasmtime_error_t *stop(void)
{
    return wasmtime_error_new("the decision failed");
}

static wasmtime_error_t *fail_and_stop(const struct instance *instance, dl_failure failure, const char *reason)
{
    fail_instance(instance, failure, reason);
    return stop();
}

/* Records an error of the C API, and deletes it. It has no codes, so its message is the only cause. */
static void fail_with_error(const struct instance *instance, wasmtime_error_t *error)
{
    wasm_name_t text;
    wasmtime_error_message(error, &text);
    uint64_t fuel = 1;
    const dl_policy *policy = instance->run->policy;
    if (policy->limits.max_fuel > 0) {
        wasmtime_error_t *unavailable = wasmtime_context_get_fuel(wasmtime_store_context(instance->store), &fuel);
        if (unavailable != NULL)
            wasmtime_error_delete(unavailable);
    }
    if (fuel == 0) {
        fail_instance(instance, DL_FAILURE_FUEL, "it exceeded the limit on fuel");
    } else {
        /* The cause comes last, after the backtrace. */
        const size_t max = DL_MESSAGE_BYTES / 2;
        size_t skipped = text.size > max ? text.size - max : 0;
        while (skipped < text.size && (text.data[skipped] & 0xC0) == 0x80)
            skipped++;
        char reason[DL_MESSAGE_BYTES];
        int size = snprintf(reason, sizeof reason, "it was stopped: %s", skipped > 0 ? "…" : "");
        dl_copy_text(reason + size, sizeof reason - (size_t)size,
                     (dl_string){text.data + skipped, text.size - skipped});
        fail_instance(instance, DL_FAILURE_TRAP, reason);
    }
    wasm_byte_vec_delete(&text);
    wasmtime_error_delete(error);
}

static bool count_bytes(struct instance *instance, size_t bytes)
{
    if (bytes > instance->bytes_left) {
        fail_instance(instance, DL_FAILURE_HOST_CALL_BYTES, "it passed too many bytes to the host");
        return false;
    }
    instance->bytes_left -= bytes;
    return true;
}

/* ---- Time ---- */

static void pause_clock(struct instance *instance)
{
    instance->cpu_ns += read_clock(CLOCK_THREAD_CPUTIME_ID) - instance->resumed_at;
}

static void resume_clock(struct instance *instance)
{
    instance->resumed_at = read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Called at every tick while the instance runs. */
static wasmtime_error_t *check_time(const wasmtime_context_t *context, void *data, uint64_t *delta,
                                    wasmtime_update_deadline_kind_t *kind)
{
    (void)context;
    struct instance *instance = data;
    uint64_t used = instance->cpu_ns + read_clock(CLOCK_THREAD_CPUTIME_ID) - instance->resumed_at;
    if (used >= (uint64_t)instance->run->policy->limits.cpu_time_limit_ms * 1000000u)
        return fail_and_stop(instance, DL_FAILURE_CPU_TIME_LIMIT, "it exceeded the CPU time limit");
    if (read_clock(CLOCK_MONOTONIC) >= instance->run->deadline_ns)
        return fail_and_stop(instance, DL_FAILURE_EXECUTION_TIMEOUT, "it exceeded the execution timeout");
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* ---- Calls between instances and to the host ---- */

static wasmtime_error_t *instantiate(struct instance *instance)
{
    const dl_policy *policy = instance->run->policy;
    const dl_limits *limits = &policy->limits;
    instance->store = wasmtime_store_new(policy->engine, instance, NULL);
    wasmtime_context_t *context = wasmtime_store_context(instance->store);
    wasmtime_store_limiter(instance->store, (int64_t)limits->max_memory_bytes, (int64_t)limits->max_table_elements,
                           limits->max_core_instances, limits->max_core_instances, limits->max_memories);
    wasmtime_context_set_epoch_deadline(context, 1);
    wasmtime_store_epoch_deadline_callback(instance->store, check_time, instance, NULL);
    wasmtime_error_t *error = NULL;
    if (limits->max_fuel > 0)
        error = wasmtime_context_set_fuel(context, limits->max_fuel);
    if (error == NULL)
        error = wasmtime_component_linker_instantiate(
            policy->linker, context, policy->components[instance->level].component, &instance->instance);
    instance->is_instantiated = error == NULL;
    return error;
}

/* Calls an exported function: `export` is its position in `component.exports`. Returns whether it returned a result. */
static bool call_export(struct instance *instance, size_t export, const value *argument, value *result)
{
    const struct component *component = &instance->run->policy->components[instance->level];
    resume_clock(instance);
    wasmtime_error_t *error = instance->is_instantiated ? NULL : instantiate(instance);
    wasmtime_context_t *context = wasmtime_store_context(instance->store);
    wasmtime_component_func_t function;
    if (error == NULL && !wasmtime_component_instance_get_func(&instance->instance, context,
                                                               component->exports[export], &function))
        error = wasmtime_error_new("the exported function is missing");
    *result = dl_empty_value();
    if (error == NULL)
        error = wasmtime_component_func_call(&function, context, argument, argument != NULL, result, 1);
    pause_clock(instance);
    if (error == NULL)
        return true;
    fail_with_error(instance, error);
    dl_delete_value(result);
    return false;
}

/* Calls a function of a guard, and checks the guard. */
static bool call_guard(struct instance *guard, const struct function *function, const value *argument, value *result)
{
    dl_rules_begin(&guard->rules, function, argument == NULL ? (dl_string){"", 0} : dl_text_of(argument));
    if (!call_export(guard, function->id, argument, result))
        return false;
    bool is_valid = result->of.result.is_ok ||
                    count_bytes(guard, dl_text_of(dl_field_of(result->of.result.val, 1)).size);
    const char *violation = is_valid ? dl_rules_check_answer(&guard->rules, result) : NULL;
    if (violation != NULL) {
        char reason[256];
        snprintf(reason, sizeof reason, "it violated a rule of guards: %s", violation);
        fail_instance(guard, DL_FAILURE_GUARD_VIOLATION, reason);
        is_valid = false;
    }
    if (!is_valid)
        dl_delete_value(result);
    return is_valid;
}

/* Serves a call of this instance, by the next guard or by the host. */
static bool serve(struct instance *instance, const struct function *function, const value *argument, value *result)
{
    struct run *run = instance->run;
    size_t next = instance->level + 1;
    if (function->id != CURRENT && next < run->policy->component_count)
        return call_guard(&run->instances[next], function, argument, result);

    char message[DL_MESSAGE_BYTES + 1];
    dl_string text = argument == NULL ? (dl_string){"", 0} : dl_text_of(argument);
    if (dl_call_host(&run->host, function, text, result, &run->record, message))
        return true;
    fail(run, DL_FAILURE_INVALID_ANSWER, message);
    return false;
}

/* Records the rule of the first delete of the policy that deleted the record. */
static void record_rule(struct run *run, const struct function *function, const value *result)
{
    if (function->id < DELETE_ANY || run->deleting_rule != NULL || !result->of.result.is_ok ||
        dl_enum_of(result->of.result.val, dl_outcome_names) != DL_OUTCOME_DELETED)
        return;
    run->deleting_rule = function->id == DELETE_IF_OWNED_BY    ? "deleted-as-owner"
                         : function->id == DELETE_IF_UNCHANGED ? "deleted-unchanged"
                                                               : "deleted-unconfined";
}

/* Handles every call of a component. An error stops the component. */
static wasmtime_error_t *handle_call(void *data, wasmtime_context_t *context,
                                     const wasmtime_component_func_type_t *type, value *arguments,
                                     size_t argument_count, value *results, size_t result_count)
{
    (void)type, (void)result_count; /* checked when the component was loaded */
    const struct function *function = data;
    struct instance *instance = wasmtime_context_get_data(context);
    struct run *run = instance->run;
    const value *argument = argument_count > 0 ? &arguments[0] : NULL;
    dl_string text = argument == NULL ? (dl_string){"", 0} : dl_text_of(argument);

    if (run->host.functions == NULL) {
        run->has_called_missing_host = true;
        return stop();
    }
    if (instance->calls_left == 0)
        return fail_and_stop(instance, DL_FAILURE_HOST_CALLS, "it called the host too often");
    instance->calls_left--;
    if (!count_bytes(instance, text.size))
        return stop();
    bool is_guard = instance->level > 0;
    const char *violation = is_guard ? dl_rules_check_call(&instance->rules, function, text) : NULL;
    if (violation != NULL) {
        char reason[256];
        snprintf(reason, sizeof reason, "it violated a rule of guards: %s", violation);
        return fail_and_stop(instance, DL_FAILURE_GUARD_VIOLATION, reason);
    }

    pause_clock(instance);
    value result;
    bool succeeded = serve(instance, function, argument, &result);
    resume_clock(instance);
    if (!succeeded)
        return stop();
    if (is_guard)
        dl_rules_record(&instance->rules, function, text, &result);
    else
        record_rule(run, function, &result);
    results[0] = result;
    return NULL;
}

/* Handles every call to WASI. Its time counts as the instance's. */
static wasmtime_error_t *handle_wasi_call(void *data, wasmtime_context_t *context,
                                          const wasmtime_component_func_type_t *type, value *arguments,
                                          size_t argument_count, value *results, size_t result_count)
{
    (void)type, (void)result_count; /* checked when the component was loaded */
    struct instance *instance = wasmtime_context_get_data(context);
    dl_string argument = argument_count > 0 ? dl_text_of(&arguments[0]) : (dl_string){"", 0};
    if (instance->wasi_calls_left == 0)
        return fail_and_stop(instance, DL_FAILURE_HOST_CALLS, "it called the host too often");
    instance->wasi_calls_left--;
    if (!count_bytes(instance, argument.size))
        return stop();
    results[0] = dl_wasi_result(&instance->run->policy->components[instance->level].access, data, argument);
    return NULL;
}

/* ---- Linking ---- */

static wasmtime_error_t *link_functions(wasmtime_component_linker_instance_t *root, const struct function *functions,
                                        size_t count, wasmtime_component_func_callback_t handler)
{
    wasmtime_error_t *error = NULL;
    wasmtime_component_linker_instance_t *interface = NULL;
    for (size_t i = 0; error == NULL && i < count; i++) {
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
                                                                handler, (void *)function, NULL);
    }
    if (interface != NULL)
        wasmtime_component_linker_instance_delete(interface);
    return error;
}

wasmtime_error_t *dl_link_functions(wasmtime_component_linker_t *linker)
{
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
    wasmtime_error_t *error = link_functions(root, dl_functions, FUNCTION_COUNT, handle_call);
    if (error == NULL)
        error = link_functions(root, dl_wasi_functions, DL_WASI_FUNCTION_COUNT, handle_wasi_call);
    wasmtime_component_linker_instance_delete(root);
    return error;
}

/* ---- A run ---- */

static void begin_run(struct run *run, const dl_policy *policy, const dl_host *host, void *user_data)
{
    *run = (struct run){
        .policy = policy,
        .host = {host, user_data, policy->allow_any_outcome},
        .record = DL_RECORD_NOT_DELETED,
        .deadline_ns = read_clock(CLOCK_MONOTONIC) + (uint64_t)policy->limits.execution_timeout_ms * 1000000u,
        .instances = calloc(policy->component_count, sizeof *run->instances),
    };
    if (run->instances == NULL)
        abort();
    for (size_t i = 0; i < policy->component_count; i++) {
        run->instances[i].run = run;
        run->instances[i].level = i;
        run->instances[i].calls_left = policy->limits.max_host_calls;
        run->instances[i].wasi_calls_left = policy->limits.max_wasi_calls;
        run->instances[i].bytes_left = policy->limits.max_host_call_bytes;
    }
}

static void end_run(struct run *run)
{
    for (size_t i = 0; i < run->policy->component_count; i++) {
        dl_rules_delete(&run->instances[i].rules);
        if (run->instances[i].store != NULL)
            wasmtime_store_delete(run->instances[i].store);
    }
    free(run->instances);
}

bool dl_try_component(const dl_policy *policy, size_t level, char message[DL_MESSAGE_BYTES + 1])
{
    struct run run;
    begin_run(&run, policy, NULL, NULL);
    struct instance *instance = &run.instances[level];
    resume_clock(instance);
    wasmtime_error_t *error = instantiate(instance);
    bool fits = error == NULL || run.has_called_missing_host;
    if (error != NULL)
        fail_with_error(instance, error);
    if (!fits)
        dl_copy_text(message, DL_MESSAGE_BYTES + 1, dl_string_from(run.message));
    end_run(&run);
    return fits;
}

/* ---- The answer of the policy ---- */

/* Accepts a success only if storage deleted the record, and a rejection only if it did not. */
static void copy_answer(struct run *run, const value *answer, dl_decision *decision)
{
    struct instance *policy = &run->instances[0];
    bool is_deleted = run->record == DL_RECORD_DELETED;
    if (answer->of.result.is_ok) {
        if (!is_deleted)
            fail_instance(policy, DL_FAILURE_FALSE_SUCCESS, "it reported a deletion that did not happen");
        decision->answer = DL_ANSWER_DELETED;
        decision->status = 204;
        if (run->deleting_rule != NULL)
            dl_copy_text(decision->rule, sizeof decision->rule, dl_string_from(run->deleting_rule));
    } else {
        const value *rejection = answer->of.result.val;
        size_t bytes = dl_text_of(dl_field_of(rejection, 2)).size + dl_text_of(dl_field_of(rejection, 3)).size;
        const char *violation = count_bytes(policy, bytes) ? dl_copy_rejection(rejection, decision) : NULL;
        char reason[256];
        if (violation != NULL) {
            snprintf(reason, sizeof reason, "its rejection violates the contract: %s", violation);
            fail_instance(policy, DL_FAILURE_INVALID_REJECTION, reason);
        } else if (is_deleted) {
            snprintf(reason, sizeof reason, "it rejected the request after deleting the record, by the rule \"%s\"",
                     decision->rule);
            fail_instance(policy, DL_FAILURE_REJECTED_AFTER_DELETION, reason);
        }
        decision->answer = DL_ANSWER_REJECTED;
    }
}

static void copy_failure(const struct run *run, dl_decision *decision)
{
    *decision = (dl_decision){
        .answer = DL_ANSWER_FAILED,
        .status = 500,
        .code = "internal-server-error",
        .error_code = "INTERNAL_SERVER_ERROR",
        .detail = "Internal server error",
        .rule = "policy-error",
        .failure = run->failure,
        .failed_guard = run->failed_guard,
    };
    memcpy(decision->message, run->message, sizeof decision->message);
}

/* ---- Deciding ---- */

/* Checks the arguments. Returns whether they are valid; otherwise the run has failed. */
static bool check_arguments(struct run *run, const dl_request *request, const dl_host *host)
{
    char message[128] = "";
    const struct {
        const char *name;
        bool is_missing;
    } functions[] = {
        {"current", host->current == NULL},
        {"locate", host->locate == NULL},
        {"find", host->find == NULL},
        {"delete_any", host->delete_any == NULL},
        {"delete_if_owned_by", host->delete_if_owned_by == NULL},
        {"delete_if_unchanged", host->delete_if_unchanged == NULL},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i].is_missing)
            snprintf(message, sizeof message, "the function \"%s\" of the host is NULL", functions[i].name);
    const struct {
        const char *name;
        dl_string text;
        bool is_optional;
    } texts[] = {
        {"learning_id", request->learning_id, false},
        {"db_id", request->db_id, true},
        {"table", request->table, true},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        dl_string text = texts[i].text;
        if (text.data == NULL && (text.size > 0 || !texts[i].is_optional))
            snprintf(message, sizeof message, "%s of the request is NULL; expected a string", texts[i].name);
        else if (text.data != NULL && dl_valid_utf8_bytes(text) < text.size)
            snprintf(message, sizeof message, "%s of the request is not UTF-8", texts[i].name);
    }
    if (message[0] != '\0')
        fail(run, DL_FAILURE_INVALID_ARGUMENT, message);
    return message[0] == '\0';
}

static value optional_value(dl_string text)
{
    return text.data == NULL ? dl_none() : dl_some(dl_string_value(text));
}

/* The name of the outermost guard that denied the deletion. */
static const char *denying_guard(const struct run *run)
{
    for (size_t i = 1; i < run->policy->component_count; i++)
        if (run->instances[i].rules.has_denied && run->record != DL_RECORD_DELETED)
            return run->policy->components[i].name;
    return NULL;
}

void dl_policy_decide(const dl_policy *policy, const dl_request *request, const dl_host *host, void *user_data,
                      dl_decision *decision)
{
    struct run run;
    begin_run(&run, policy, host, user_data);
    *decision = (dl_decision){0};
    if (check_arguments(&run, request, host)) {
        value answer;
        value argument = DL_RECORD_OF(dl_field("learning-id", dl_string_value(request->learning_id)),
                                      dl_field("db-id", optional_value(request->db_id)),
                                      dl_field("table", optional_value(request->table)));
        if (call_export(&run.instances[0], 0, &argument, &answer)) {
            copy_answer(&run, &answer, decision);
            dl_delete_value(&answer);
        }
        dl_delete_value(&argument);
    }
    if (run.failure != 0)
        copy_failure(&run, decision);
    decision->record = run.record;
    decision->denied_by = denying_guard(&run);
    end_run(&run);
}
