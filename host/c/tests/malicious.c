/* Runs malicious policies and guards, as tests/malicious.py planned: malicious PLAN */
#define _POSIX_C_SOURCE 200809L

#include "record.h"

#include <stdlib.h>

#include <wasmtime.h>

static wasm_byte_vec_t read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    static char text[1 << 20];
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    wasm_byte_vec_t binary;
    wasmtime_error_t *error = wasmtime_wat2wasm(text, size, &binary);
    if (error != NULL) {
        wasm_byte_vec_t message;
        wasmtime_error_message(error, &message);
        printf("%s: %.*s\n", path, (int)message.size, message.data);
        exit(2);
    }
    return binary;
}

static dl_policy *load(const char *path, const dl_options *options, char *error, size_t error_size)
{
    if (strcmp(path, "default") == 0)
        return dl_policy_load_default(options, error, error_size);
    wasm_byte_vec_t binary = read_file(path);
    dl_policy *policy = dl_policy_load(binary.data, binary.size, options, error, error_size);
    wasm_byte_vec_delete(&binary);
    return policy;
}

struct test {
    char *kind, *component, *policy, *expectation, *value, *record;
};

/* Whether the decision is answered as the expectation requires. */
static bool is_expected(const struct test *test, const dl_decision *decision)
{
    const char *failure = decision->failure == 0 ? "" : dl_failure_name(decision->failure);
    if (strcmp(test->expectation, "violates") == 0)
        return strcmp(failure, "guard-violation") == 0 && strstr(decision->message, test->value) != NULL;
    if (strcmp(test->expectation, "fails") == 0)
        return strcmp(failure, test->value) == 0;
    return decision->failure == 0 && decision->status == (unsigned)atoi(test->value);
}

static void check_decision(const struct test *test, const dl_policy *policy)
{
    struct record record = {true, "alice"};
    dl_decision decision = decide(policy, &record_host, &record);
    bool is_guard = strcmp(test->kind, "guard") == 0, has_failed = decision.answer == DL_ANSWER_FAILED;
    CHECK(is_expected(test, &decision), "%s: %u %s", test->component, decision.status, decision.message);
    CHECK(strcmp(dl_record_name(decision.record), test->record) == 0, "%s: %s", test->component,
          dl_record_name(decision.record));
    CHECK(record.exists == (decision.record == DL_RECORD_NOT_DELETED), "%s", test->component);
    CHECK(has_failed == (decision.failure != 0) && (!has_failed || decision.status == 500), "%s", test->component);
    const char *failed = has_failed && is_guard ? "malicious" : "", *denied = decision.status == 403 && is_guard ? "malicious" : "";
    CHECK(strcmp(decision.failed_guard == NULL ? "" : decision.failed_guard, failed) == 0, "%s: %s", test->component,
          decision.message);
    CHECK(strcmp(decision.denied_by == NULL ? "" : decision.denied_by, denied) == 0, "%s", test->component);
}

static void run(const struct test *test, const dl_options *options, const char *policy_file)
{
    char error[512];
    dl_policy *policy = load(policy_file, options, error, sizeof error);
    bool fails_to_load = strcmp(test->expectation, "load") == 0;
    CHECK((policy == NULL) == fails_to_load, "%s: %s", test->component, policy == NULL ? error : "it loaded");
    if (policy == NULL && fails_to_load)
        CHECK(strstr(error, test->value) != NULL, "%s: %s", test->component, error);
    for (int i = 0; policy != NULL && i < 3; i++)
        check_decision(test, policy);
    dl_policy_free(policy);
}

int main(int argc, char **argv)
{
    FILE *plan = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (plan == NULL) {
        fprintf(stderr, "usage: malicious PLAN\n");
        return 2;
    }
    /* The components are written in the syntax that the Rust library's version of the parser accepts. */
    setenv("WAST_STRICT_COMPONENT_INDICES", "0", 1);
    char directory[4096];
    snprintf(directory, sizeof directory, "%.*s/components/guards/forwards.wat",
             (int)(strrchr(argv[1], '/') - argv[1]), argv[1]);
    wasm_byte_vec_t forwards = read_file(directory);
    const dl_guard forward = {"forwards", forwards.data, forwards.size};

    char line[8192];
    int tests = 0;
    for (; fgets(line, sizeof line, plan) != NULL; tests++) {
        line[strcspn(line, "\n")] = '\0';
        char *fields[6] = {line};
        for (int i = 1; i < 6; i++) {
            fields[i] = strchr(fields[i - 1], '\t');
            if (fields[i] == NULL)
                return 2;
            *fields[i]++ = '\0';
        }
        struct test test = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
        if (strcmp(test.kind, "policy") == 0) {
            run(&test, NULL, test.component);
            continue;
        }
        wasm_byte_vec_t binary = read_file(test.component);
        const dl_guard malicious = {"malicious", binary.data, binary.size};
        const dl_guard chain[] = {forward, malicious, forward, forward};
        run(&test, &(dl_options){.guards = &chain[1], .guard_count = 1}, test.policy);
        run(&test, &(dl_options){.guards = chain, .guard_count = 4}, test.policy);
        wasm_byte_vec_delete(&binary);
    }
    fclose(plan);
    wasm_byte_vec_delete(&forwards);
    return report("malicious policies and guards", tests);
}
