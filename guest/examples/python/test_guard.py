"""Tests the guard in the Python of this machine, with fakes for its imports and the bindings of `componentize-py`."""

import dataclasses
import unittest
from unittest.mock import patch

import guard
from componentize_py_types import Err
from wit_world.imports import store
from wit_world.imports.storage import Learning, Lookup, Outcome, StorageError, StorageErrorKind, Target

HELD = '{"legal_hold": true}'
TARGET = Target(database="main", table="learnings")


def record(**changes: object) -> Learning:
    """A record of `alice` in the session `s1`."""
    nothing = {field.name: None for field in dataclasses.fields(Learning)}
    known = {"learning_type": "user_memory", "content": "{}", "created_at": 0, "revision": "1"}
    return Learning(**{**nothing, **known, "user_id": "alice", "session_id": "s1", **changes})


class FakeStorage:
    """A storage with one record, which changes before the first deletes, and functions that can fail."""

    def __init__(self, learning: Learning | None, changes: int = 0, errors: dict[str, Err] | None = None):
        self.learning, self.changes, self.errors = learning, changes, errors or {}
        self.calls: list[str] = []

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.errors:
            raise self.errors[name]

    def locate(self) -> Target:
        self.call("locate")
        return TARGET

    def find(self) -> Lookup:
        self.call("find")
        return Lookup(self.learning)

    def delete_if_unchanged(self, revision: str) -> Outcome:
        self.call("delete_if_unchanged")
        if self.learning is None:
            return Outcome.ABSENT
        if self.changes > 0:
            self.changes -= 1
            self.learning = dataclasses.replace(self.learning, revision=f"{self.learning.revision}+")
        if self.learning.revision != revision:
            return Outcome.CHANGED
        self.learning = None
        return Outcome.DELETED


