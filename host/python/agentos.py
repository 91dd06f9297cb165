"""An AgentOS with a policy that decides `DELETE /learnings/{learning_id}`.

    JWT_VERIFICATION_KEY=... LEARNINGS_DB=agno.db uvicorn --factory agentos:build

Every other route is Agno's. To add the policy to an existing AgentOS, copy everything above `build`.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sql
from agno.db.sqlite import SqliteDb
from agno.os import AgentOS
from agno.os.auth import caller_scopes_are_authoritative, get_authentication_dependency, get_effective_auth_mode
from agno.os.authz import Authorization
from agno.os.scopes import AgentOSScope
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError, SQLAlchemyError, TimeoutError

from host import (
    STATUS,
    Caller,
    Credential,
    IdentityError,
    Learning,
    Outcome,
    Policy,
    PolicyError,
    Rejection,
    StorageError,
    Target,
)
from host import Request as DeleteRequest

COMPONENT = Path(__file__).resolve().parents[2] / "guest/policy/component/delete-learning.wasm"
MAX_LEARNING_ID_BYTES = 4096
ERROR_CODES = {status: code.upper().replace("-", "_") for code, status in STATUS.items()}

audit = logging.getLogger("learnings.audit")


def use_policy(agent_os: AgentOS, policy: Policy) -> FastAPI:
    """Returns the app of an AgentOS whose deletes `policy` decides.

    The AgentOS must have a `base_app` and `on_route_conflict="preserve_base_app"`.
    """

    # Not `async`, so that FastAPI runs it on a worker thread and a slow database does not block the event loop.
    def delete_learning(
        request: Request, learning_id: str, db_id: str | None = None, table: str | None = None
    ) -> Response:
        # `learning_id` is declared only for the OpenAPI description. RawLearningId provides the value.
        storage = AgnoStorage(request, agent_os)
        identity = AgnoIdentity(request, agent_os)
        delete_request = DeleteRequest(storage.learning_id, db_id, table)
        try:
            rejection = policy.decide(delete_request, identity, storage)
        except PolicyError as error:
            audit.exception("policy failed; record deleted: %s", error.deleted)
            rejection = Rejection(500, "internal-server-error", "Internal server error", "policy-failed")
        audit.info(
            "delete learning %r by %r: %s",
            delete_request, getattr(request.state, "user_id", None), rejection.rule if rejection else "deleted",
        )
        if rejection is None:
            return Response(status_code=204)
        body = {"detail": rejection.detail, "error_code": ERROR_CODES[rejection.status]}
        return JSONResponse(body, rejection.status)

    # With `preserve_base_app`, Agno does not add its own route for a path that the base app already has.
    agent_os.base_app.add_api_route(
        "/learnings/{learning_id}",
        delete_learning,
        methods=["DELETE"],
        status_code=204,
        tags=["Learnings"],
        operation_id="delete_learning",
        dependencies=[Depends(get_authentication_dependency(agent_os.settings))],
    )
    app = agent_os.get_app()
    app.add_middleware(RawLearningId)
    return app


class RawLearningId:
    """The outermost middleware, for deletes of learnings only: preserves the raw id, and completes error responses.

    Routes are matched after decoding, and Agno strips trailing slashes: `a%2Fb` would not match the route, and `a%2F`
    would delete `a`. The middleware therefore moves the id from the path to the scope, and puts a fixed id in the path.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        prefix = scope.get("root_path", "") + "/learnings/"
        if scope["type"] == "http" and scope["method"] == "DELETE" and scope["path"].startswith(prefix):
            _, *learning_id = scope["raw_path"].split(b"/", prefix.count("/"))[prefix.count("/") - 1 :]
            plain = {"path": prefix + "id", "raw_path": f"{prefix}id".encode()}
            scope = {**scope, **plain, "learning_id": b"".join(learning_id)}
            send = self.complete_errors(send)
        await self.app(scope, receive, send)

    @staticmethod
    def complete_errors(send: Any) -> Any:
        """Adds `error_code` and the challenge, which the responses of Agno's authentication do not have."""
        start: dict | None = None
        body = b""

        async def send_completed(message: dict) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and message["status"] >= 400:
                start = message
            elif start is None or message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                status = start["status"]
                try:
                    original = json.loads(body)
                    detail = original["detail"]
                    detail = detail if isinstance(detail, str) else json.dumps(detail)
                except (ValueError, TypeError, KeyError):
                    original, detail = {}, "Internal server error" if status >= 500 else "Bad request"
                fallback = "INTERNAL_SERVER_ERROR" if status >= 500 else "BAD_REQUEST"
                error_code = original.get("error_code") or ERROR_CODES.get(status, fallback)
                response = JSONResponse({"detail": detail, "error_code": error_code})
                body_headers = (b"content-length", b"content-type")
                headers = [header for header in start["headers"] if header[0].lower() not in body_headers]
                if status == 401 and not any(name.lower() == b"www-authenticate" for name, _ in headers):
                    headers.append((b"www-authenticate", b"Bearer"))
                await send({**start, "headers": headers + response.raw_headers})
                await send({"type": "http.response.body", "body": response.body})

        return send_completed


