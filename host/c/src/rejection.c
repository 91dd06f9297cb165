#include "rejection.h"

#include "text.h"

#include <string.h>

static const struct {
    const char *code, *error_code;
    unsigned status;
} codes[] = {
    {"bad-request", "BAD_REQUEST", 400},
    {"unauthenticated", "UNAUTHENTICATED", 401},
    {"forbidden", "FORBIDDEN", 403},
    {"not-found", "NOT_FOUND", 404},
    {"conflict", "CONFLICT", 409},
    {"too-many-requests", "TOO_MANY_REQUESTS", 429},
    {"internal-server-error", "INTERNAL_SERVER_ERROR", 500},
    {"not-implemented", "NOT_IMPLEMENTED", 501},
    {"service-unavailable", "SERVICE_UNAVAILABLE", 503},
};

const char *dl_copy_rejection(const value *rejection, dl_decision *decision)
{
    unsigned status = dl_field_of(rejection, 0)->of.u16;
    dl_string code = dl_text_of(dl_field_of(rejection, 1));
    dl_string detail = dl_text_of(dl_field_of(rejection, 2)), rule = dl_text_of(dl_field_of(rejection, 3));
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (status == codes[i].status && dl_strings_equal(code, dl_string_from(codes[i].code))) {
            decision->status = status;
            decision->code = codes[i].code;
            decision->error_code = codes[i].error_code;
        }
    if (decision->code == NULL)
        return "its status does not belong to its code";
    if (detail.size == 0 || detail.size > DL_DETAIL_BYTES)
        return "its detail is empty or too long";
    if (dl_has_control_characters(detail))
        return "its detail contains control characters";
    static const char rule_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    bool is_name = rule.size > 0 && rule.size <= DL_RULE_BYTES;
    for (size_t i = 0; is_name && i < rule.size; i++)
        is_name = memchr(rule_characters, rule.data[i], sizeof rule_characters - 1) != NULL;
    if (!is_name)
        return "its rule is not a name of 1 to 64 characters of a-z, 0-9 and '-'";
    dl_copy_text(decision->detail, sizeof decision->detail, detail);
    dl_copy_text(decision->rule, sizeof decision->rule, rule);
    return NULL;
}
