"""The storage test kit: a correct storage passes, and each kind of broken one is reported."""

import asyncio
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from delete_learning import Learning, Outcome, StorageError, StorageErrorKind, Target, testkit

COLUMNS = [each.name for each in fields(Learning) if each.name != "revision"]
TABLE = f"learning_id TEXT PRIMARY KEY, {', '.join(COLUMNS)}"


class Sqlite:
    """A correct storage on SQLite: a connection for each call, one transaction for each delete."""

    def __init__(self, file: Path, learning_id: str) -> None:
        self.file = file
        self.id = learning_id

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            # The tests need no durability across a power failure, and take minutes with it.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def row(self, connection: sqlite3.Connection) -> tuple[Any, ...] | None:
        query = f"SELECT {', '.join(COLUMNS)} FROM learnings WHERE learning_id = ?"
        found: tuple[Any, ...] | None = connection.execute(query, [self.id]).fetchone()
        return found

    def revision(self, row: tuple[Any, ...]) -> str:
        return hashlib.sha256(json.dumps(row).encode()).hexdigest()

    def locate(self) -> Target:
        return Target("main", "learnings")

    def find(self) -> Learning | None:
        with self.transaction() as connection:
            row = self.row(connection)
        if row is None:
            return None
        return Learning(**dict(zip(COLUMNS, row, strict=True)), revision=self.revision(row))

    def delete(self) -> Outcome:
        with self.transaction() as connection:
            deleted = connection.execute("DELETE FROM learnings WHERE learning_id = ?", [self.id]).rowcount
        return Outcome.DELETED if deleted else Outcome.ABSENT

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        with self.transaction() as connection:
            arguments = [self.id, user_id]
            query = "DELETE FROM learnings WHERE learning_id = ? AND user_id = ?"
            deleted = connection.execute(query, arguments).rowcount
            row = self.row(connection)
        if deleted:
            return Outcome.DELETED
        if row is None:
            return Outcome.ABSENT
        return Outcome.UNOWNED if self.owner(row) is None else Outcome.OWNED_BY_ANOTHER

    def owner(self, row: tuple[Any, ...]) -> str | None:
        owner: str | None = row[COLUMNS.index("user_id")]
        return owner

    def delete_if_unchanged(self, revision: str) -> Outcome:
        with self.transaction() as connection:
            row = self.row(connection)
            if row is None:
                return Outcome.ABSENT
            if self.revision(row) != revision:
                return Outcome.CHANGED
            connection.execute("DELETE FROM learnings WHERE learning_id = ?", [self.id])
        return Outcome.DELETED


class SqliteAdapter:
    def __init__(self, file: Path, storage: type[Sqlite] = Sqlite, table: str = TABLE) -> None:
        self.file = file
        self.storage = storage
        with self.connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"CREATE TABLE IF NOT EXISTS learnings ({table})")

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            yield connection

    def insert(self, learning_id: str, learning: Learning) -> None:
        with self.connect() as connection:
            values = [learning_id, *(getattr(learning, name) for name in COLUMNS)]
            connection.execute(f"INSERT INTO learnings VALUES ({', '.join('?' * len(values))})", values)

    @contextmanager
    def change(self, learning_id: str, column: str, value: Any, expected_owner: str | None) -> Iterator[bool]:
        with self.connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            query = f"UPDATE learnings SET {column} = ? WHERE learning_id = ? AND user_id IS ?"
            yield connection.execute(query, [value, learning_id, expected_owner]).rowcount == 1
            connection.execute("COMMIT")

    def exists(self, learning_id: str) -> bool:
        with self.connect() as connection:
            query = "SELECT 1 FROM learnings WHERE CAST(learning_id AS BLOB) = CAST(? AS BLOB)"
            return connection.execute(query, [learning_id]).fetchone() is not None

    def open(self, learning_id: str) -> Any:
        return self.storage(self.file, learning_id)


