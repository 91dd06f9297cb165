/* Runs malicious policies and guards, as tests/malicious.py planned: malicious PLAN */
#include "record.h"

#include <stdlib.h>

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *content = malloc(1 << 20);
    if (file == NULL || content == NULL) {
        perror(path);
        exit(2);
    }
    *size = fread(content, 1, 1 << 20, file);
    fclose(file);
    return content;
}

static dl_policy *load(const char *path, const dl_options *options, char *error, size_t error_size)
{
    return strcmp(path, "default") == 0 ? dl_policy_load_default(options, error, error_size)
                                        : dl_policy_load_file(path, options, error, error_size);
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
    struct record record = {.exists = true, .owner = "alice"};
    dl_decision decision = decide(policy, &record_host, &record);
    bool is_guard = strcmp(test->kind, "guard") == 0, has_failed = decision.answer == DL_ANSWER_FAILED;
    CHECK(is_expected(test, &decision), "%s: %u %s", test->component, decision.status, decision.message);
    CHECK(strcmp(dl_record_name(decision.record), test->record) == 0, "%s: %s", test->component,
          dl_record_name(decision.record));
    CHECK(record.exists == (decision.record == DL_RECORD_NOT_DELETED), "%s", test->component);
    CHECK(has_failed == (decision.failure != 0) && (!has_failed || decision.status == 500), "%s", test->component);
    const char *failed = has_failed && is_guard ? "malicious" : "";
    const char *denied = decision.status == 403 && is_guard ? "malicious" : "";
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
    char path[4096];
    int directory_size = (int)(strrchr(argv[1], '/') - argv[1]);
    snprintf(path, sizeof path, "%.*s/components/guards/forwards.wasm", directory_size, argv[1]);
    dl_guard forward = {.name = "forwards"};
    char *forwards = read_file(path, &forward.component_size);
    forward.component = forwards;

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
        dl_guard malicious = {.name = "malicious"};
        char *component = read_file(test.component, &malicious.component_size);
        malicious.component = component;
        const dl_guard chain[] = {forward, malicious, forward, forward};
        run(&test, &(dl_options){.guards = &chain[1], .guard_count = 1}, test.policy);
        run(&test, &(dl_options){.guards = chain, .guard_count = 4}, test.policy);
        free(component);
    }
    fclose(plan);
    free(forwards);
    printf("%d ", tests);
    return report("malicious policies and guards");
}
