#include "names.h"

#include "delete_learning.h"

const char *const dl_credential_names[] = {NULL, "jwt", "service-account", "security-key", "none", NULL};
const char *const dl_identity_error_kind_names[] = {
    NULL,
    "missing",          "malformed",   "invalid",      "expired",     "wrong-audience",
    "reserved-subject", "not-enabled", "rate-limited", "unavailable", "internal",
    NULL,
};
const char *const dl_outcome_names[] = {NULL, "absent", "unowned", "owned-by-another", "changed", "deleted", NULL};
const char *const dl_storage_error_kind_names[] = {
    NULL,
    "invalid-learning-id", "repeated-parameter", "database-required", "unknown-database", "unknown-table",
    "unsupported",         "denied",             "unavailable",       "outcome-unknown",  "internal",
    NULL,
};
static const char *const record_names[] = {NULL, "not-deleted", "deleted", "unknown", NULL};
static const char *const failure_names[] = {
    NULL,
    "trap",
    "cpu-time-limit",
    "execution-timeout",
    "fuel",
    "host-calls",
    "host-call-bytes",
    "false-success",
    "rejected-after-deletion",
    "invalid-rejection",
    "guard-violation",
    "invalid-answer",
    "invalid-argument",
    NULL,
};

static const char *name_of(const char *const names[], unsigned value)
{
    unsigned count = 1;
    while (names[count] != NULL)
        count++;
    return value < count ? names[value] : NULL;
}

const char *dl_credential_name(dl_credential value)
{
    return name_of(dl_credential_names, value);
}

const char *dl_identity_error_kind_name(dl_identity_error_kind value)
{
    return name_of(dl_identity_error_kind_names, value);
}

const char *dl_outcome_name(dl_outcome value)
{
    return name_of(dl_outcome_names, value);
}

const char *dl_storage_error_kind_name(dl_storage_error_kind value)
{
    return name_of(dl_storage_error_kind_names, value);
}

const char *dl_record_name(dl_record value)
{
    return name_of(record_names, value);
}

const char *dl_failure_name(dl_failure value)
{
    return name_of(failure_names, value);
}
