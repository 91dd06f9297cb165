"""The rules that explain the differences between both responses, by the names of their rows in DIFFERENCES.md."""

import json
import re

from accounts import ODD_SCOPES
from accounts import token as account_token
from exchange import (
    credentials,
    decode_leniently,
    encoded_id,
    has_account_token,
    head_size,
    is_strict_base64url,
    json_violation,
    learning_id,
    parameters,
    token_json,
    token_parts,
)


def is_refusal(response, status, detail):
    return (response.status, response.detail, response.deleted) == (status, detail, [])


def is_converted_to_number(claim):
    try:
        return isinstance(claim, str | bool) and int(claim) is not None
    except ValueError:
        return False


def has_repeated_parameter(request):
    return len(parameters(request, "db_id")) > 1 or len(parameters(request, "table")) > 1


def quotes_sanitized_name(request, ours, agnos):
    names = parameters(request, "db_id") + parameters(request, "table")
    is_sanitized = any(len(name.encode()) > 400 or any(is_control(character) for character in name) for name in names)
    return is_sanitized and (ours.status, ours.deleted) == (agnos.status, agnos.deleted) == (404, [])


def is_control(character):
    return ord(character) < 32 or 127 <= ord(character) < 160


def is_utf8(content):
    try:
        return content.decode() is not None
    except UnicodeDecodeError:
        return False


def configured_claim(c, request, option):
    """Returns the claim of the token that an option of the configuration names, or None."""
    return token_json(request, 1).get(c.get("claims", {}).get(option))


def token_scopes(request):
    scopes = token_json(request, 1).get("scopes")
    return scopes if isinstance(scopes, list) else []


def account_scopes(request):
    """Returns the stored scopes of the account with odd scopes that sends the request, as a JSON text, or None."""
    for value in credentials(request):
        for name, scopes in ODD_SCOPES.items():
            if account_token(name) in value:
                return scopes
    return None


def is_list_of_strings(scopes):
    try:
        value = json.loads(scopes)
        return isinstance(value, list) and all(isinstance(scope, str) for scope in value)
    except ValueError:
        return False


def has_nonstrict_json(request):
    """Whether only a lenient parser accepts the header or the claims. Only claims can have repeated members."""
    decoded = [decode_leniently(part) for part in token_parts(request)[:2]]
    return any(
        content is not None and json_violation(content, allow_repeated)
        for content, allow_repeated in zip(decoded, (False, True))
    )


