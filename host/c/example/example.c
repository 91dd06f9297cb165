/* A platform with its learnings in memory: example USER LEARNING-ID…
 *
 * Deletes the learnings as that user, and prints each answer. Replace `table` by your database: each delete must check
 * its condition and delete in one step, as the mutex makes them here.
 */
#include <delete_learning.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- The database ---- */

struct row {
    const char *id;
    const char *owner; /* NULL for a learning that agents share */
    unsigned revision; /* a change to any column must change it */
    bool exists;
};

static struct row table[] = {
    {"user_memory_7", "alice", 1, true},
    {"user_memory_8", "bob", 1, true},
    {"shared_9", NULL, 1, true},
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct row *find_row(const char *id)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].exists && strcmp(table[i].id, id) == 0)
            return &table[i];
    return NULL;
}

/* ---- The request: its caller, who is authenticated, and the one record that it names ---- */

struct request {
    const char *user;
    const char *id;
    char revision[16];
};

static bool current(void *user_data, dl_caller *caller, dl_identity_error *error)
{
    (void)error;
    static const dl_string scopes[] = {{"learnings:delete", 16}};
    struct request *request = user_data;
    caller->credential = DL_CREDENTIAL_JWT;
    caller->subject = dl_string_from(request->user);
    caller->scopes = scopes;
    caller->scope_count = 1;
    caller->admin_scope = dl_string_from("agent_os:admin");
    return true;
}

static bool locate(void *user_data, dl_target *target, dl_storage_error *error)
{
    (void)user_data, (void)error;
    target->database = dl_string_from("main");
    target->table = dl_string_from("learnings");
    return true;
}

static bool find(void *user_data, bool *found, dl_learning *learning, dl_storage_error *error)
{
    (void)error;
    struct request *request = user_data;
    pthread_mutex_lock(&mutex);
    struct row *row = find_row(request->id);
    *found = row != NULL;
    if (row != NULL) {
        snprintf(request->revision, sizeof request->revision, "%u", row->revision);
        learning->learning_type = dl_string_from("user_memory");
        learning->user_id = dl_string_from(row->owner);
        learning->content = dl_string_from("{}");
        learning->revision = dl_string_from(request->revision);
    }
    pthread_mutex_unlock(&mutex);
    return true;
}

static bool equals(dl_string text, const char *other)
{
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static bool delete_any(void *user_data, dl_outcome *outcome, dl_storage_error *error)
{
    (void)error;
    struct request *request = user_data;
    pthread_mutex_lock(&mutex);
    struct row *row = find_row(request->id);
    *outcome = row == NULL ? DL_OUTCOME_ABSENT : DL_OUTCOME_DELETED;
    if (row != NULL)
        row->exists = false;
    pthread_mutex_unlock(&mutex);
    return true;
}

static bool delete_if_owned_by(void *user_data, dl_string user_id, dl_outcome *outcome, dl_storage_error *error)
{
    (void)error;
    struct request *request = user_data;
    pthread_mutex_lock(&mutex);
    struct row *row = find_row(request->id);
    if (row == NULL)
        *outcome = DL_OUTCOME_ABSENT;
    else if (row->owner == NULL)
        *outcome = DL_OUTCOME_UNOWNED;
    else if (!equals(user_id, row->owner))
        *outcome = DL_OUTCOME_OWNED_BY_ANOTHER;
    else
        *outcome = DL_OUTCOME_DELETED;
    if (*outcome == DL_OUTCOME_DELETED)
        row->exists = false;
    pthread_mutex_unlock(&mutex);
    return true;
}

static bool delete_if_unchanged(void *user_data, dl_string revision, dl_outcome *outcome, dl_storage_error *error)
{
    (void)error;
    struct request *request = user_data;
    char current_revision[16];
    pthread_mutex_lock(&mutex);
    struct row *row = find_row(request->id);
    snprintf(current_revision, sizeof current_revision, "%u", row == NULL ? 0 : row->revision);
    if (row == NULL)
        *outcome = DL_OUTCOME_ABSENT;
    else if (!equals(revision, current_revision))
        *outcome = DL_OUTCOME_CHANGED;
    else
        *outcome = DL_OUTCOME_DELETED;
    if (*outcome == DL_OUTCOME_DELETED)
        row->exists = false;
    pthread_mutex_unlock(&mutex);
    return true;
}

static const dl_host host = {current, locate, find, delete_any, delete_if_owned_by, delete_if_unchanged};

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: example USER LEARNING-ID...\n");
        return 2;
    }
    char error[256];
    dl_policy *policy = dl_policy_load_default(NULL, error, sizeof error);
    if (policy == NULL) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        struct request request = {.user = argv[1], .id = argv[i]};
        dl_decision decision;
        dl_policy_decide(policy, &(dl_request){.learning_id = dl_string_from(request.id)}, &host, &request, &decision);
        if (decision.answer == DL_ANSWER_DELETED)
            printf("%u\n", decision.status);
        else
            printf("%u {\"detail\": \"%s\", \"error_code\": \"%s\"}\n", decision.status, decision.detail,
                   decision.error_code);
        /* The audit event. Only this names the cause. */
        fprintf(stderr, "audit: user=%s learning=%s rule=%s record=%s %s\n", request.user, request.id, decision.rule,
                dl_record_name(decision.record), decision.message);
    }
    dl_policy_free(policy);
    return 0;
}