class AgnoIdentity:
    """The caller, from the state that Agno's authentication stored in the request."""

    def __init__(self, request: Request, agent_os: AgentOS) -> None:
        self.request = request
        self.agent_os = agent_os

    def current(self) -> Caller:
        state = self.request.state
        subject = getattr(state, "user_id", None)
        mode = get_effective_auth_mode(self.agent_os.settings, self.agent_os.authorization, self.request.app)
        if getattr(state, "service_account_name", None):
            credential = Credential.SERVICE_ACCOUNT
        elif getattr(state, "security_key_verified", False):
            credential, subject = Credential.SECURITY_KEY, None
        elif getattr(state, "authenticated", False):
            credential = Credential.JWT
        elif mode == "none":
            credential, subject = Credential.NONE, None
        else:
            # Unreachable unless the route is excluded from Agno's authentication.
            required = Credential.JWT if mode == "jwt" else Credential.SECURITY_KEY
            raise IdentityError("missing", required, "the request was not authenticated")
        self._require_bearer(credential)
        # If Agno manages the roles, it ignores the scopes of a token: only service accounts can delete.
        scopes = getattr(state, "scopes", None) if caller_scopes_are_authoritative(self.request) else None
        return Caller(
            credential,
            subject if isinstance(subject, str) else None,
            [scope for scope in scopes or [] if isinstance(scope, str)],
            scopes_optional=not getattr(state, "authorization_enabled", True),
            all_owners=not getattr(state, "user_isolation_enabled", True),
            admin_scope=getattr(state, "admin_scope", None) or AgentOSScope.ADMIN.value,
        )

    def _require_bearer(self, credential: Credential) -> None:
        """Rejects a token without a scheme, and several headers. Agno accepts both."""
        values = self.request.headers.getlist("authorization")
        is_bearer = len(values) == 1 and values[0].lower().startswith("bearer ")
        if credential != Credential.NONE and values and not is_bearer:
            raise IdentityError("malformed", credential, "the request has no single 'Authorization: Bearer' header")