# The name of the row in DIFFERENCES.md, and whether the row explains a difference between our response and Agno's. The
# arguments of a rule: configuration, request, our response, Agno's response.
RULES = [
    (
        "the reason for rejecting a token",
        lambda c, request, ours, agnos: is_refusal(ours, 401, "Invalid token")
        and agnos.status == 401
        and re.match("Invalid token: |Error decoding token: ", agnos.detail),
    ),
    (
        "a confined token without `sub`",
        lambda c, request, ours, agnos: c["isolation"]
        and not token_json(request, 1).get("sub")
        and is_refusal(ours, 403, "Authenticated request is missing a user identity")
        and is_refusal(agnos, 404, "Learning not found"),
    ),
    (
        "repeated `db_id` or `table`",
        lambda c, request, ours, agnos: has_repeated_parameter(request) and (ours.status, ours.deleted) == (400, []),
    ),
    (
        "a trailing slash, `/learnings/a/`",
        lambda c, request, ours, agnos: request.path.endswith("/") and is_refusal(ours, 404, "Not Found"),
    ),
    (
        "an id with an encoded `/`",
        lambda c, request, ours, agnos: "/" not in encoded_id(request)
        and b"/" in learning_id(request)
        # Independent of Agno's response, our server must not delete another record.
        and {id.encode() for _, id in ours.deleted} <= {learning_id(request)},
    ),
    (
        "an id that is not UTF-8, or longer than 4096 bytes",
        lambda c, request, ours, agnos: (not is_utf8(learning_id(request)) or len(learning_id(request)) > 4096)
        and is_refusal(ours, 400, "The learning_id must be UTF-8, percent-encoded, and not overlong"),
    ),
    (
        "`table=` names another table of Agno",
        lambda c, request, ours, agnos: parameters(request, "table") == ["agno_sessions"]
        and [
            is_refusal(ours, 404, f"No database with id '{id}' has table 'agno_sessions'")
            for id in parameters(request, "db_id")
        ]
        == [True],
    ),
    (
        "a token without the `Bearer` scheme, or two `Authorization` headers",
        lambda c, request, ours, agnos: is_refusal(ours, 401, "Authorization header must be one 'Bearer <token>'"),
    ),
    (
        "`exp`, `nbf` or `iat` is a numeric string or `true`",
        lambda c, request, ours, agnos: any(
            is_converted_to_number(token_json(request, 1).get(name)) for name in ("exp", "nbf", "iat")
        )
        and is_refusal(ours, 401, "Invalid token"),
    ),
    (
        "`Bearer` without a token",
        lambda c, request, ours, agnos: [value.strip().lower() for value in credentials(request)] == ["bearer"]
        and is_refusal(ours, 401, "Authorization header " + ("missing" if c["mode"] == "jwt" else "required"))
        and (agnos.status, agnos.deleted) == (401, []),
    ),
    (
        "a token part that is not strict base64url",
        lambda c, request, ours, agnos: not all(is_strict_base64url(part) for part in token_parts(request))
        and is_refusal(ours, 401, "Invalid token"),
    ),
    (
        "a token part that is not strict JSON, or exceeds a limit",
        lambda c, request, ours, agnos: has_nonstrict_json(request) and is_refusal(ours, 401, "Invalid token"),
    ),
    (
        "the scope `learnings::delete`",
        lambda c, request, ours, agnos: (
            token_json(request, 1).get("scopes") == ["learnings::delete"]
            or account_scopes(request) == '["learnings::delete"]'
        )
        and is_refusal(ours, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "a list of scopes that contains a non-string",
        lambda c, request, ours, agnos: not c["enforce"]
        and any(not isinstance(scope, str) for scope in token_scopes(request))
        and c["admin_scope"] in token_scopes(request)
        and ours.deleted == [],
    ),
    (
        "a scopes claim other than `scopes` that is a string with spaces",
        lambda c, request, ours, agnos: " " in str(configured_claim(c, request, "scopes_claim"))
        and isinstance(configured_claim(c, request, "scopes_claim"), str)
        and is_refusal(agnos, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "a configured claim that names the user and is not a string",
        lambda c, request, ours, agnos: not isinstance(configured_claim(c, request, "user_id_claim"), str | None)
        and is_refusal(ours, 401, "Invalid token"),
    ),
    (
        "scopes of a service account that are not a list of strings",
        lambda c, request, ours, agnos: account_scopes(request) is not None
        and not is_list_of_strings(account_scopes(request))
        and is_refusal(ours, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "other routes",
        lambda c, request, ours, agnos: "/" in encoded_id(request) and is_refusal(ours, 404, "Not Found"),
    ),
    (
        "a token with a `crit` header",
        lambda c, request, ours, agnos: "crit" in token_json(request, 0) and is_refusal(ours, 401, "Invalid token"),
    ),
    (
        "`detail` contains a name from the request",
        lambda c, request, ours, agnos: quotes_sanitized_name(request, ours, agnos),
    ),
    (
        "a service account token without configured authentication",
        lambda c, request, ours, agnos: c["mode"] == "none" and has_account_token(request),
    ),
    (
        "request line and headers above `server.max_header_bytes`, or more than 1024 header lines",
        # The 200 bytes and 8 lines are for the headers that Python's client adds, such as Host. Agno's HTTP library refuses
        # an incomplete head of more than 16 KiB, which depends on how many bytes it reads at once.
        lambda c, request, ours, agnos: (
            is_refusal(ours, 431, None) and (head_size(request) > 65_536 - 200 or len(request.headers) > 1024 - 8)
        )
        or (is_refusal(agnos, 400, "Invalid HTTP request received.") and head_size(request) > 16_384 - 200),
    ),
]

# Differences of every error response. They are checked in each response.
ALWAYS = ["body of an error", "401", "429 and 503"]

# Differences of CORS. They are checked by `compare_cors` in differential.py.
CORS = ["`Access-Control-Expose-Headers`", "an origin that is not allowed", "two `Origin` headers", "the answer to a preflight",
    "a preflight with `Access-Control-Request-Private-Network`", "`Access-Control-Allow-Methods` and `-Headers` in a 401"]  # fmt: skip

# Rows that the differential test cannot observe, and the Rust test that shows each.
OTHER_TESTS = {
    "the owner changes between check and delete": "delete_by_former_owner_is_refused",
    "the record is deleted between check and delete": "record_deleted_concurrently_is_404",
    "an error while deleting": "storage_error_is_500_and_its_cause_is_only_logged",
    "a database that stays locked, is unreachable, or is read-only": "locked_database_is_503_after_the_busy_timeout",
    "a database that receives a delete and does not respond": "hanging_storage_times_out_with_unknown_outcome",
    "PostgreSQL with `synchronous_commit = off`": "synchronous_commit_off_is_overridden_or_prevents_startup",
    "JWKS entries with another `use` than `sig`, another `alg` than configured, or `key_ops` without `verify`": "jwk_with_mismatched_use_or_alg_does_not_verify",
    "a JWKS file that changes": "changed_jwks_file_is_reloaded_unless_it_is_broken",
    "`JWT_JWKS`": "key_set_of_the_environment_verifies_tokens",
    "a security key that no request can present": "security_key_that_never_matches_is_refused_at_startup",
    "a secret or key that is too short for its algorithm": "short_or_mismatched_key_is_rejected",
    "scopes and user isolation, by default": "missing_scope_is_403_before_the_record_is_resolved",
    "no authentication configured": "invalid_configuration_is_reported_with_its_key",
    "which client exceeded the limit of failed tokens": "ipv6_network_and_mapped_ipv4_address_are_one_client",
    "a missing table of service accounts": "missing_account_table_is_503",
    "a column of ids or owners with a collation that ignores case or trailing spaces": "sqlite_collation_does_not_make_other_ids_or_owners_equal",
    "a parameter of a database URL that is unknown or cannot be honored": "unsupported_parameter_is_refused_by_name_at_startup",
    "a file or table of learnings that does not exist": "missing_sqlite_file_is_refused_with_the_databases_beside_it",
    "a star among the allowed origins": "star_allows_every_origin_with_credentials",
    "`X-Forwarded-For` and `Forwarded`": "forwarding_headers_are_ignored_by_default",
    "a missing or repeated `Host` header": "missing_repeated_or_invalid_host_is_400",
    "an invalid `Host` header": "missing_repeated_or_invalid_host_is_400",
    "a request that is not valid HTTP/1.0 or HTTP/1.1": "head_that_http_does_not_allow_is_400",
    "a raw `#` in the request target": "fragment_in_the_request_target_is_400",
    "a raw character other than `#` that a URL must encode": "raw_utf8_in_the_request_target_is_part_of_the_id",
    "a request target without a path, or with a scheme and a host": "request_target_without_a_path_is_400",
    "`Content-Length` together with `Transfer-Encoding`": "connection_is_closed_after_ambiguous_framing",
    "a client that sends its request and closes its sending side": "half_closed_connection_receives_the_response",
    "a body that is larger than the buffers of the connection": "client_that_sends_a_large_body_receives_its_response",
    "a view, a table without unique ids, or a column of ids or owners that is not text": "sqlite_column_that_converts_text_to_numbers_is_refused_at_startup",
}
