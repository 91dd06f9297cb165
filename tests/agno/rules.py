"""Every way in which the answers may differ, by its name in DIFFERENCES.md, and when it explains what differs."""

import json
import re

from accounts import ODD_SCOPES
from accounts import token as token_of
from asked import (
    credentials,
    decoded,
    is_base64url,
    is_of_an_account,
    json_fault,
    learning_id,
    parameters,
    part,
    sent_id,
    size_of_head,
    token_parts,
)


def refused(answer, status, detail):
    return (answer.status, answer.detail, answer.gone) == (status, detail, [])


def is_taken_for_number(claim):
    try:
        return isinstance(claim, str | bool) and int(claim) is not None
    except ValueError:
        return False


def is_repeated(asked):
    return len(parameters(asked, "db_id")) > 1 or len(parameters(asked, "table")) > 1


def quotes_what_was_sent(asked, ours, theirs):
    names = parameters(asked, "db_id") + parameters(asked, "table")
    is_changed = any(len(name.encode()) > 400 or any(unprintable(one) for one in name) for name in names)
    return is_changed and (ours.status, ours.gone) == (theirs.status, theirs.gone) == (404, [])


def unprintable(character):
    return ord(character) < 32 or 127 <= ord(character) < 160


def is_utf8(content):
    try:
        return content.decode() is not None
    except UnicodeDecodeError:
        return False


def scopes_of_token(asked):
    scopes = part(asked, 1).get("scopes")
    return scopes if isinstance(scopes, list) else []


def account_scopes(asked):
    """What the row of the account has that this is the token of: JSON as text, or nothing."""
    for value in credentials(asked):
        for name, scopes in ODD_SCOPES.items():
            if token_of(name) in value:
                return scopes
    return None


def is_list_of_texts(scopes):
    try:
        found = json.loads(scopes)
        return isinstance(found, list) and all(isinstance(one, str) for one in found)
    except ValueError:
        return False


def is_unplain_json(asked):
    """Whether the header or the claims are JSON that only a lenient reader reads."""
    both = [decoded(one) for one in token_parts(asked)[:2]]
    return any(one is not None and json_fault(one, may_repeat) for one, may_repeat in zip(both, (False, True)))


