"""Tests your `Storage`: whether it guarantees what the policy relies on (`wit/EMBEDDING.md`).

    def test_storage() -> None:
        check_storage(MyAdapter()).assert_correct()

You write an adapter to your database; `Adapter` lists its functions. The kit inserts records, deletes them through your
storage, changes them through the adapter at the same time, and reports in sentences what is broken. It uses ids of its
own and deletes what it inserts, so the table can contain other records.
"""

import asyncio
import contextlib
import inspect
import json
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from . import _validate
from ._contract import AsyncStorage, Learning, Outcome, Storage, StorageError, StorageErrorKind, Target

ATOMIC = "A delete checks its condition and deletes in one atomic step."
DURABLE = "`deleted` is returned only after the deletion is durable."
REASON = "`absent`, `unowned` and `owned-by-another` are what is true of the record."
BYTES = "Owners and ids are compared byte by byte."
REVISION = "A change to any column changes the revision."
RECORD = "`find` returns the record as it is stored."
LOCATE = "`locate` returns the database and the table without reading a record."
ANSWERS = "Every function returns a value of its type, or raises `StorageError`."

COLUMNS: dict[str, list[Any]] = {
    "learning_type": ["user_profile", "user_memory"],
    "namespace": [None, "global", "team"],
    "user_id": ["alice", "bob", None],
    "agent_id": [None, "agent-1", "agent-2"],
    "team_id": [None, "team-1", "team-2"],
    "workflow_id": [None, "workflow-1", "workflow-2"],
    "session_id": [None, "session-1", "session-2"],
    "entity_id": [None, "entity-1", "entity-2"],
    "entity_type": [None, "person", "place"],
    "content": ['{"a":1}', '{"a":2}', '{"a":"\\u00e9"}'],
    "metadata": [None, '{"b":1}', '{"b":2}'],
    "created_at": [1_700_000_000, 1_700_000_001],
    "updated_at": [None, 1_700_000_000, 1_700_000_001],
}
"""Each column with the values that it gets, one after another."""

SIMILAR = [
    ("alice", "Alice"),
    ("alice", "alice "),
    ("alice", " alice"),
    ("alice", "alice\t"),
    ("alice", "alice\n"),
    ("alice", "\ufeffalice"),
    ("alice", "alice\u200b"),
    ("alice", "al_ce"),
    ("alice", "a%"),
    ("alice", "alic\u0435"),
    ("stra\u00dfe", "strasse"),
    (unicodedata.normalize("NFC", "\u00e9"), unicodedata.normalize("NFD", "\u00e9")),
    ("\uff41", "a"),
    ("1", "01"),
    ("1", "1.0"),
]
"""Texts that differ in their bytes, and that a collation or a pattern can confuse."""

UNUSUAL = [
    "it's",
    'a"b',
    "a\\b",
    "a;--",
    "?",
    "$1",
    ":a",
    "%s",
    "a/b",
    "..",
    "\U0001f9e0",
    "\ufeff",
    "\x01",
    "null",
    "a" * 1000,
]
"""Ids that a storage confuses if it puts them into the text of a statement."""

HELD_ROUNDS = 5
"""Rounds of a delete while a change is not committed yet."""

HOLD_SECONDS = 0.05
"""Seconds for which a change is not committed, so that a delete that begins meanwhile has to wait for it."""

FREE_ROUNDS = 200
"""Rounds of a delete and a change that begin at about the same time."""

CALL_TIMEOUT = 30.0
"""Seconds after which a function counts as one that does not return."""


class Adapter(Protocol):
    """Your database, as the kit uses it. `change` and `exists` must use another connection than the storage."""

    def insert(self, learning_id: str, learning: Learning, /) -> None:
        """Inserts a record and commits. The storage has revisions of its own, so `learning.revision` has no meaning."""

    def change(
        self, learning_id: str, column: str, value: Any, expected_owner: str | None, /
    ) -> AbstractContextManager[bool]:
        """Changes a column if `expected_owner` owns the record: `UPDATE … WHERE learning_id = … AND user_id = …`.

        Returns a context manager. Entering it begins a transaction, executes the update, and returns whether it changed
        a record; leaving it commits. A store without transactions changes the record when it is entered. `content` and
        `metadata` are JSON text.
        """

    def exists(self, learning_id: str, /) -> bool:
        """Returns whether a committed record with this id exists."""

    def open(self, learning_id: str, /) -> Storage | AsyncStorage:
        """Returns your storage for a record. All functions of one with `async` functions run on one event loop."""


