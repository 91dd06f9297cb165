"""What is asked, what is answered, and what a rule may want to know of either."""

import base64
import collections
import json
import re
from urllib.parse import parse_qsl, unquote_to_bytes

# Status, detail, and what is gone: the database and the id of each record.
Answer = collections.namedtuple("Answer", "status detail gone")
# A path, a query, and the headers, their values as text or as the bytes that are sent.
Asked = collections.namedtuple("Asked", "path query headers")

TOKEN_OF_AN_ACCOUNT = "agno_pat_"


def sent_id(asked):
    """The id as it was sent."""
    return asked.path.removeprefix("/learnings/")


def learning_id(asked):
    """The id as bytes, decoded once."""
    return unquote_to_bytes(sent_id(asked))


def parameters(asked, name):
    return [value for key, value in parse_qsl(asked.query, keep_blank_values=True) if key == name]


def credentials(asked):
    return [value for name, value in asked.headers if name.lower() == "authorization"]


def size_of_head(asked):
    """Bytes of the request's line and of these headers."""
    line = len(f"DELETE {asked.path}?{asked.query} HTTP/1.1\r\n")
    return line + sum(len(name) + len(value.encode()) + 4 for name, value in asked.headers)


def is_of_an_account(asked):
    return any(TOKEN_OF_AN_ACCOUNT in value for value in credentials(asked))


def token_parts(asked):
    """The parts of the token of the one credential, as they were sent."""
    return credentials(asked)[0].split()[-1].split(".") if credentials(asked) and credentials(asked)[0].split() else []


def decoded(part):
    """What base64url stands for, read as loosely as Agno's library reads it; none where even so it stands for nothing."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None


def part(asked, index):
    """A part of the token, as a JSON object; empty where it is none."""
    try:
        found = json.loads(decoded(token_parts(asked)[index]))
        return found if isinstance(found, dict) else {}
    except (IndexError, TypeError, ValueError, RecursionError):
        return {}


def is_base64url(part):
    """Whether it is base64url with nothing to spare (RFC 7515, section 2; RFC 4648, section 3.5)."""
    if not re.fullmatch("[A-Za-z0-9_-]*", part):
        return False
    content = decoded(part)
    return content is not None and base64.urlsafe_b64encode(content).rstrip(b"=") == part.encode()


class Twice(Exception):
    """A member of an object that is there twice."""


def json_fault(content, may_repeat):
    """In which way JSON that Python reads is none by RFC 8259, or goes beyond what is read here; none where it is fine."""

    def members(pairs):
        if not may_repeat and len({name for name, _ in pairs}) < len(pairs):
            raise Twice
        return dict(pairs)

    def constant(name):
        raise ValueError(name)

    try:
        text = content.decode()
        if text.startswith("\ufeff"):
            return "a byte order mark"
        value = json.loads(text, parse_constant=constant, parse_int=float, object_pairs_hook=members)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return "deep" if depth(text) > 127 else None
    except Twice:
        return "a member twice"
    except UnicodeError:
        return "no UTF-8, or half a surrogate pair"
    except (ValueError, OverflowError):
        return "no number, or a huge one"
    except RecursionError:
        return "deep"


def depth(text):
    """How deep arrays and objects are nested in JSON."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[{\]}]", re.sub(r'"(\\.|[^"\\])*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