class AgnoStorage:
    """The record that a request names, in the SQLite or PostgreSQL databases of an AgentOS."""

    def __init__(self, request: Request, agent_os: AgentOS) -> None:
        raw = request.scope["learning_id"]
        self.learning_id = unquote(raw, errors="replace")
        is_utf8 = unquote(raw, errors="ignore") == self.learning_id
        self._is_valid = is_utf8 and len(self.learning_id.encode()) <= MAX_LEARNING_ID_BYTES
        self._db_ids = request.query_params.getlist("db_id")
        self._tables = request.query_params.getlist("table")
        self._dbs = agent_os.dbs

    def locate(self) -> Target:
        db = self._database()
        return Target(db.id, db.learnings_table_name)

    def find(self) -> Learning | None:
        with self._connection() as (connection, table, this):
            row = connection.execute(sql.select(table).where(this)).one_or_none()
        if row is None:
            return None
        columns = dict(row._mapping)
        del columns["learning_id"]
        for name in ("content", "metadata"):
            columns[name] = None if columns[name] is None else json.dumps(columns[name])
        return Learning(**columns, revision=revision(row))

    def delete(self) -> Outcome:
        with self._connection() as (connection, table, this):
            deleted = connection.execute(sql.delete(table).where(this)).rowcount
            return committed(connection) if deleted else Outcome.ABSENT

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        # One statement checks the owner and deletes, so the owner cannot change between the two.
        with self._connection() as (connection, table, this):
            if connection.execute(sql.delete(table).where(this, table.c.user_id == user_id)).rowcount:
                return committed(connection)
            # Nothing was deleted: determine the reason in the same transaction.
            row = connection.execute(sql.select(table.c.user_id).where(this)).one_or_none()
        if row is None:
            return Outcome.ABSENT
        if row.user_id is None:
            return Outcome.UNOWNED
        if row.user_id == user_id:
            raise StorageError("unavailable", "the owner changed to this user during the delete")
        return Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, expected: str) -> Outcome:
        with self._connection() as (connection, table, this):
            row = connection.execute(sql.delete(table).where(this).returning(*table.c)).one_or_none()
            if row is None:
                return Outcome.ABSENT
            # Without a commit, the delete is rolled back at the end of the block.
            return committed(connection) if revision(row) == expected else Outcome.CHANGED

    def _database(self) -> Any:
        """Returns the database that the request names, or the only database."""
        if not self._is_valid:
            raise StorageError("invalid-learning-id", f"not UTF-8, or longer than {MAX_LEARNING_ID_BYTES} bytes")
        if len(self._db_ids) > 1 or len(self._tables) > 1:
            raise StorageError("repeated-parameter", "db_id or table was given more than once")
        db_id, table = "".join(self._db_ids), "".join(self._tables)
        if not db_id and len(self._dbs) > 1:
            raise StorageError("database-required", f"the deployment has {len(self._dbs)} databases")
        dbs = self._dbs.get(db_id, []) if db_id else [db for same_id in self._dbs.values() for db in same_id]
        if db_id and not dbs:
            raise StorageError("unknown-database", f"database {db_id!r} does not exist")
        if table:
            # Agno accepts the name of any of its tables here. Only the table of learnings is valid.
            dbs = [db for db in dbs if getattr(db, "learnings_table_name", None) == table]
            if not dbs:
                raise StorageError("unknown-table", f"table {table!r} of database {db_id!r} does not store learnings")
        engine = getattr(dbs[0], "db_engine", None) if dbs else None
        if not isinstance(engine, sql.Engine) or engine.dialect.name not in ("sqlite", "postgresql"):
            raise StorageError("unsupported", "neither SQLite nor PostgreSQL, or an asynchronous engine")
        if table:
            with database_errors():
                if not dbs[0].table_exists(table):
                    raise StorageError("unknown-table", f"database {db_id!r} has no table {table!r}")
        return dbs[0]

    @contextmanager
    def _connection(self) -> Iterator[tuple[sql.Connection, sql.TableClause, sql.ColumnElement[bool]]]:
        """Yields a transaction, the table, and the condition that selects the record. Rolls back unless committed."""
        db = self._database()
        schema = getattr(db, "db_schema", None)
        table = sql.table(db.learnings_table_name, *(sql.column(*column) for column in COLUMNS), schema=schema)
        with database_errors(), db.db_engine.connect() as connection:
            yield connection, table, table.c.learning_id == self.learning_id


COLUMNS = [
    ("learning_id", sql.Text),
    ("learning_type", sql.Text),
    ("namespace", sql.Text),
    ("user_id", sql.Text),
    ("agent_id", sql.Text),
    ("team_id", sql.Text),
    ("workflow_id", sql.Text),
    ("session_id", sql.Text),
    ("entity_id", sql.Text),
    ("entity_type", sql.Text),
    ("content", sql.JSON),
    ("metadata", sql.JSON),
    ("created_at", sql.BigInteger),
    ("updated_at", sql.BigInteger),
]


def committed(connection: sql.Connection) -> Outcome:
    try:
        connection.commit()
    except SQLAlchemyError as error:
        raise StorageError("outcome-unknown", f"the commit failed: {error}") from error
    return Outcome.DELETED


def revision(row: sql.Row) -> str:
    return hashlib.sha256(json.dumps(list(row), sort_keys=True).encode()).hexdigest()


@contextmanager
def database_errors() -> Iterator[None]:
    """Converts a database exception to the contract's error: `unavailable` if a retry can succeed, else `internal`."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # SQLite's driver also raises OperationalError for permanent errors; PostgreSQL's drivers do not.
        name = getattr(cause, "sqlite_errorname", "SQLITE_BUSY")
        busy = isinstance(error, OperationalError) and name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
        kind = "unavailable" if busy or isinstance(error, TimeoutError) else "internal"
        audit.error("database failed: %s", cause)
        raise StorageError(kind, str(cause)) from error


def build() -> FastAPI:
    agent_os = AgentOS(
        db=SqliteDb(id="main", db_file=os.environ["LEARNINGS_DB"]),
        authorization=Authorization(verification_keys=[os.environ["JWT_VERIFICATION_KEY"]], algorithm="HS256"),
        user_isolation=True,
        base_app=FastAPI(),
        on_route_conflict="preserve_base_app",
        telemetry=False,
    )
    return use_policy(agent_os, Policy(COMPONENT))
