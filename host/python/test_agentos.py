"""Starts the AgentOS of `agentos.py` with a fresh database and checks its deletes over HTTP.

    python test_agentos.py

The last line is `N passed, N failed`. Exits with 1 if a check failed.
"""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import jwt
from agno.db.sqlite import SqliteDb
from starlette.datastructures import QueryParams

from agentos import AgnoStorage
from host import Outcome

HERE = Path(__file__).resolve().parent
KEY = secrets.token_hex(32)
READ = "learnings:read"
DELETE = "learnings:delete"
ADMIN = "agent_os:admin"
UNUSUAL_IDS = ["a/b", "a/", "/", "a b", "%2F", "it's", "\U0001f9e0", "line\nbreak", "..", "a?b#c", "i" * 4096]


def token(subject: str | None, *scopes: str, key: str = KEY, expires_in: int = 600) -> str:
    claims = {"scopes": list(scopes), "exp": int(time.time()) + expires_in} | ({"sub": subject} if subject else {})
    return jwt.encode(claims, key, algorithm="HS256")


ALICE = token("alice", READ, DELETE)
ROOT = token("root", ADMIN)


class Server:
    """The real application on a free port, until the end of the block."""

    def __init__(self, database: Path) -> None:
        self.database = database

    def __enter__(self) -> "Server":
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--factory", "agentos:build", "--port", str(self.port)]
        environment = {**os.environ, "JWT_VERIFICATION_KEY": KEY, "LEARNINGS_DB": str(self.database)}
        self.log = open(self.database.with_suffix(".log"), "w")
        self.process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.request("GET", "/health")
                return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise SystemExit(f"the server did not start:\n{Path(self.log.name).read_text()}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def request(
        self, method: str, target: str, authorization: str | None = None, body: dict | None = None
    ) -> tuple[int, dict | None, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
        try:
            connection.request(method, target, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body else None, dict(response.getheaders())
        finally:
            connection.close()

    def delete(self, learning_id: str, bearer: str | None = None, query: str = "") -> tuple:
        authorization = f"Bearer {bearer}" if bearer else None
        status, body, _ = self.request("DELETE", f"/learnings/{quote(learning_id, safe='')}{query}", authorization)
        return status, (body or {}).get("error_code"), (body or {}).get("detail")

    def get(self, learning_id: str, bearer: str) -> int:
        return self.request("GET", f"/learnings/{quote(learning_id, safe='')}", f"Bearer {bearer}")[0]


class Checks:
    passed = 0
    failed = 0

    def assert_equal(self, what: str, got: object, expected: object) -> None:
        if got == expected:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{what}\n  expected {expected}\n  got      {got}")


def check(server: Server, db: SqliteDb, checks: Checks) -> None:
    equal = checks.assert_equal
    deleted = (204, None, None)
    absent = (404, "NOT_FOUND", "Learning not found")
    no_scope = (403, "FORBIDDEN", "Insufficient permissions. Required scope(s): learnings:delete")
    unowned = (403, "FORBIDDEN", "Only admins can modify learnings that have no owner (user_id is null)")

    equal("before: Agno returns the record", server.get("mine", ALICE), 200)
    equal("an owner deletes its record", server.delete("mine", ALICE), deleted)
    equal("after: Agno returns 404", server.get("mine", ALICE), 404)
    equal("a second delete", server.delete("mine", ALICE), absent)
    equal("a record of another owner", server.delete("his", ALICE), absent)
    equal("a record without an owner, by a user", server.delete("shared", ALICE), unowned)
    equal("no subject, existing record", server.delete("his", token(None, DELETE))[:2], (403, "FORBIDDEN"))
    equal("no subject, absent record", server.delete("none", token(None, DELETE))[:2], (403, "FORBIDDEN"))
    equal("no token", server.delete("his"), (401, "UNAUTHENTICATED", "Authorization header missing"))
    equal("a forged token", server.delete("his", token("bob", DELETE, key=KEY[::-1]))[:2], (401, "UNAUTHENTICATED"))
    expired = server.delete("his", token("bob", DELETE, expires_in=-60))
    equal("an expired token", expired, (401, "UNAUTHENTICATED", "Token has expired"))
    status, body, headers = server.request("DELETE", "/learnings/his", token("bob", DELETE))
    equal("a token without a scheme", (status, body["error_code"]), (401, "UNAUTHENTICATED"))
    equal("the challenge for a token without a scheme", headers.get("www-authenticate"), "Bearer")
    equal("another scope", server.delete("his", token("bob", READ)), no_scope)
    equal("no scope, absent record", server.delete("none", token("bob", READ)), no_scope)

    table_without_database = (400, "BAD_REQUEST", "The db_id query parameter is required when passing a table")
    equal("a table without a database", server.delete("yours", ALICE, "?table=agno_learnings"), table_without_database)
    unknown_database = (404, "NOT_FOUND", "No database found with id 'nope'")
    equal("an unknown database", server.delete("yours", ALICE, "?db_id=nope"), unknown_database)
    for table in ("nope", "agno_sessions"):
        unknown_table = (404, "NOT_FOUND", f"No database with id 'main' has table '{table}'")
        equal(f"unknown table {table}", server.delete("yours", ALICE, f"?db_id=main&table={table}"), unknown_table)
    twice = server.delete("yours", ALICE, "?db_id=nope&db_id=main")
    equal("a repeated db_id", twice[:2], (400, "BAD_REQUEST"))
    equal("the rejected requests deleted nothing", server.get("yours", ALICE), 200)
    with_target = server.delete("yours", ALICE, "?db_id=main&table=agno_learnings")
    equal("a database and its table", with_target, deleted)
    equal("empty db_id and table", server.delete("empty", ALICE, "?db_id=&table="), deleted)

    equal("not UTF-8", server.request("DELETE", "/learnings/%FF", f"Bearer {ALICE}")[0], 400)
    equal("too long", server.delete("i" * 4097, ALICE)[:2], (400, "BAD_REQUEST"))
    equal("a trailing slash is not stripped", server.delete("stays/", ALICE), absent)
    equal("the record without the slash is not deleted", server.get("stays", ALICE), 200)
    for unusual in UNUSUAL_IDS:
        equal(f"id {unusual[:20]!r}", server.delete(unusual, ALICE), deleted)

    account = {"name": "bot", "scopes": [{"scope": DELETE}], "allow_privileged_scopes": True}
    bot = server.request("POST", "/service-accounts", f"Bearer {ROOT}", account)[1]["token"]
    equal("a record of the service account", server.delete("machine", bot), deleted)
    equal("a record of another owner, by a service account", server.delete("his", bot), absent)
    equal("a record without an owner, by a service account", server.delete("shared", bot), unowned)
    unknown = (401, "UNAUTHENTICATED", "Invalid or expired service account token")
    equal("an unknown service account", server.delete("his", "agno_pat_unknown"), unknown)

    equal("a record without an owner, by an admin", server.delete("shared", ROOT), deleted)
    equal("a record of another owner, by an admin", server.delete("hers", ROOT), deleted)
    equal("an absent record, by an admin", server.delete("none", ROOT), absent)
    equal("the remaining records", {row["learning_id"] for row in db.get_learnings(limit=100)}, {"his", "stays"})

    operation = server.request("GET", "/openapi.json")[1]["paths"]["/learnings/{learning_id}"]["delete"]
    documented = [parameter["name"] for parameter in operation["parameters"]]
    equal("the documented parameters", documented, ["learning_id", "db_id", "table"])

    with db.db_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE agno_learnings")
    failed = (500, "INTERNAL_SERVER_ERROR", "Failed to delete learning")
    equal("a failing database: the answer does not contain the cause", server.delete("his", ROOT), failed)


def check_storage(db: SqliteDb, checks: Checks) -> None:
    """Checks `find` and `delete_if_unchanged`, which the default policy never calls."""
    request = SimpleNamespace(scope={"learning_id": b"looked-at"}, query_params=QueryParams())
    storage = AgnoStorage(request, SimpleNamespace(dbs={"main": [db]}))
    before = storage.find()
    db.upsert_learning(id="looked-at", learning_type="user_profile", content={"a": 2}, user_id="alice")
    after = storage.find()
    checks.assert_equal("find", (after.user_id, after.content), ("alice", '{"a": 2}'))
    checks.assert_equal("a stale revision", storage.delete_if_unchanged(before.revision), Outcome.CHANGED)
    checks.assert_equal("find after a stale revision", storage.find(), after)
    checks.assert_equal("the current revision", storage.delete_if_unchanged(after.revision), Outcome.DELETED)
    checks.assert_equal("find of the deleted record", storage.find(), None)
    checks.assert_equal("the revision of a deleted record", storage.delete_if_unchanged(after.revision), Outcome.ABSENT)


def main() -> int:
    checks = Checks()
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "agno.db"
        with Server(database) as server:
            equal = checks.assert_equal
            equal("an empty database", server.delete("mine", ALICE), (404, "NOT_FOUND", "Learning not found"))
            db = SqliteDb(id="main", db_file=str(database))
            owners = dict.fromkeys(["mine", "yours", "empty", "stays", "looked-at", *UNUSUAL_IDS], "alice")
            others = {"his": "bob", "hers": "eve", "machine": "sa:bot", "shared": None}
            for learning_id, owner in (owners | others).items():
                db.upsert_learning(id=learning_id, learning_type="user_profile", content={"a": 1}, user_id=owner)
            check_storage(db, checks)
            check(server, db, checks)
            db.close()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
