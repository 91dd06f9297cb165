"""Requests, responses, and helper functions that inspect them for the rules."""

import base64
import collections
import json
import re
from urllib.parse import parse_qsl, unquote_to_bytes

# Status, detail, and the deleted records: a list of (database id, record id).
Response = collections.namedtuple("Response", "status detail deleted")
# Path, query, and headers. Header values are strings.
Request = collections.namedtuple("Request", "path query headers")

ACCOUNT_TOKEN_PREFIX = "agno_pat_"


def encoded_id(request):
    """Returns the id as sent."""
    return request.path.removeprefix("/learnings/")


def learning_id(request):
    """Returns the percent-decoded id as bytes."""
    return unquote_to_bytes(encoded_id(request))


def parameters(request, name):
    return [value for key, value in parse_qsl(request.query, keep_blank_values=True) if key == name]


def credentials(request):
    return [value for name, value in request.headers if name.lower() == "authorization"]


def head_size(request):
    """Returns the size of the request line and these headers in bytes."""
    line = len(f"DELETE {request.path}?{request.query} HTTP/1.1\r\n")
    return line + sum(len(name) + len(value.encode()) + 4 for name, value in request.headers)


def has_account_token(request):
    return any(ACCOUNT_TOKEN_PREFIX in value for value in credentials(request))


def token_parts(request):
    """Returns the encoded parts of the token in the first credential."""
    return credentials(request)[0].split()[-1].split(".") if credentials(request) and credentials(request)[0].split() else []


def decode_leniently(part):
    """Decodes base64url as leniently as Agno's JWT library. Returns None if even that fails."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None


def token_json(request, index):
    """Returns a part of the token as a JSON object. Returns an empty object if the part is not one."""
    try:
        value = json.loads(decode_leniently(token_parts(request)[index]))
        return value if isinstance(value, dict) else {}
    except (IndexError, TypeError, ValueError, RecursionError):
        return {}


def is_strict_base64url(part):
    """Whether the part has no padding and no non-zero trailing bits (RFC 7515, section 2; RFC 4648, section 3.5)."""
    if not re.fullmatch("[A-Za-z0-9_-]*", part):
        return False
    content = decode_leniently(part)
    return content is not None and base64.urlsafe_b64encode(content).rstrip(b"=") == part.encode()


class RepeatedMember(Exception):
    """A JSON object has a member twice."""


def json_violation(content, allow_repeated):
    """Returns why a JSON text that Python parses violates RFC 8259 or a limit of the server, or None."""

    def members(pairs):
        if not allow_repeated and len({name for name, _ in pairs}) < len(pairs):
            raise RepeatedMember
        return dict(pairs)

    def constant(name):
        raise ValueError(name)

    try:
        text = content.decode()
        if text.startswith("\ufeff"):
            return "a byte order mark"
        value = json.loads(text, parse_constant=constant, parse_int=float, object_pairs_hook=members)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return "too deeply nested" if nesting_depth(text) > 127 else None
    except RepeatedMember:
        return "a repeated member"
    except UnicodeError:
        return "not UTF-8, or an unpaired surrogate"
    except (ValueError, OverflowError):
        return "not a number, or a number out of range"
    except RecursionError:
        return "too deeply nested"


def nesting_depth(text):
    """Returns the maximum nesting depth of arrays and objects in a JSON text."""
    max_depth = depth = 0
    for bracket in re.findall(r"[\[{\]}]", re.sub(r'"(\\.|[^"\\])*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        max_depth = max(max_depth, depth)
    return max_depth
