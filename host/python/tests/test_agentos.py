"""An AgentOS whose deletes a policy decides, over HTTP, on a synchronous and on an asynchronous database."""

import asyncio
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from agno.db.sqlite import AsyncSqliteDb, SqliteDb
from agno.os import AgentOS

from delete_learning import Outcome, Policy, Request, StorageError, StorageErrorKind
from delete_learning.agentos import agno_storage, use_policy

HERE = Path(__file__).resolve().parent
KEY = secrets.token_hex(32)
READ = "learnings:read"
DELETE = "learnings:delete"
UNUSUAL_IDS = ["a/b", "a/", "/", "a b", "%2F", "it's", "\U0001f9e0", "line\nbreak", "..", "a?b#c", "i" * 4096]
DELETED = (204, None, None)
ABSENT = (404, "NOT_FOUND", "Learning not found")
NO_SCOPE = (403, "FORBIDDEN", "Insufficient permissions. Required scope(s): learnings:delete")
UNOWNED = (403, "FORBIDDEN", "Only admins can modify learnings that have no owner (user_id is null)")


def token(subject: str | None, *scopes: str, key: str = KEY, expires_in: int = 600) -> str:
    claims: dict[str, Any] = {"scopes": list(scopes), "exp": int(time.time()) + expires_in}
    return jwt.encode(claims | ({"sub": subject} if subject else {}), key, algorithm="HS256")


ALICE = token("alice", READ, DELETE)
ROOT = token("root", "agent_os:admin")
Answer = tuple[int, str | None, str | None]