class SelectsThenDeletes(Sqlite):
    """Racy: reads the owner, then deletes by id."""

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            row = self.row(connection)
        if row is None:
            return Outcome.ABSENT
        if self.owner(row) is None:
            return Outcome.UNOWNED
        return self.delete() if self.owner(row) == user_id else Outcome.OWNED_BY_ANOTHER


class ComparesRevisionThenDeletes(Sqlite):
    def delete_if_unchanged(self, revision: str) -> Outcome:
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
            row = self.row(connection)
        if row is None:
            return Outcome.ABSENT
        return self.delete() if self.revision(row) == revision else Outcome.CHANGED


class DeletesBeforeTheCommit(Sqlite):
    """Not durable: commits later."""

    def delete(self) -> Outcome:
        connection = sqlite3.connect(self.file, isolation_level=None, timeout=10, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        deleted = connection.execute("DELETE FROM learnings WHERE learning_id = ?", [self.id]).rowcount

        def commit() -> None:
            connection.execute("COMMIT")
            connection.close()

        threading.Timer(0.05, commit).start()
        return Outcome.DELETED if deleted else Outcome.ABSENT


class IgnoresTheOwner(Sqlite):
    def delete_if_owned_by(self, user_id: str) -> Outcome:
        return self.delete()


class LeavesColumnsOutOfTheRevision(Sqlite):
    def revision(self, row: tuple[Any, ...]) -> str:
        return str(row[COLUMNS.index("updated_at")])


class ConfusesReasons(Sqlite):
    def delete_if_owned_by(self, user_id: str) -> Outcome:
        outcome = super().delete_if_owned_by(user_id)
        return Outcome.ABSENT if outcome is Outcome.UNOWNED else outcome


class MisspellsOutcomes(Sqlite):
    def delete(self) -> Any:
        return str(super().delete()).upper()


class RaisesDatabaseErrors(Sqlite):
    def find(self) -> Learning | None:
        raise sqlite3.OperationalError("no such table: learnings")


class DeniesReads(Sqlite):
    def find(self) -> Learning | None:
        raise StorageError(StorageErrorKind.DENIED)


class LocatesByReading(Sqlite):
    def locate(self) -> Target:
        return Target("main", "learnings" if self.find() else "nothing")


class FindsTheWrongRecord(Sqlite):
    def find(self) -> Learning | None:
        found = super().find()
        return found and Learning(
            **{**{n: getattr(found, n) for n in COLUMNS}, "namespace": "x"}, revision=found.revision
        )


class MatchesPatterns(Sqlite):
    def delete(self) -> Outcome:
        with self.transaction() as connection:
            deleted = connection.execute("DELETE FROM learnings WHERE learning_id LIKE ?", [self.id]).rowcount
        return Outcome.DELETED if deleted else Outcome.ABSENT


def test_correct_storage_passes(tmp_path: Path) -> None:
    adapter = SqliteAdapter(tmp_path / "learnings.db")
    report = testkit.check_storage(adapter)
    report.assert_correct()
    assert report.checks > 500
    assert str(report) == f"the storage passed {report.checks} checks"
    with adapter.connect() as connection:
        assert connection.execute("SELECT count(*) FROM learnings").fetchone() == (0,)


def test_asynchronous_storage_passes(tmp_path: Path) -> None:
    class AsyncSqlite(Sqlite):
        async def delete_if_owned_by(self, user_id: str) -> Outcome:  # type: ignore[override]
            return await asyncio.to_thread(super().delete_if_owned_by, user_id)

        async def find(self) -> Learning | None:  # type: ignore[override]
            return await asyncio.to_thread(super().find)

    testkit.check_storage(SqliteAdapter(tmp_path / "learnings.db", AsyncSqlite)).assert_correct()


@pytest.mark.parametrize(
    ("storage", "guarantee", "message"),
    [
        (
            SelectsThenDeletes,
            testkit.ATOMIC,
            "delete_if_owned_by returned deleted while another connection changed user_id of the record; "
            "expected owned-by-another",
        ),
        (
            ComparesRevisionThenDeletes,
            testkit.ATOMIC,
            "delete_if_unchanged returned deleted while another connection changed content of the record; "
            "expected changed",
        ),
        (
            DeletesBeforeTheCommit,
            testkit.DURABLE,
            "delete of a record with the owner 'alice' returned deleted, but another connection still sees the record",
        ),
        (
            IgnoresTheOwner,
            testkit.REASON,
            "delete_if_owned_by of a record with the owner 'bob', for 'alice', returned deleted; "
            "expected owned-by-another",
        ),
        (
            LeavesColumnsOutOfTheRevision,
            testkit.REVISION,
            "the revision did not change when namespace was changed to 'global'",
        ),
        (
            ConfusesReasons,
            testkit.REASON,
            "delete_if_owned_by of a record with the owner None, for 'alice', returned absent; expected unowned",
        ),
        (
            MisspellsOutcomes,
            testkit.ANSWERS,
            "delete(): storage.delete returned 'ABSENT'; expected one of 'absent', 'deleted'",
        ),
        (RaisesDatabaseErrors, testkit.ANSWERS, "find() raised OperationalError: no such table: learnings"),
        (
            DeniesReads,
            testkit.ANSWERS,
            "find(): storage.find raised a StorageError whose kind is 'denied'; expected one of",
        ),
        (LocatesByReading, testkit.LOCATE, "locate returned Target(database='main', table='nothing') for a record"),
        (
            FindsTheWrongRecord,
            testkit.RECORD,
            "find returned the namespace 'x' of a record whose namespace is 'global'",
        ),
        (
            MatchesPatterns,
            testkit.BYTES,
            "delete of a record whose id ends in 'Alice', while one exists whose id ends in",
        ),
    ],
)
def test_broken_storage_is_reported(storage: type[Sqlite], guarantee: str, message: str, tmp_path: Path) -> None:
    report = testkit.check_storage(SqliteAdapter(tmp_path / "learnings.db", storage))
    assert any(each.guarantee == guarantee and each.message.startswith(message) for each in report.problems), report
    with pytest.raises(AssertionError, match="Violated: ") as raised:
        report.assert_correct()
    assert guarantee in str(raised.value)


@pytest.mark.parametrize("collation", ["NOCASE", "RTRIM"])
@pytest.mark.parametrize("column", ["user_id", "learning_id"])
def test_collation_is_reported(collation: str, column: str, tmp_path: Path) -> None:
    declared = f"learning_id TEXT {f'COLLATE {collation}' if column == 'learning_id' else ''} PRIMARY KEY"
    table = TABLE.replace("learning_id TEXT PRIMARY KEY", declared)
    if column == "user_id":
        table = table.replace("user_id", f"user_id TEXT COLLATE {collation}")
    report = testkit.check_storage(SqliteAdapter(tmp_path / "learnings.db", table=table))
    assert any(each.guarantee == testkit.BYTES for each in report.problems), report


@pytest.mark.parametrize("attempt", range(5))
def test_racy_storage_never_passes(attempt: int, tmp_path: Path) -> None:
    report = testkit.check_storage(SqliteAdapter(tmp_path / f"{attempt}.db", SelectsThenDeletes))
    assert [each.guarantee for each in report.problems][:1] == [testkit.ATOMIC], report


POSTGRES = os.environ.get("POSTGRES_URL")


class Postgres:
    """A correct storage on PostgreSQL: a connection for each call, one transaction for each delete."""

    racy = False

    def __init__(self, url: str, learning_id: str) -> None:
        self.url = url
        self.id = learning_id

    def query(self, *statements: tuple[str, list[Any]]) -> list[Any]:
        import psycopg

        results: list[Any] = []
        with psycopg.connect(self.url) as connection:
            for statement, arguments in statements:
                cursor = connection.execute(statement, arguments)
                results.append(cursor.fetchall())
        return results

    def locate(self) -> Target:
        return Target("main", "learnings")

    REVISION = "md5(learnings::text)"

    def find(self) -> Learning | None:
        columns = ", ".join(COLUMNS)
        (rows,) = self.query((f"SELECT {columns}, {self.REVISION} FROM learnings WHERE learning_id = %s", [self.id]))
        return Learning(**dict(zip([*COLUMNS, "revision"], rows[0], strict=True))) if rows else None

    def delete(self) -> Outcome:
        (deleted,) = self.query(("DELETE FROM learnings WHERE learning_id = %s RETURNING 1", [self.id]))
        return Outcome.DELETED if deleted else Outcome.ABSENT

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        owner = ("SELECT user_id FROM learnings WHERE learning_id = %s", [self.id])
        if self.racy:
            (owners,) = self.query(owner)
            if owners and owners[0][0] == user_id:
                return self.delete()
        else:
            condition = "DELETE FROM learnings WHERE learning_id = %s AND user_id = %s RETURNING 1"
            deleted, owners = self.query((condition, [self.id, user_id]), owner)
            if deleted:
                return Outcome.DELETED
        if not owners:
            return Outcome.ABSENT
        if owners[0][0] == user_id:
            raise StorageError(StorageErrorKind.UNAVAILABLE, "the owner changed during the delete")
        return Outcome.UNOWNED if owners[0][0] is None else Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, revision: str) -> Outcome:
        condition = f"DELETE FROM learnings WHERE learning_id = %s AND {self.REVISION} = %s RETURNING 1"
        exists = ("SELECT 1 FROM learnings WHERE learning_id = %s", [self.id])
        deleted, rows = self.query((condition, [self.id, revision]), exists)
        if deleted:
            return Outcome.DELETED
        return Outcome.CHANGED if rows else Outcome.ABSENT