# name, as DIFFERENCES.md has it; when it explains what differs: configuration, request, our answer, Agno's.
RULES = [
    (
        "why a token was refused",
        lambda c, asked, ours, theirs: refused(ours, 401, "Invalid token")
        and theirs.status == 401
        and re.match("Invalid token: |Error decoding token: ", theirs.detail),
    ),
    (
        "a confined token without `sub`",
        lambda c, asked, ours, theirs: c["isolation"]
        and not part(asked, 1).get("sub")
        and refused(ours, 403, "Authenticated request is missing a user identity")
        and refused(theirs, 404, "Learning not found"),
    ),
    (
        "`db_id` or `table` given twice",
        lambda c, asked, ours, theirs: is_repeated(asked) and (ours.status, ours.gone) == (400, []),
    ),
    (
        "a trailing slash, `/learnings/a/`",
        lambda c, asked, ours, theirs: asked.path.endswith("/") and refused(ours, 404, "Not Found"),
    ),
    (
        "an id with `/` in it, encoded",
        lambda c, asked, ours, theirs: "/" not in sent_id(asked)
        and b"/" in learning_id(asked)
        # Whatever Agno makes of it, here nothing but this record may be gone.
        and {id.encode() for _, id in ours.gone} <= {learning_id(asked)},
    ),
    (
        "an id that is not UTF-8, or longer than 4096 bytes",
        lambda c, asked, ours, theirs: (not is_utf8(learning_id(asked)) or len(learning_id(asked)) > 4096)
        and refused(ours, 400, "The learning_id must be UTF-8, percent-encoded, and not overlong"),
    ),
    (
        "`table=` names another table of Agno's",
        lambda c, asked, ours, theirs: parameters(asked, "table") == ["agno_sessions"]
        and [refused(ours, 404, f"No database with id '{id}' has table 'agno_sessions'") for id in parameters(asked, "db_id")]
        == [True],
    ),
    (
        "a token without the `Bearer` scheme, or two `Authorization` headers",
        lambda c, asked, ours, theirs: refused(ours, 401, "Authorization header must be one 'Bearer <token>'"),
    ),
    (
        "an `exp`, `nbf` or `iat` that is text holding a number, or `true`",
        lambda c, asked, ours, theirs: any(is_taken_for_number(part(asked, 1).get(name)) for name in ("exp", "nbf", "iat"))
        and refused(ours, 401, "Invalid token"),
    ),
    (
        "`Bearer` with no token after it",
        lambda c, asked, ours, theirs: [one.strip().lower() for one in credentials(asked)] == ["bearer"]
        and refused(ours, 401, "Authorization header " + ("missing" if c["mode"] == "jwt" else "required"))
        and (theirs.status, theirs.gone) == (401, []),
    ),
    (
        "a token whose parts are not base64url to the letter",
        lambda c, asked, ours, theirs: not all(is_base64url(one) for one in token_parts(asked))
        and refused(ours, 401, "Invalid token"),
    ),
    (
        "a token that is not JSON to the letter, or beyond measure",
        lambda c, asked, ours, theirs: is_unplain_json(asked) and refused(ours, 401, "Invalid token"),
    ),
    (
        "the scope `learnings::delete`",
        lambda c, asked, ours, theirs: (
            part(asked, 1).get("scopes") == ["learnings::delete"] or account_scopes(asked) == '["learnings::delete"]'
        )
        and refused(ours, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "a list of scopes with something in it that is no text",
        lambda c, asked, ours, theirs: not c["enforce"]
        and any(not isinstance(scope, str) for scope in scopes_of_token(asked))
        and c["admin_scope"] in scopes_of_token(asked)
        and ours.gone == [],
    ),
    (
        "scopes of a service account that are no list of texts",
        lambda c, asked, ours, theirs: account_scopes(asked) is not None
        and not is_list_of_texts(account_scopes(asked))
        and refused(ours, 403, "Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    (
        "other routes",
        lambda c, asked, ours, theirs: "/" in sent_id(asked) and refused(ours, 404, "Not Found"),
    ),
    (
        "a token's `crit` header",
        lambda c, asked, ours, theirs: "crit" in part(asked, 0) and refused(ours, 401, "Invalid token"),
    ),
    (
        "a name that is repeated in `detail`",
        lambda c, asked, ours, theirs: quotes_what_was_sent(asked, ours, theirs),
    ),
    (
        "a service account's token where no authentication is configured",
        lambda c, asked, ours, theirs: c["mode"] == "none" and is_of_an_account(asked),
    ),
    (
        "a request whose line and headers are longer than `request_head_bytes`",
        # What Python's client adds by itself, such as Host, is the rest.
        lambda c, asked, ours, theirs: refused(ours, 431, None) and size_of_head(asked) > 65_536 - 200,
    ),
]

# What every error differs in, whatever it is about; looked at in every answer.
ALWAYS = ["body of an error", "401", "429 and 503"]

# Rows that these requests cannot show, and the test that does.
ELSEWHERE = {
    "an owner that changes between check and delete": "delete_by_former_owner_is_refused",
    "a record that vanishes between check and delete": "record_deleted_concurrently_is_404",
    "an error while deleting": "storage_error_is_500_and_its_cause_is_only_logged",
    "a database that is locked for too long, cannot be reached, or takes no writes": "locked_database_is_503_after_the_busy_timeout",
    "a database that took a delete and does not say how it ended": "hanging_storage_times_out_with_unknown_outcome",
    "PostgreSQL with `synchronous_commit = off`": "a_deletion_is_durable_though_synchronous_commit_is_off_and_refused_where_it_cannot_be",
    "a secret or key too short for its algorithm": "short_or_mismatched_key_is_rejected",
    "scopes and isolation, where nothing is said": "missing_scope_is_403_before_the_record_is_resolved",
    "no authentication configured": "invalid_configuration_is_reported_with_its_key",
    "which client had too many tokens that failed": "a_network_of_ipv6_is_one_client_and_a_mapped_address_is_the_one_it_maps",
    "a table of service accounts that is not there": "missing_account_table_is_503",
}