class Server:
    """The real application on a free port."""

    def __init__(self, database: Path, kind: str) -> None:
        self.database = database
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--factory", "agentos_app:build", "--port", str(self.port)]
        settings = {"JWT_VERIFICATION_KEY": KEY, "LEARNINGS_DB": str(database), "DATABASE": kind}
        self.log = database.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=HERE, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 120
        while True:
            try:
                self.request("GET", "/health")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    pytest.fail(f"the server did not start:\n{self.log.read_text()}")
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def request(
        self, method: str, target: str, authorization: str | None = None, body: dict[str, Any] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
        try:
            connection.request(method, target, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None, dict(response.getheaders())
        finally:
            connection.close()

    def delete(self, learning_id: str, bearer: str | None = None, query: str = "") -> Answer:
        authorization = f"Bearer {bearer}" if bearer else None
        status, body, _ = self.request("DELETE", f"/learnings/{quote(learning_id, safe='')}{query}", authorization)
        return status, (body or {}).get("error_code"), (body or {}).get("detail")

    def get(self, learning_id: str, bearer: str) -> int:
        return self.request("GET", f"/learnings/{quote(learning_id, safe='')}", f"Bearer {bearer}")[0]


@pytest.fixture(params=["SqliteDb", "AsyncSqliteDb"], scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("agentos") / "agno.db", request.param)
    try:
        # The first request creates the table.
        assert started.delete("mine", ALICE) == ABSENT
        yield started
    finally:
        started.stop()


@pytest.fixture
def db(server: Server) -> Iterator[SqliteDb]:
    database = SqliteDb(id="main", db_file=str(server.database))
    yield database
    database.close()


def insert(db: SqliteDb, owner: str | None, *learning_ids: str) -> None:
    for learning_id in learning_ids:
        db.upsert_learning(id=learning_id, learning_type="user_profile", content={"a": 1}, user_id=owner)


def remaining(db: SqliteDb) -> set[str]:
    return {row["learning_id"] for row in db.get_learnings(limit=100)}


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> None:
    if "db" in request.fixturenames:
        database: SqliteDb = request.getfixturevalue("db")
        insert(database, None, "any")
        with database.db_engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM agno_learnings")


def test_users_delete_their_own_records(server: Server, db: SqliteDb) -> None:
    insert(db, "alice", "mine")
    insert(db, "bob", "his")
    insert(db, None, "shared")
    assert server.get("mine", ALICE) == 200
    assert server.delete("mine", ALICE) == DELETED
    assert server.get("mine", ALICE) == 404
    assert server.delete("mine", ALICE) == ABSENT
    assert server.delete("his", ALICE) == ABSENT
    assert server.delete("shared", ALICE) == UNOWNED
    assert server.delete("his", token(None, DELETE))[:2] == (403, "FORBIDDEN")
    assert server.delete("none", token(None, DELETE))[:2] == (403, "FORBIDDEN")
    assert remaining(db) == {"his", "shared"}


def test_admin_deletes_every_record(server: Server, db: SqliteDb) -> None:
    insert(db, "eve", "hers")
    insert(db, None, "shared")
    assert server.delete("shared", ROOT) == DELETED
    assert server.delete("hers", ROOT) == DELETED
    assert server.delete("none", ROOT) == ABSENT


def test_credentials_are_required(server: Server, db: SqliteDb) -> None:
    insert(db, "bob", "his")
    assert server.delete("his") == (401, "UNAUTHENTICATED", "Authorization header missing")
    assert server.delete("his", token("bob", DELETE, key=KEY[::-1]))[:2] == (401, "UNAUTHENTICATED")
    expired = server.delete("his", token("bob", DELETE, expires_in=-60))
    assert expired == (401, "UNAUTHENTICATED", "Token has expired")
    status, body, headers = server.request("DELETE", "/learnings/his", token("bob", DELETE))
    assert (status, body["error_code"], headers.get("www-authenticate")) == (401, "UNAUTHENTICATED", "Bearer")
    assert server.delete("his", token("bob", READ)) == NO_SCOPE
    assert server.delete("none", token("bob", READ)) == NO_SCOPE
    assert remaining(db) == {"his"}


def test_database_and_table_select_the_record(server: Server, db: SqliteDb) -> None:
    insert(db, "alice", "yours", "empty")
    needs_database = (400, "BAD_REQUEST", "The db_id query parameter is required when passing a table")
    assert server.delete("yours", ALICE, "?table=agno_learnings") == needs_database
    assert server.delete("yours", ALICE, "?db_id=nope") == (404, "NOT_FOUND", "No database found with id 'nope'")
    for table in ("nope", "agno_sessions"):
        unknown = (404, "NOT_FOUND", f"No database with id 'main' has table '{table}'")
        assert server.delete("yours", ALICE, f"?db_id=main&table={table}") == unknown
    assert server.delete("yours", ALICE, "?db_id=nope&db_id=main")[:2] == (400, "BAD_REQUEST")
    assert remaining(db) == {"yours", "empty"}
    assert server.delete("yours", ALICE, "?db_id=main&table=agno_learnings") == DELETED
    assert server.delete("empty", ALICE, "?db_id=&table=") == DELETED


def test_ids_are_compared_as_they_are(server: Server, db: SqliteDb) -> None:
    insert(db, "alice", "stays", *UNUSUAL_IDS)
    assert server.request("DELETE", "/learnings/%FF", f"Bearer {ALICE}")[0] == 400
    assert server.delete("i" * 4097, ALICE)[:2] == (400, "BAD_REQUEST")
    assert server.delete("stays/", ALICE) == ABSENT
    assert server.request("DELETE", "/learnings/stays/x", f"Bearer {ALICE}")[0] == 404
    assert server.get("stays", ALICE) == 200
    for unusual in UNUSUAL_IDS:
        assert server.delete(unusual, ALICE) == DELETED, unusual
    assert remaining(db) == {"stays"}


def test_service_account_deletes_its_own_records(server: Server, db: SqliteDb) -> None:
    insert(db, "sa:bot", "machine")
    insert(db, "bob", "his")
    insert(db, None, "shared")
    account = {"name": "bot", "scopes": [{"scope": DELETE}], "allow_privileged_scopes": True}
    bot = server.request("POST", "/service-accounts", f"Bearer {ROOT}", account)[1]["token"]
    assert server.delete("machine", bot) == DELETED
    assert server.delete("his", bot) == ABSENT
    assert server.delete("shared", bot) == UNOWNED
    unknown = (401, "UNAUTHENTICATED", "Invalid or expired service account token")
    assert server.delete("his", "agno_pat_unknown") == unknown


def test_operation_is_documented(server: Server) -> None:
    operation = server.request("GET", "/openapi.json")[1]["paths"]["/learnings/{learning_id}"]["delete"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["learning_id", "db_id", "table"]


def test_failing_database_is_answered_without_the_cause(server: Server, db: SqliteDb) -> None:
    with db.db_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE agno_learnings")
    failed = (500, "INTERNAL_SERVER_ERROR", "Failed to delete learning")
    assert server.delete("his", ROOT) == failed
    text = server.log.read_text()
    assert "no such table" in text
    assert KEY not in text
    assert ROOT not in text


async def call(storage: Any, function: str, *arguments: str) -> Any:
    result = getattr(storage, function)(*arguments)
    return await result if asyncio.iscoroutine(result) else result


@pytest.mark.parametrize("kind", [SqliteDb, AsyncSqliteDb])
def test_storage_finds_and_deletes_unchanged_records(kind: type, tmp_path: Path) -> None:
    """The default policy calls neither function."""
    writer = SqliteDb(id="main", db_file=str(tmp_path / "agno.db"))
    insert(writer, "alice", "a")

    async def test() -> None:
        reader = kind(id="main", db_file=str(tmp_path / "agno.db"))
        storage = agno_storage(Request("a"), {"main": [reader]})
        before = await call(storage, "find")
        writer.upsert_learning(id="a", learning_type="user_profile", content={"a": 2}, user_id="alice")
        after = await call(storage, "find")
        assert (after.user_id, after.content) == ("alice", '{"a": 2}')
        assert await call(storage, "delete_if_unchanged", before.revision) is Outcome.CHANGED
        assert await call(storage, "find") == after
        assert await call(storage, "delete_if_unchanged", after.revision) is Outcome.DELETED
        assert await call(storage, "find") is None
        assert await call(storage, "delete_if_unchanged", after.revision) is Outcome.ABSENT
        await call(reader, "close")

    asyncio.run(test())
    writer.close()


@pytest.mark.parametrize("kind", [SqliteDb, AsyncSqliteDb])
def test_several_tables_have_one_id(kind: type, tmp_path: Path) -> None:
    names = ("one", "two")
    writers = [SqliteDb(id="main", db_file=str(tmp_path / "agno.db"), learnings_table=name) for name in names]
    for writer in writers:
        insert(writer, "alice", "a")

    async def test() -> None:
        readers = [
            kind(id="main", db_file=str(tmp_path / "agno.db"), learnings_table=name) for name in (*names, "three")
        ]
        dbs = {"main": readers}
        for table, located in [(None, "one"), ("", "one"), ("one", "one"), ("two", "two")]:
            assert (await call(agno_storage(Request("a", "main", table), dbs), "locate")).table == located
        assert (
            await call(agno_storage(Request("a", "main", "two"), dbs), "delete_if_owned_by", "alice") is Outcome.DELETED
        )
        assert remaining(writers[0]) == {"a"}
        assert remaining(writers[1]) == set()
        assert await call(agno_storage(Request("a"), dbs), "delete") is Outcome.DELETED
        for request, kind_of_error in [
            (Request("a", "main", "four"), StorageErrorKind.UNKNOWN_TABLE),
            (Request("a", "main", "three"), StorageErrorKind.UNKNOWN_TABLE),
            (Request("a", "other"), StorageErrorKind.UNKNOWN_DATABASE),
        ]:
            for function, *arguments in (["locate"], ["find"], ["delete"], ["delete_if_owned_by", "alice"]):
                with pytest.raises(StorageError) as raised:
                    await call(agno_storage(request, dbs), function, *arguments)
                assert raised.value.kind is kind_of_error
        for reader in readers:
            await call(reader, "close")

    asyncio.run(test())
    for writer in writers:
        writer.close()


@pytest.mark.parametrize(
    ("dbs", "kind"),
    [
        ({}, StorageErrorKind.UNSUPPORTED),
        ({"main": [object()]}, StorageErrorKind.UNSUPPORTED),
        ({"a": [object()], "b": [object()]}, StorageErrorKind.DATABASE_REQUIRED),
    ],
)
def test_other_databases_are_refused(dbs: dict[str, list[Any]], kind: StorageErrorKind) -> None:
    with pytest.raises(StorageError) as raised:
        asyncio.run(call(agno_storage(Request("a"), dbs), "locate"))
    assert raised.value.kind is kind


def test_agent_os_without_base_app_is_refused() -> None:
    agent_os = AgentOS(db=SqliteDb(id="main", db_file=":memory:"), telemetry=False)
    with pytest.raises(ValueError, match="the AgentOS needs base_app"):
        use_policy(agent_os, Policy())
