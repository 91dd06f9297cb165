/* The guards of guest/examples, with their settings and the wall clock: guards EXAMPLES */
#include "record.h"

#include <stdlib.h>
#include <time.h>

static dl_guard read_guard(const char *examples, const char *name, dl_access access)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/component/%s.wasm", examples, name, name);
    FILE *file = fopen(path, "rb");
    void *component = malloc(1 << 20);
    if (file == NULL || component == NULL) {
        perror(path);
        exit(2);
    }
    dl_guard guard = {.name = name, .component = component, .access = access};
    guard.component_size = fread(component, 1, 1 << 20, file);
    fclose(file);
    return guard;
}

/* Decides on a record of alice that was created at this time. `denied_by` is NULL if the record is deleted. */
static void check(const dl_guard *guards, size_t count, int64_t created_at, const char *denied_by)
{
    char error[512];
    dl_options options = {.guards = guards, .guard_count = count};
    dl_policy *policy = dl_policy_load_default(&options, error, sizeof error);
    CHECK(policy != NULL, "%s", error);
    if (policy == NULL)
        return;
    struct record record = {.exists = true, .owner = "alice", .created_at = created_at};
    dl_decision decision = decide(policy, &record_host, &record);
    CHECK(decision.status == (denied_by == NULL ? 204 : 403), "%u %s", decision.status, decision.message);
    CHECK(record.exists == (denied_by != NULL), "%u", decision.status);
    CHECK(strcmp(decision.rule, denied_by == NULL ? "deleted-as-owner" : "deletion-denied") == 0, "%s", decision.rule);
    CHECK((denied_by == NULL) == (decision.denied_by == NULL), "denied_by");
    CHECK(denied_by == NULL || strcmp(decision.denied_by, denied_by) == 0, "%s", decision.denied_by);
    dl_policy_free(policy);
}

static void check_load_error(const dl_guard *guard, const char *message)
{
    char error[512] = "";
    dl_options options = {.guards = guard, .guard_count = 1};
    CHECK(dl_policy_load_default(&options, error, sizeof error) == NULL && strstr(error, message) != NULL, "%s", error);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: guards EXAMPLES\n");
        return 2;
    }
    const dl_setting holds_alice[] = {{"held_users", "[\"alice\"]"}, {"held_sessions", "[]"}};
    const dl_setting holds_bob[] = {{"held_users", "[\"bob\"]"}};
    const dl_setting ten_days[] = {{"default_minimum_age_days", "10"}};
    const int64_t now = time(NULL), day = 24 * 60 * 60;

    dl_guard hold = read_guard(argv[1], "legal-hold", (dl_access){0});
    dl_guard retention = read_guard(argv[1], "retention", (dl_access){ten_days, 1, true});
    check(&hold, 1, now, NULL);
    hold.access = (dl_access){holds_alice, 2, false};
    check(&hold, 1, now, "legal-hold");
    hold.access = (dl_access){holds_bob, 1, false};
    check(&hold, 1, now, NULL);
    check(&retention, 1, now - 9 * day, "retention");
    check(&retention, 1, now - 11 * day, NULL);

    dl_guard chain[] = {hold, retention};
    check(chain, 2, now - 11 * day, NULL);
    check(chain, 2, now - 9 * day, "retention");
    chain[0].access = (dl_access){holds_alice, 2, false};
    check(chain, 2, now - 9 * day, "legal-hold");

    dl_limits limits = dl_limits_default();
    limits.max_wasi_calls = 1;
    dl_policy *policy =
        dl_policy_load_default(&(dl_options){.limits = &limits, .guards = &hold, .guard_count = 1}, NULL, 0);
    CHECK(policy != NULL, "it loads");
    dl_decision decision = decide(policy, &record_host, &(struct record){.exists = true, .owner = "alice"});
    CHECK(strcmp(decision.message, "the guard \"legal-hold\" failed: it called the host too often") == 0, "%s",
          decision.message);
    dl_policy_free(policy);

    retention.access.wall_clock = false;
    check_load_error(&retention, "which is not granted: set `wall_clock` in its access");
    hold.access = (dl_access){&(dl_setting){"held_users", NULL}, 1, false};
    check_load_error(&hold, "the key or the value of setting 0 is NULL or not UTF-8");
    hold.access = (dl_access){&(dl_setting){"held_users", "\xff"}, 1, false};
    check_load_error(&hold, "the key or the value of setting 0 is NULL or not UTF-8");

    free((void *)hold.component);
    free((void *)retention.component);
    return report("guards with settings and a clock");
}