@dataclass(frozen=True)
class Problem:
    """A guarantee that the storage does not give."""

    guarantee: str
    """The guarantee, as `wit/EMBEDDING.md` has it."""
    message: str
    """What happened."""

    def __str__(self) -> str:
        return f"{self.message}\n    Violated: {self.guarantee}"


@dataclass
class Report:
    """The result of `check_storage`."""

    checks: int = 0
    """The number of comparisons."""
    problems: list[Problem] = field(default_factory=list)

    def assert_correct(self) -> None:
        """Raises `AssertionError` with all problems, if there are any."""
        if self.problems:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        if not self.problems:
            return f"the storage passed {self.checks} checks"
        return "\n".join([f"the storage has {len(self.problems)} problems:", *(f"- {each}" for each in self.problems)])


def check_storage(adapter: Adapter) -> Report:
    """Runs every check. Takes seconds on a database on this machine."""
    with _Kit(adapter) as kit:
        for check in (
            _check_reads,
            _check_delete,
            _check_delete_if_owned_by,
            _check_delete_if_unchanged,
            _check_revisions,
            _check_owners_by_bytes,
            _check_ids_by_bytes,
            _check_owner_changes_during_delete,
            _check_record_changes_during_delete,
            _check_owner_changes_at_random,
            _check_two_deletes,
        ):
            kit.run(check)
        return kit.report


