"""Callers, records and components for the tests."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from delete_learning import (
    Caller,
    Credential,
    Guard,
    Learning,
    Limits,
    Outcome,
    Policy,
    PolicyFailure,
    Request,
    Target,
)

ROOT = Path(__file__).resolve().parents[3]
LEGAL_HOLD = ROOT / "guest/examples/legal-hold/component/legal-hold.wasm"
REQUEST = Request("user_memory_7")
ALICE = Caller(Credential.JWT, "alice", ["learnings:delete"])
NO_SUBJECT = Caller(Credential.JWT, None, ["learnings:delete"])
SECURITY_KEY = Caller(Credential.SECURITY_KEY, None)
LEARNING = Learning(learning_type="user_memory", content="{}", created_at=0, revision="1", user_id="alice")
FEW = Limits(max_concurrent_instances=8)
"""Enough for a test, and faster to set up."""


@dataclass
class Identity:
    """Returns a caller, or any other value; raises it if it is an exception."""

    result: Any = ALICE

    def current(self) -> Any:
        return give(self.result)


@dataclass
class Record:
    """A record in memory. `results` replaces the result of a function; an exception in it is raised."""

    results: dict[str, Any] = field(default_factory=dict)
    learning: Learning | None = LEARNING
    calls: list[str] = field(default_factory=list)

    def locate(self) -> Any:
        return self._call("locate", Target("main", "agno_learnings"))

    def find(self) -> Any:
        return self._call("find", self.learning)

    def delete(self) -> Any:
        return self._delete("delete", None)

    def delete_if_owned_by(self, user_id: str) -> Any:
        owner = self.learning and self.learning.user_id
        other = Outcome.OWNED_BY_ANOTHER if owner else Outcome.UNOWNED
        return self._delete("delete_if_owned_by", None if owner == user_id else other)

    def delete_if_unchanged(self, revision: str) -> Any:
        same = self.learning is None or self.learning.revision == revision
        return self._delete("delete_if_unchanged", None if same else Outcome.CHANGED)

    def _delete(self, function: str, refused: Outcome | None) -> Any:
        outcome = Outcome.ABSENT if self.learning is None else refused or Outcome.DELETED
        result = self._call(function, outcome)
        if function not in self.results and outcome is Outcome.DELETED:
            self.learning = None
        return result

    def _call(self, function: str, usual: Any) -> Any:
        self.calls.append(function)
        return give(self.results.get(function, usual))


def give(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


CALLS = {
    "locate": (NO_SUBJECT, False),
    "find": (ALICE, True),
    "delete": (SECURITY_KEY, False),
    "delete_if_owned_by": (ALICE, False),
    "delete_if_unchanged": (ALICE, True),
}
"""For each function of storage, a caller for whom it is called, and whether it is called by a guard."""
DELETES = [function for function in CALLS if function.startswith("delete")]


@cache
def policy(*, guarded: bool = False) -> Policy:
    """The default policy, and the same one behind the guard `legal-hold`."""
    return Policy(guards=[Guard(name="legal-hold", component=LEGAL_HOLD)] if guarded else [], limits=FEW)


def decide_with(function: str, result: Any, record: Record | None = None) -> Any:
    """Decides with a storage whose `function` has this result."""
    caller, guarded = CALLS[function]
    record = record or Record()
    record.results[function] = result
    return policy(guarded=guarded).decide(REQUEST, Identity(caller), record)


@cache
def assembled(name: str) -> bytes:
    """A component of `tests/malicious_policies`, by the name of its file."""
    directory = ROOT / "tests/malicious_policies"

    def expand(text: str) -> str:
        return re.sub(
            r"^ *;; include (\S+)$",
            lambda line: expand((directory / f"parts/{line[1]}.wat").read_text()),
            text,
            flags=re.MULTILINE,
        )

    # The files have the older form of inline exports.
    os.environ["WAST_STRICT_COMPONENT_INDICES"] = "0"
    return bytes(wat2wasm(expand((directory / f"{name}.wat").read_text())))


@contextmanager
def raises_failure(kind: str, message: str, *, deleted: bool | None) -> Iterator[pytest.ExceptionInfo[PolicyFailure]]:
    """Asserts that the block raises this `PolicyFailure`, with exactly this message."""
    with pytest.raises(PolicyFailure) as raised:
        yield raised
    failure = raised.value
    assert (str(failure), failure.kind, failure.deleted) == (message, kind, deleted)
