"""The legal hold in Python: a guard that retains records under legal hold, which administrators cannot delete either.

A function of the contract returns the value of its `result`, or raises `Err` with the error. An option is `None` if it
is none.
"""

import json
from collections.abc import Callable

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import storage, store
from wit_world.imports.storage import Learning, Lookup, Outcome, StorageError, StorageErrorKind, Target

MAX_RETRIES = 3


class Storage(exports.Storage):
    """The export `storage` of the guard. `componentize-py` finds the class by the name of the interface."""

    def locate(self) -> Target:
        return storage.locate()

    def find(self) -> Lookup:
        return storage.find()

    def delete(self) -> Outcome:
        return delete_if(lambda learning: None)

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        def unmet_outcome(learning: Learning) -> Outcome | None:
            # Not `not learning.user_id`: an empty owner is an owner.
            if learning.user_id is None:
                return Outcome.UNOWNED
            return None if learning.user_id == user_id else Outcome.OWNED_BY_ANOTHER

        return delete_if(unmet_outcome)

    def delete_if_unchanged(self, revision: str) -> Outcome:
        return delete_if(lambda learning: None if learning.revision == revision else Outcome.CHANGED)


def delete_if(unmet_outcome: Callable[[Learning], Outcome | None]) -> Outcome:
    """Deletes the record if it meets the condition of the call and is not held.

    `unmet_outcome` returns the outcome of the call for a record that does not meet its condition.
    """
    for _ in range(1 + MAX_RETRIES):
        learning = storage.find().learning
        if learning is None:
            return Outcome.ABSENT
        unmet = unmet_outcome(learning)
        # Not `if unmet`: that every case of an enum is true is easily lost.
        if unmet is not None:
            return unmet
        # Only now: a caller that cannot delete the record must not learn that it is held.
        if is_held(learning):
            raise Err(StorageError(StorageErrorKind.DENIED, "This learning is under a legal hold"))
        outcome = storage.delete_if_unchanged(learning.revision)
        if outcome != Outcome.CHANGED:
            return outcome
    raise Err(StorageError(StorageErrorKind.UNAVAILABLE, "the record kept changing while a guard checked it"))


def is_held(learning: Learning) -> bool:
    """Whether a record must be retained. What cannot be read counts as a hold."""
    try:
        return (
            has_hold(learning.metadata)
            or is_listed(learning.user_id, "held_users")
            or is_listed(learning.session_id, "held_sessions")
        )
    # `Err` too: a setting that the host cannot read.
    except Exception:
        return True


def has_hold(metadata: str | None) -> bool:
    """Whether metadata has `"legal_hold": true` at its top level, or a value that is neither a hold nor none."""
    value = None if metadata is None else parse(metadata)
    # Agno stores the JSON text `null` for a record without metadata.
    if value is None:
        return False
    if not isinstance(value, dict):
        raise ValueError("the metadata is no object")
    hold = value.get("legal_hold")
    # Not `hold in (None, False)`: 0 == False.
    return hold is not None and hold is not False


def is_listed(value: str | None, setting: str) -> bool:
    """Whether a setting, a JSON array of strings, contains a value."""
    text = store.get(setting)
    ids = [] if text is None else parse(text)
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError(f"{setting} is no list of strings")
    return value is not None and value in ids


def parse(text: str) -> object:
    """Parses JSON. Python also accepts `NaN` and `Infinity`, which are not JSON."""
    return json.loads(text, parse_constant=refuse_constant)


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