class _Kit:
    """The storage under test, and the report."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.report = Report()
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="testkit")
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, name="testkit-loop", daemon=True)
        self._inserted: list[str] = []

    def __enter__(self) -> "_Kit":
        self._loop_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for learning_id in self._inserted:
            # Best effort: a problem is in the report.
            with contextlib.suppress(Exception):
                if self.adapter.exists(learning_id):
                    self.call(learning_id, "delete")
        self.threads.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join()
        self._loop.close()

    def run(self, check: "Callable[[_Kit], None]") -> None:
        try:
            check(self)
        except _WrongAnswer as error:
            self.problem(ANSWERS, str(error))

    def problem(self, guarantee: str, message: str) -> None:
        self.report.problems.append(Problem(guarantee, message))

    def expect(self, condition: bool, guarantee: str, message: str) -> bool:
        self.report.checks += 1
        if not condition:
            self.problem(guarantee, message)
        return condition

    def insert(self, learning_id: str = "", **columns: Any) -> str:
        """Inserts a record, by default with a new id. Returns the id."""
        learning_id = learning_id or self.new_id()
        self._inserted.append(learning_id)
        self.adapter.insert(learning_id, replace(LEARNING, **columns))
        return learning_id

    def new_id(self, suffix: str = "") -> str:
        return f"testkit-{uuid.uuid4()}{suffix}"

    def call(self, learning_id: str, function: str, *arguments: str) -> Any:
        """Calls a function of the storage. Returns its result, or the `StorageError`, both validated."""
        call = f"{function}({', '.join(map(repr, arguments))})"
        try:
            value = getattr(self.adapter.open(learning_id), function)(*arguments)
            if inspect.isawaitable(value):
                value = asyncio.run_coroutine_threadsafe(_awaited(value), self._loop).result(CALL_TIMEOUT)
            return _validate.answer(function, value)
        except StorageError as error:
            try:
                return _validate.storage_error(function, error)
            except _validate.Invalid as invalid:
                raise _WrongAnswer(f"{call}: {invalid}") from error
        except _validate.Invalid as error:
            raise _WrongAnswer(f"{call}: {error}") from error
        except Exception as error:
            raise _WrongAnswer(f"{call} raised {type(error).__name__}: {error}") from error

    def expect_outcome(
        self, guarantee: str, what: str, learning_id: str, function: str, argument: str | None, expected: Outcome
    ) -> None:
        """Expects an outcome, and that the record exists afterwards exactly if it was not deleted."""
        existed = self.adapter.exists(learning_id)
        outcome = self.call(learning_id, function, *([] if argument is None else [argument]))
        if not self.expect(
            outcome == expected, guarantee, f"{function} of {what} returned {_shown(outcome)}; expected {expected}"
        ):
            return
        exists = self.adapter.exists(learning_id)
        if expected is Outcome.DELETED:
            message = f"{function} of {what} returned deleted, but another connection still sees the record"
            self.expect(not exists, DURABLE, message)
        elif existed:
            self.expect(exists, ATOMIC, f"{function} of {what} returned {expected}, but the record is gone")


class _WrongAnswer(Exception):
    """A function returned something that the contract does not have."""


LEARNING = Learning(
    **{name: values[0] for name, values in COLUMNS.items()},
    revision="",
)


async def _awaited(value: Any) -> Any:
    return await value


def _shown(result: object) -> str:
    return f"the error {result}" if isinstance(result, StorageError) else str(result)


def _check_reads(kit: _Kit) -> None:
    full = {name: values[1] for name, values in COLUMNS.items()}
    for columns in (full, {}):
        learning_id = kit.insert(**columns)
        found = kit.call(learning_id, "find")
        if not kit.expect(
            isinstance(found, Learning), RECORD, f"find of a record that exists returned {_shown(found)}"
        ):
            continue
        expected = replace(LEARNING, **columns)
        for name in COLUMNS:
            got, stored = getattr(found, name), getattr(expected, name)
            message = f"find returned the {name} {got!r} of a record whose {name} is {stored!r}"
            kit.expect(_same(name, got, stored), RECORD, message)
        again = kit.call(learning_id, "find")
        kit.expect(again == found, REVISION, "find returned two different results for a record that did not change")
        kit.expect(kit.adapter.exists(learning_id), RECORD, "find deleted the record")
        target = kit.call(learning_id, "locate")
        kit.expect(isinstance(target, Target), LOCATE, f"locate of a record that exists returned {_shown(target)}")
        absent = kit.call(kit.new_id(), "locate")
        message = f"locate returned {_shown(absent)} for a record that does not exist, and {_shown(target)} for another"
        kit.expect(absent == target, LOCATE, message)
    found = kit.call(kit.new_id(), "find")
    kit.expect(found is None, RECORD, f"find of a record that does not exist returned {_shown(found)}; expected None")


def _same(name: str, got: Any, stored: Any) -> bool:
    if name in ("content", "metadata") and isinstance(got, str) and isinstance(stored, str):
        try:
            return bool(json.loads(got) == json.loads(stored))
        except ValueError:
            return False
    return bool(got == stored)


def _check_delete(kit: _Kit) -> None:
    kit.expect_outcome(REASON, "a record that does not exist", kit.new_id(), "delete", None, Outcome.ABSENT)
    for owner in ("alice", None):
        learning_id = kit.insert(user_id=owner)
        kit.expect_outcome(REASON, f"a record with the owner {owner!r}", learning_id, "delete", None, Outcome.DELETED)
        kit.expect_outcome(REASON, "a record that was deleted before", learning_id, "delete", None, Outcome.ABSENT)


def _check_delete_if_owned_by(kit: _Kit) -> None:
    function = "delete_if_owned_by"
    kit.expect_outcome(REASON, "a record that does not exist", kit.new_id(), function, "alice", Outcome.ABSENT)
    for owner, user, expected in [
        (None, "alice", Outcome.UNOWNED),
        (None, "", Outcome.UNOWNED),
        (None, "None", Outcome.UNOWNED),
        ("bob", "alice", Outcome.OWNED_BY_ANOTHER),
        ("alice", "alice", Outcome.DELETED),
    ]:
        learning_id = kit.insert(user_id=owner)
        what = f"a record with the owner {owner!r}, for {user!r},"
        kit.expect_outcome(REASON, what, learning_id, function, user, expected)
        if expected is Outcome.DELETED:
            what = "a record that was deleted before"
            kit.expect_outcome(REASON, what, learning_id, function, user, Outcome.ABSENT)


def _check_delete_if_unchanged(kit: _Kit) -> None:
    function = "delete_if_unchanged"
    kit.expect_outcome(REASON, "a record that does not exist", kit.new_id(), function, "1", Outcome.ABSENT)
    learning_id = kit.insert()
    for revision in ("", "x" * 64, "'"):
        what = f"a record whose revision is not {revision!r}"
        kit.expect_outcome(REASON, what, learning_id, function, revision, Outcome.CHANGED)
    found = kit.call(learning_id, "find")
    if isinstance(found, Learning):
        what = "a record that did not change since find"
        kit.expect_outcome(REASON, what, learning_id, function, found.revision, Outcome.DELETED)
        what = "a record that was deleted before"
        kit.expect_outcome(REASON, what, learning_id, function, found.revision, Outcome.ABSENT)


def _check_revisions(kit: _Kit) -> None:
    for column, values in COLUMNS.items():
        learning_id = kit.insert(**{column: values[0]})
        owner = values[0] if column == "user_id" else LEARNING.user_id
        for value in values[1:]:
            before = kit.call(learning_id, "find")
            with kit.adapter.change(learning_id, column, value, owner) as changed:
                if not changed:
                    raise ValueError(f"Adapter.change did not change {column} of a record that {owner!r} owns")
            after = kit.call(learning_id, "find")
            if not isinstance(before, Learning) or not isinstance(after, Learning):
                break
            owner = value if column == "user_id" else owner
            got = getattr(after, column)
            message = f"find returned the {column} {got!r} after it was changed to {value!r}"
            kit.expect(_same(column, got, value), RECORD, message)
            message = f"the revision did not change when {column} was changed to {value!r}"
            kit.expect(before.revision != after.revision, REVISION, message)
            what = f"a record whose {column} was changed to {value!r}"
            kit.expect_outcome(REVISION, what, learning_id, "delete_if_unchanged", before.revision, Outcome.CHANGED)
            if owner is None or not kit.adapter.exists(learning_id):
                break


def _check_owners_by_bytes(kit: _Kit) -> None:
    for pair in SIMILAR:
        for owner, other in (pair, pair[::-1]):
            learning_id = kit.insert(user_id=owner)
            what = f"a record of {owner!r}, for {other!r},"
            kit.expect_outcome(BYTES, what, learning_id, "delete_if_owned_by", other, Outcome.OWNED_BY_ANOTHER)
            what = f"a record of {owner!r}, for its owner,"
            if kit.adapter.exists(learning_id):
                kit.expect_outcome(BYTES, what, learning_id, "delete_if_owned_by", owner, Outcome.DELETED)


def _check_ids_by_bytes(kit: _Kit) -> None:
    for suffix, other in [*SIMILAR, *((text, f"{text}x") for text in UNUSUAL)]:
        prefix = kit.new_id()
        one, two = f"{prefix}{suffix}", f"{prefix}{other}"
        kit.insert(one)
        for function, argument in (("delete", None), ("delete_if_owned_by", "alice"), ("delete_if_unchanged", "1")):
            what = f"a record whose id ends in {other!r}, while one exists whose id ends in {suffix!r},"
            kit.expect_outcome(BYTES, what, two, function, argument, Outcome.ABSENT)
        found = kit.call(two, "find")
        kit.expect(found is None, BYTES, f"find of an id that ends in {other!r} returned the record of {suffix!r}")
        kit.expect_outcome(BYTES, f"a record whose id ends in {suffix!r}", one, "delete", None, Outcome.DELETED)


def _check_owner_changes_during_delete(kit: _Kit) -> None:
    _check_change_during_delete(kit, "user_id", "bob", "delete_if_owned_by", Outcome.OWNED_BY_ANOTHER)


def _check_record_changes_during_delete(kit: _Kit) -> None:
    _check_change_during_delete(kit, "content", '{"a":2}', "delete_if_unchanged", Outcome.CHANGED)


def _check_change_during_delete(kit: _Kit, column: str, value: str, function: str, expected: Outcome) -> None:
    """A delete begins while a change of the record is executed and not committed yet.

    A storage that reads the record and deletes it by id reads the old state, waits for the change in its delete, and
    deletes the new state.
    """
    for _ in range(HELD_ROUNDS):
        learning_id = kit.insert()
        found = kit.call(learning_id, "find")
        argument = "alice" if function == "delete_if_owned_by" else getattr(found, "revision", "")
        with kit.adapter.change(learning_id, column, value, "alice") as changed:
            if not changed:
                raise ValueError(f"Adapter.change did not change {column} of a record that 'alice' owns")
            delete = kit.threads.submit(kit.call, learning_id, function, argument)
            time.sleep(HOLD_SECONDS)
        outcome = delete.result(CALL_TIMEOUT)
        # The storage can give up instead of waiting: nothing was deleted then.
        allowed = outcome == expected or _is_unavailable(outcome)
        message = (
            f"{function} returned {_shown(outcome)} while another connection changed {column} of the record; "
            f"expected {expected}"
        )
        if not kit.expect(allowed, ATOMIC, message):
            return
        message = (
            f"{function} returned {_shown(outcome)} while another connection changed {column}, but the record is gone"
        )
        if not kit.expect(kit.adapter.exists(learning_id), ATOMIC, message):
            return


def _check_owner_changes_at_random(kit: _Kit) -> None:
    """A delete and a change of the owner begin at about the same time: exactly one of them takes effect."""
    begin = time.monotonic()
    kit.call(kit.insert(), "delete_if_owned_by", "alice")
    usual = time.monotonic() - begin
    for number in range(FREE_ROUNDS):
        learning_id = kit.insert()
        barrier = threading.Barrier(2)
        # From well before the delete to well after it.
        delay = usual * (number / FREE_ROUNDS * 3 - 1)

        def change(learning_id: str = learning_id, barrier: threading.Barrier = barrier, delay: float = delay) -> bool:
            barrier.wait()
            time.sleep(max(delay, 0))
            with kit.adapter.change(learning_id, "user_id", "bob", "alice") as changed:
                return changed

        changing = kit.threads.submit(change)
        barrier.wait()
        time.sleep(max(-delay, 0))
        outcome = kit.call(learning_id, "delete_if_owned_by", "alice")
        changed, exists = changing.result(CALL_TIMEOUT), kit.adapter.exists(learning_id)
        if outcome == Outcome.DELETED:
            consistent = not exists and not changed
        elif outcome == Outcome.OWNED_BY_ANOTHER:
            consistent = exists and changed
        else:
            consistent = exists and _is_unavailable(outcome)
        message = (
            f"delete_if_owned_by('alice') returned {_shown(outcome)} while another connection "
            f"{'changed' if changed else 'did not change'} the owner, "
            f"and the record {'exists' if exists else 'is gone'}"
        )
        if not kit.expect(consistent, ATOMIC, message):
            return


def _check_two_deletes(kit: _Kit) -> None:
    for function, argument in (("delete", None), ("delete_if_owned_by", "alice")):
        for _ in range(HELD_ROUNDS * 4):
            learning_id = kit.insert()
            arguments = [] if argument is None else [argument]
            both = [kit.threads.submit(kit.call, learning_id, function, *arguments) for _ in range(2)]
            outcomes = [each.result(CALL_TIMEOUT) for each in both]
            deleted = sum(outcome == Outcome.DELETED for outcome in outcomes)
            exists = kit.adapter.exists(learning_id)
            shown = " and ".join(map(_shown, outcomes))
            message = f"two calls of {function} at the same time returned {shown}; expected deleted once"
            others = [outcome for outcome in outcomes if outcome != Outcome.DELETED]
            allowed = all(outcome == Outcome.ABSENT or _is_unavailable(outcome) for outcome in others)
            if not kit.expect(deleted == (0 if exists else 1) and allowed, ATOMIC, message):
                return


def _is_unavailable(result: object) -> bool:
    return isinstance(result, StorageError) and result.kind == StorageErrorKind.UNAVAILABLE


assert {each.name for each in fields(Learning)} == {*COLUMNS, "revision"}  # noqa: S101
