"""Checks what the host's own code returns and raises, before it crosses the boundary to the sandbox.

Every message names the function, the value and what is expected. A value is shown only if it is short, because a long
text can be a token or the content of a record.
"""

import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from ._contract import (
    Caller,
    Credential,
    IdentityError,
    IdentityErrorKind,
    Learning,
    Outcome,
    Request,
    StorageError,
    StorageErrorKind,
    Target,
)

DELETES = frozenset({"delete", "delete_if_owned_by", "delete_if_unchanged"})
MAX_REVISION_BYTES = 256
MAX_SHOWN_CHARACTERS = 40

_OUTCOMES = {
    "delete": (Outcome.ABSENT, Outcome.DELETED),
    "delete_if_owned_by": (Outcome.ABSENT, Outcome.UNOWNED, Outcome.OWNED_BY_ANOTHER, Outcome.DELETED),
    "delete_if_unchanged": (Outcome.ABSENT, Outcome.CHANGED, Outcome.DELETED),
}
_READ_ERRORS = tuple(
    kind for kind in StorageErrorKind if kind not in (StorageErrorKind.DENIED, StorageErrorKind.OUTCOME_UNKNOWN)
)
_Name = TypeVar("_Name", bound=StrEnum)


class Invalid(Exception):
    """The message states what is wrong with a value."""


def request(value: object) -> None:
    """Checks a request, which the caller of `decide` made."""
    if not isinstance(value, Request):
        raise Invalid(f"decide was called with {show(value)}; expected a Request")
    _text("decide was called with a Request", "learning_id", value.learning_id)
    _optional_text("decide was called with a Request", "db_id", value.db_id)
    _optional_text("decide was called with a Request", "table", value.table)


def caller(value: object) -> Caller:
    """Checks the result of `identity.current`."""
    if not isinstance(value, Caller):
        raise Invalid(f"identity.current returned {show(value)}; expected a Caller{_hint(value)}")
    subject = "identity.current returned a Caller"
    _one_of(subject, "credential", value.credential, Credential)
    _optional_text(subject, "subject", value.subject)
    if not isinstance(value.scopes, (list, tuple)):
        raise Invalid(f"{subject} whose scopes is {show(value.scopes)}; expected a list of str")
    for index, scope in enumerate(value.scopes):
        _text(subject, f"scopes[{index}]", scope)
    for name in ("scopes_optional", "all_owners"):
        if not isinstance(getattr(value, name), bool):
            raise Invalid(f"{subject} whose {name} is {show(getattr(value, name))}; expected True or False")
    _text(subject, "admin_scope", value.admin_scope)
    return value


def identity_error(error: IdentityError) -> IdentityError:
    """Checks an error that `identity.current` raised."""
    subject = "identity.current raised an IdentityError"
    _one_of(subject, "kind", error.kind, IdentityErrorKind)
    _one_of(subject, "credential", error.credential, Credential)
    _text(subject, "message", error.message)
    return error


def answer(function: str, value: object, *, is_injected: bool = False) -> Target | Learning | Outcome | None:
    """Checks the result of a function of `storage`. An injected outcome can be one of another function."""
    if is_injected and isinstance(value, Outcome):
        return value
    return _ANSWERS[function](f"storage.{function} returned", function, value)


def storage_error(function: str, error: StorageError, *, is_injected: bool = False) -> StorageError:
    """Checks an error that a function of `storage` raised. An injected error can be one of another function."""
    subject = f"storage.{function} raised a StorageError"
    _one_of(subject, "kind", error.kind, StorageErrorKind if function in DELETES or is_injected else _READ_ERRORS)
    _text(subject, "message", error.message)
    return error


def _target(returned: str, _function: str, value: object) -> Target:
    if not isinstance(value, Target):
        raise Invalid(f"{returned} {show(value)}; expected a Target{_hint(value)}")
    _text(f"{returned} a Target", "database", value.database)
    _text(f"{returned} a Target", "table", value.table)
    return value


def _learning(returned: str, _function: str, value: object) -> Learning | None:
    if value is None:
        return None
    if not isinstance(value, Learning):
        raise Invalid(f"{returned} {show(value)}; expected a Learning or None{_hint(value)}")
    subject = f"{returned} a Learning"
    for name in ("learning_type", "content", "revision"):
        _text(subject, name, getattr(value, name))
    for name in _OPTIONAL_COLUMNS:
        _optional_text(subject, name, getattr(value, name))
    _time(subject, "created_at", value.created_at)
    if value.updated_at is not None:
        _time(subject, "updated_at", value.updated_at, " or None")
    if (size := len(value.revision.encode())) > MAX_REVISION_BYTES:
        raise Invalid(f"{subject} whose revision has {size} bytes; expected at most {MAX_REVISION_BYTES}")
    return value


_OPTIONAL_COLUMNS = (
    "namespace",
    "user_id",
    "agent_id",
    "team_id",
    "workflow_id",
    "session_id",
    "entity_id",
    "entity_type",
    "metadata",
)


def _outcome(returned: str, function: str, value: object) -> Outcome:
    allowed = _OUTCOMES[function]
    if isinstance(value, str) and value in allowed:
        return Outcome(value)
    raise Invalid(f"{returned} {show(value)}; expected one of {_names(allowed)}{_hint(value)}")


_ANSWERS: dict[str, Callable[[str, str, object], Target | Learning | Outcome | None]] = {
    "locate": _target,
    "find": _learning,
    **dict.fromkeys(DELETES, _outcome),
}


def _one_of(subject: str, name: str, value: object, allowed: type[_Name] | tuple[_Name, ...]) -> None:
    # A plain str with the value of a case is as good as the case.
    if not isinstance(value, str) or value not in tuple(allowed):
        raise Invalid(f"{subject} whose {name} is {show(value)}; expected one of {_names(tuple(allowed))}")


def _text(subject: str, name: str, value: object, expected: str = "a str") -> None:
    if not isinstance(value, str):
        raise Invalid(f"{subject} whose {name} is {show(value)}; expected {expected}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            surrogate = f"U+{ord(value[error.start]):04X}"
            raise Invalid(
                f"{subject} whose {name} has the unpaired surrogate {surrogate} at index {error.start}; "
                "expected text that UTF-8 can represent"
            ) from None


def _optional_text(subject: str, name: str, value: object) -> None:
    if value is not None:
        _text(subject, name, value, "a str or None")


def _time(subject: str, name: str, value: object, or_none: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(f"{subject} whose {name} is {show(value)}; expected an int{or_none}: seconds since 1970")
    if not -(2**63) <= value < 2**63:
        raise Invalid(
            f"{subject} whose {name} is out of range; expected an int of 64 bits{or_none}: seconds since 1970"
        )


def _names(allowed: tuple[StrEnum, ...]) -> str:
    return ", ".join(repr(str(name)) for name in allowed)


def _hint(value: object) -> str:
    return "; use decide_async for functions that are async" if inspect.isawaitable(value) else ""


def show(value: Any) -> str:
    """Shows a value in a message: short ones as they are, others by their type."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        text = repr(str(value))
        return text if len(text) <= MAX_SHOWN_CHARACTERS else f"a str of {len(value)} characters"
    if isinstance(value, (int, float)) and abs(value) < 10**20:
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