class RacyPostgres(Postgres):
    racy = True


class PostgresAdapter:
    def __init__(self, url: str, storage: type[Postgres]) -> None:
        import psycopg

        self.url = url
        self.storage = storage
        self.connect = psycopg.connect
        columns = ", ".join(f"{name} {'bigint' if name.endswith('_at') else 'text'}" for name in COLUMNS)
        with self.connect(url) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS learnings (learning_id text PRIMARY KEY, {columns})")

    def insert(self, learning_id: str, learning: Learning) -> None:
        values = [learning_id, *(getattr(learning, name) for name in COLUMNS)]
        with self.connect(self.url) as connection:
            connection.execute(f"INSERT INTO learnings VALUES ({', '.join(['%s'] * len(values))})", values)

    @contextmanager
    def change(self, learning_id: str, column: str, value: Any, expected_owner: str | None) -> Iterator[bool]:
        query = f"UPDATE learnings SET {column} = %s WHERE learning_id = %s AND user_id IS NOT DISTINCT FROM %s"
        with self.connect(self.url) as connection:
            yield connection.execute(query, [value, learning_id, expected_owner]).rowcount == 1

    def exists(self, learning_id: str) -> bool:
        with self.connect(self.url) as connection:
            query = "SELECT 1 FROM learnings WHERE learning_id = %s"
            return connection.execute(query, [learning_id]).fetchone() is not None

    def open(self, learning_id: str) -> Any:
        return self.storage(self.url, learning_id)


@pytest.mark.skipif(POSTGRES is None, reason="POSTGRES_URL is not set")
@pytest.mark.parametrize("storage", [Postgres, RacyPostgres])
def test_postgres(storage: type[Postgres]) -> None:
    assert POSTGRES is not None
    report = testkit.check_storage(PostgresAdapter(POSTGRES, storage))
    if storage.racy:
        assert [each.guarantee for each in report.problems][:1] == [testkit.ATOMIC], report
    else:
        report.assert_correct()