class GuardTest(unittest.TestCase):
    def set_up(self, storage: FakeStorage, settings: dict[str, str] | None = None) -> guard.Storage:
        for name in ("locate", "find", "delete_if_unchanged"):
            self.enterContext(patch.object(guard.storage, name, getattr(storage, name)))
        self.enterContext(patch.object(store, "get", (settings or {}).get))
        return guard.Storage()

    def delete(self, learning: Learning | None, settings: dict[str, str] | None = None) -> Outcome:
        return self.set_up(FakeStorage(learning), settings).delete()

    def delete_if_owned_by(self, learning: Learning, user_id: str) -> Outcome:
        return self.set_up(FakeStorage(learning)).delete_if_owned_by(user_id)

    def assert_denied(self, learning: Learning, settings: dict[str, str] | None = None) -> None:
        storage = FakeStorage(learning)
        with self.assertRaises(Err) as raised:
            self.set_up(storage, settings).delete()
        expected = StorageError(StorageErrorKind.DENIED, "This learning is under a legal hold")
        self.assertEqual(raised.exception.value, expected)
        self.assertEqual(storage.calls, ["find"])

    def test_record_without_hold_is_deleted(self) -> None:
        self.assertEqual(self.delete(record(user_id=None, session_id=None)), Outcome.DELETED)
        settings = {"held_users": '["bob"]', "held_sessions": "[]"}
        self.assertEqual(self.delete(record(), settings), Outcome.DELETED)
        for metadata in (
            None,
            "null",
            "{}",
            '{"legal_hold": false}',
            '{"legal_hold": null}',
            '{"a": {"legal_hold": true}}',
        ):
            with self.subTest(metadata):
                self.assertEqual(self.delete(record(metadata=metadata)), Outcome.DELETED)

    def test_held_record_is_denied(self) -> None:
        for metadata in (HELD, '{"legal_hold": "true"}', '{"legal_hold": 0}'):
            self.assert_denied(record(metadata=metadata))
        self.assert_denied(record(), {"held_users": '["bob", "alice"]'})
        self.assert_denied(record(), {"held_sessions": '["s1"]'})
        self.assert_denied(record(user_id=""), {"held_users": '[""]'})

    def test_unreadable_metadata_is_denied(self) -> None:
        for metadata in ("", "{", "[]", '"legal_hold"', "true", "1", '{"a": NaN}', '{"a": -Infinity}', "[" * 100_000):
            with self.subTest(metadata[:20]):
                self.assert_denied(record(metadata=metadata))

    def test_unreadable_setting_is_denied(self) -> None:
        for value in ("", "alice", '"alice"', "null", "{}", "[1]", '["a", null]'):
            with self.subTest(value):
                self.assert_denied(record(), {"held_users": value})
                self.assert_denied(record(session_id=None), {"held_sessions": value})

    def test_setting_that_cannot_be_read_is_denied(self) -> None:
        guarded = self.set_up(FakeStorage(record()))
        self.enterContext(patch.object(store, "get", side_effect=Err(store.Error_Io("no such file"))))
        with self.assertRaises(Err) as raised:
            guarded.delete()
        self.assertEqual(raised.exception.value.kind, StorageErrorKind.DENIED)

    def test_missing_record_is_absent(self) -> None:
        storage = FakeStorage(None)
        guarded = self.set_up(storage)
        self.assertEqual(guarded.delete(), Outcome.ABSENT)
        self.assertEqual(guarded.delete_if_owned_by("alice"), Outcome.ABSENT)
        self.assertEqual(guarded.delete_if_unchanged("1"), Outcome.ABSENT)
        self.assertEqual(storage.calls, ["find"] * 3)

    def test_held_record_that_would_not_be_deleted_is_not_denied(self) -> None:
        unowned = record(user_id=None, metadata=HELD)
        self.assertEqual(self.delete_if_owned_by(unowned, "alice"), Outcome.UNOWNED)
        self.assertEqual(self.delete_if_owned_by(record(metadata=HELD), "bob"), Outcome.OWNED_BY_ANOTHER)
        guarded = self.set_up(FakeStorage(record(metadata=HELD)))
        self.assertEqual(guarded.delete_if_unchanged("2"), Outcome.CHANGED)

    def test_condition_that_is_met_deletes(self) -> None:
        self.assertEqual(self.delete_if_owned_by(record(), "alice"), Outcome.DELETED)
        self.assertEqual(self.delete_if_owned_by(record(user_id=""), ""), Outcome.DELETED)
        self.assertEqual(self.set_up(FakeStorage(record())).delete_if_unchanged("1"), Outcome.DELETED)

    def test_owners_are_compared_byte_by_byte(self) -> None:
        # Twice the same character for a reader: one code point, and a letter with a combining one.
        self.assertEqual(self.delete_if_owned_by(record(user_id="\u00e9"), "e\u0301"), Outcome.OWNED_BY_ANOTHER)
        self.assertEqual(self.delete_if_owned_by(record(user_id="a\0b"), "a\0c"), Outcome.OWNED_BY_ANOTHER)
        self.assertEqual(self.delete_if_owned_by(record(user_id="🦀"), "🦀"), Outcome.DELETED)

    def test_unpaired_surrogate_in_a_setting_holds_nobody(self) -> None:
        self.assertEqual(self.delete(record(user_id="\ufffd"), {"held_users": r'["\ud83e"]'}), Outcome.DELETED)

    def test_changed_record_is_read_again_three_times(self) -> None:
        storage = FakeStorage(record(), changes=3)
        self.assertEqual(self.set_up(storage).delete(), Outcome.DELETED)
        self.assertEqual(len(storage.calls), 8)

    def test_record_that_keeps_changing_is_unavailable(self) -> None:
        storage = FakeStorage(record(), changes=4)
        with self.assertRaises(Err) as raised:
            self.set_up(storage).delete()
        self.assertEqual(raised.exception.value.kind, StorageErrorKind.UNAVAILABLE)
        self.assertEqual(len(storage.calls), 8)
        self.assertIsNotNone(storage.learning)

    def test_record_that_changes_under_its_condition_is_changed(self) -> None:
        self.assertEqual(self.set_up(FakeStorage(record(), changes=1)).delete_if_unchanged("1"), Outcome.CHANGED)

    def test_error_of_the_storage_is_raised_as_it_is(self) -> None:
        error = Err(StorageError(StorageErrorKind.OUTCOME_UNKNOWN, "the connection was lost"))
        for failing, call in (
            ("locate", lambda guarded: guarded.locate()),
            ("find", lambda guarded: guarded.find()),
            ("find", lambda guarded: guarded.delete()),
            ("find", lambda guarded: guarded.delete_if_owned_by("alice")),
            ("delete_if_unchanged", lambda guarded: guarded.delete()),
        ):
            with self.subTest(failing), self.assertRaises(Err) as raised:
                call(self.set_up(FakeStorage(record(), errors={failing: error})))
            self.assertIs(raised.exception, error)

    def test_locate_and_find_are_forwarded(self) -> None:
        guarded = self.set_up(FakeStorage(record(metadata=HELD)))
        self.assertEqual(guarded.locate(), TARGET)
        self.assertEqual(guarded.find(), Lookup(record(metadata=HELD)))


if __name__ == "__main__":
    unittest.main()
