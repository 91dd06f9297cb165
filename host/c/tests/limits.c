/* The limits, load errors and threads: limits COMPONENTS, the directory that tests/malicious.py filled. */
#define _POSIX_C_SOURCE 200809L

#include "record.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static const char *components;

static dl_policy *load(const char *name, const dl_limits *limits, char error[512])
{
    dl_options options = {.limits = limits};
    if (name == NULL)
        return dl_policy_load_default(&options, error, 512);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.wasm", components, name);
    return dl_policy_load_file(path, &options, error, 512);
}

static bool slow_locate(void *user_data, dl_target *target, dl_storage_error *error)
{
    nanosleep(&(struct timespec){.tv_nsec = 150 * 1000 * 1000}, NULL);
    return record_locate(user_data, target, error);
}

static bool busy_locate(void *user_data, dl_target *target, dl_storage_error *error)
{
    struct timespec start, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 150);
    return record_locate(user_data, target, error);
}

/* A decision of this component fails with this message. */
static void check_failure(const char *name, const dl_limits *limits, const dl_host *host, dl_failure failure,
                          const char *message)
{
    char error[512] = "";
    dl_policy *policy = load(name, limits, error);
    CHECK(policy != NULL, "%s", error);
    if (policy == NULL)
        return;
    struct record record = {.exists = true, .owner = "alice"};
    dl_decision decision = decide(policy, host, &record);
    CHECK(decision.failure == failure, "%s: %s", name, decision.message);
    CHECK(strcmp(decision.message, message) == 0, "%s: %s", name, decision.message);
    CHECK(decision.status == 500 && record.exists && decision.record == DL_RECORD_NOT_DELETED, "%s", name);
    /* The next decision of the same policy is not affected by the last one. */
    CHECK(decide(policy, host, &record).failure == failure, "%s", name);
    dl_policy_free(policy);
}

static void check_load_error(const char *name, const dl_limits *limits, const char *message)
{
    char error[512] = "";
    dl_policy *policy = load(name, limits, error);
    CHECK(policy == NULL && strstr(error, message) != NULL, "%s", error);
    dl_policy_free(policy);
}

static void check_guard_error(const dl_guard *guard, const char *message)
{
    char error[512] = "";
    dl_options options = {.guards = guard, .guard_count = 1};
    dl_policy *policy = dl_policy_load_default(&options, error, sizeof error);
    CHECK(policy == NULL && strstr(error, message) != NULL, "%s", error);
    dl_policy_free(policy);
}

static uint64_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

struct thread {
    pthread_t thread;
    const dl_policy *policy;
    dl_decision wrong; /* the first wrong decision */
};

static void *decide_often(void *data)
{
    struct thread *thread = data;
    for (int i = 0; i < 50; i++) {
        struct record record = {.exists = true, .owner = i % 2 == 0 ? "alice" : "bob"};
        dl_decision decision = decide(thread->policy, &record_host, &record);
        if (record.exists != (i % 2 != 0) || decision.status != (i % 2 == 0 ? 204u : 404u))
            return thread->wrong = decision, thread;
    }
    return NULL;
}

static void check_threads(void)
{
    dl_policy *policy = dl_policy_load_default(NULL, NULL, 0);
    CHECK(policy != NULL, "the default policy loads without a buffer for the error");
    struct thread threads[8];
    for (int i = 0; i < 8; i++) {
        threads[i].policy = policy;
        if (pthread_create(&threads[i].thread, NULL, decide_often, &threads[i]) != 0)
            abort();
    }
    for (int i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i].thread, &failed);
        CHECK(failed == NULL, "thread %d decided %u: %s", i, threads[i].wrong.status, threads[i].wrong.message);
    }
    dl_policy_free(policy);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: limits COMPONENTS\n");
        return 2;
    }
    components = argv[1];

    dl_limits limits = dl_limits_default();
    limits.cpu_time_limit_ms = 50;
    uint64_t start = seconds();
    check_failure("spins_before_calls", &limits, &record_host, DL_FAILURE_CPU_TIME_LIMIT,
                  "the policy failed: it exceeded the CPU time limit");
    CHECK(seconds() - start < 30, "a policy that spins is stopped");

    limits = dl_limits_default();
    limits.cpu_time_limit_ms = 60000;
    limits.execution_timeout_ms = 100;
    check_failure("spins_before_calls", &limits, &record_host, DL_FAILURE_EXECUTION_TIMEOUT,
                  "the policy failed: it exceeded the execution timeout");
    dl_host slow = record_host;
    slow.locate = slow_locate;
    check_failure("locates_endlessly", &limits, &slow, DL_FAILURE_EXECUTION_TIMEOUT,
                  "the policy failed: it exceeded the execution timeout");

    limits = dl_limits_default();
    limits.cpu_time_limit_ms = 60000;
    limits.max_fuel = 1000000;
    check_failure("spins_before_calls", &limits, &record_host, DL_FAILURE_FUEL,
                  "the policy failed: it exceeded the limit on fuel");
    limits.max_fuel = 10;
    check_failure(NULL, &limits, &record_host, DL_FAILURE_FUEL, "the policy failed: it exceeded the limit on fuel");

    limits = dl_limits_default();
    limits.max_host_calls = 1;
    check_failure(NULL, &limits, &record_host, DL_FAILURE_HOST_CALLS,
                  "the policy failed: it called the host too often");

    /* The time between all calls counts together. */
    limits = dl_limits_default();
    limits.max_host_calls = UINT32_MAX;
    limits.cpu_time_limit_ms = 50;
    check_failure("spins_and_locates_endlessly", &limits, &record_host, DL_FAILURE_CPU_TIME_LIMIT,
                  "the policy failed: it exceeded the CPU time limit");

    /* Time in calls to the host is not processor time of the policy. */
    limits = dl_limits_default();
    limits.max_host_calls = 3;
    limits.cpu_time_limit_ms = 100;
    dl_host busy = record_host;
    busy.locate = busy_locate;
    check_failure("locates_endlessly", &limits, &busy, DL_FAILURE_HOST_CALLS,
                  "the policy failed: it called the host too often");

    limits = dl_limits_default();
    limits.max_component_bytes = 10;
    check_load_error(NULL, &limits, "which exceeds max_component_bytes (10)");
    limits = dl_limits_default();
    limits.max_memory_bytes = 64 << 10;
    check_load_error("traps", &limits, "the policy cannot be loaded: it was stopped: ");
    limits = dl_limits_default();
    limits.max_host_calls = 0;
    check_load_error(NULL, &limits, "max_host_calls is 0; expected 1 to 4294967295");
    limits = dl_limits_default();
    limits.max_stack_bytes = SIZE_MAX;
    check_load_error(NULL, &limits, "max_stack_bytes is 18446744073709551615; expected 16384 to 1073741824");
    check_guard_error(&(dl_guard){.name = "hold", .component = "text", .component_size = 4},
                      "the guard \"hold\" cannot be loaded: ");
    check_guard_error(&(dl_guard){.component = "text", .component_size = 4},
                      "the name of guard 0 is NULL; expected a string");
    char error[16] = "";
    CHECK(dl_policy_load_file("/nonexistent/policy", NULL, error, sizeof error) == NULL, "it loaded");
    CHECK(strcmp(error, "cannot read \"/n") == 0, "%s", error);
    dl_policy_free(NULL);

    check_threads();
    return report("limits, load errors, threads");
}
