"""An AgentOS whose `DELETE /learnings/{learning_id}` is decided by a policy.

    JWT_VERIFICATION_KEY=... LEARNINGS_DB=agno.db uvicorn --factory agentos:build

Everything else is Agno's own. To bring it to an AgentOS that is there already, take what stands above `build`.
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
    PolicyFailure,
    Rejection,
    StorageError,
    Target,
)
from host import Request as DeleteRequest

COMPONENT = Path(__file__).resolve().parents[2] / "guest/policy/component/delete-learning.wasm"
LONGEST_ID = 4096
ERROR_CODES = {status: code.upper().replace("-", "_") for code, status in STATUS.items()}

audit = logging.getLogger("learnings.audit")


def use_policy(agent_os: AgentOS, policy: Policy) -> FastAPI:
    """The app of an AgentOS that was given a `base_app` and preserves it, with its delete decided by `policy`."""

    # Not `async`: FastAPI runs it on a worker thread, so a slow database does not stall the event loop.
    def delete_learning(
        request: Request, learning_id: str, db_id: str | None = None, table: str | None = None
    ) -> Response:
        # `learning_id` is for the OpenAPI page alone: see DeletesAsSent.
        storage = AgnoStorage(request, agent_os)
        identity = AgnoIdentity(request, agent_os)
        asked = DeleteRequest(storage.learning_id, db_id, table)
        try:
            rejection = policy.decide(asked, identity, storage)
        except PolicyFailure as failure:
            audit.exception("policy failed; had deleted: %s", failure.deleted)
            rejection = Rejection(500, "internal-server-error", "Internal server error", "policy-failed")
        audit.info(
            "delete learning %r by %r: %s",
            asked, getattr(request.state, "user_id", None), rejection.rule if rejection else "deleted",
        )
        if rejection is None:
            return Response(status_code=204)
        body = {"detail": rejection.detail, "error_code": ERROR_CODES[rejection.status]}
        return JSONResponse(body, rejection.status)

    # The same path as Agno's, and before it: with `preserve_base_app` Agno's own delete is never added.
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
    app.add_middleware(DeletesAsSent)
    return app


class DeletesAsSent:
    """Outermost, for deletes of learnings alone: keeps the id as it was sent, and completes every error.

    Routes are matched after decoding, and Agno strips slashes from the end: `a%2Fb` would not be found, and `a%2F`
    would delete `a`. So the id is taken out of the path here, and what is inside sees a path with a plain one.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        prefix = scope.get("root_path", "") + "/learnings/"
        if scope["type"] == "http" and scope["method"] == "DELETE" and scope["path"].startswith(prefix):
            _, *learning_id = scope["raw_path"].split(b"/", prefix.count("/"))[prefix.count("/") - 1 :]
            plain = {"path": prefix + "id", "raw_path": f"{prefix}id".encode()}
            scope = {**scope, **plain, "learning_id": b"".join(learning_id)}
            send = self.completing_errors(send)
        await self.app(scope, receive, send)

    @staticmethod
    def completing_errors(send: Any) -> Any:
        """Agno refuses what does not verify before any route is reached, without `error_code` and challenge."""
        start: dict | None = None
        body = b""

        async def sending(message: dict) -> None:
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
                    sent = json.loads(body)
                    detail = sent["detail"] if isinstance(sent["detail"], str) else json.dumps(sent["detail"])
                except (ValueError, TypeError, KeyError):
                    sent, detail = {}, "Internal server error" if status >= 500 else "Bad request"
                fallback = "INTERNAL_SERVER_ERROR" if status >= 500 else "BAD_REQUEST"
                error_code = sent.get("error_code") or ERROR_CODES.get(status, fallback)
                answer = JSONResponse({"detail": detail, "error_code": error_code})
                about_body = (b"content-length", b"content-type")
                kept = [header for header in start["headers"] if header[0].lower() not in about_body]
                if status == 401 and not any(name.lower() == b"www-authenticate" for name, _ in kept):
                    kept.append((b"www-authenticate", b"Bearer"))
                await send({**start, "headers": kept + answer.raw_headers})
                await send({"type": "http.response.body", "body": answer.body})

        return sending


class AgnoIdentity:
    """Who is calling, by what Agno's authentication has left in the request's state."""

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
            # Agno lets nobody come this far; a route that was excluded from its authentication would.
            asked_for = Credential.JWT if mode == "jwt" else Credential.SECURITY_KEY
            raise IdentityError("missing", asked_for, "the request was not authenticated")
        self._demand_bearer(credential)
        # Where roles are managed by Agno, a token's own scopes count for nothing: only service accounts may delete.
        scopes = getattr(state, "scopes", None) if caller_scopes_are_authoritative(self.request) else None
        return Caller(
            credential,
            subject if isinstance(subject, str) else None,
            [scope for scope in scopes or [] if isinstance(scope, str)],
            enforce_scopes=bool(getattr(state, "authorization_enabled", True)),
            user_isolation=bool(getattr(state, "user_isolation_enabled", True)),
            admin_scope=getattr(state, "admin_scope", None) or AgentOSScope.ADMIN.value,
        )

    def _demand_bearer(self, credential: Credential) -> None:
        """Agno also takes a token without a scheme, and the first of several headers."""
        sent = self.request.headers.getlist("authorization")
        if credential != Credential.NONE and sent and (len(sent) > 1 or not sent[0].lower().startswith("bearer ")):
            raise IdentityError("malformed", credential, "not one 'Authorization: Bearer'")


class AgnoStorage:
    """The record that a request names, in the databases of an AgentOS: SQLite and PostgreSQL through SQLAlchemy."""

    def __init__(self, request: Request, agent_os: AgentOS) -> None:
        raw = request.scope["learning_id"]
        self.learning_id = unquote(raw, errors="replace")
        self._valid = unquote(raw, errors="ignore") == self.learning_id and len(self.learning_id.encode()) <= LONGEST_ID
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
        # One statement tests the owner and deletes: there is no time between the two in which the owner could change.
        with self._connection() as (connection, table, this):
            if connection.execute(sql.delete(table).where(this, table.c.user_id == user_id)).rowcount:
                return committed(connection)
            # Only now, and in the same transaction, why nothing was deleted.
            row = connection.execute(sql.select(table.c.user_id).where(this)).one_or_none()
        if row is None:
            return Outcome.ABSENT
        if row.user_id is None:
            return Outcome.UNOWNED
        if row.user_id == user_id:
            raise StorageError("unavailable", "the record came to this owner while it was being deleted")
        return Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, expected: str) -> Outcome:
        with self._connection() as (connection, table, this):
            row = connection.execute(sql.delete(table).where(this).returning(*table.c)).one_or_none()
            if row is None:
                return Outcome.ABSENT
            # Without a commit the delete is rolled back.
            return committed(connection) if revision(row) == expected else Outcome.CHANGED

    def _database(self) -> Any:
        """The database that the request names, or the only one."""
        if not self._valid:
            raise StorageError("invalid-learning-id", f"not UTF-8, or longer than {LONGEST_ID} bytes")
        if len(self._db_ids) > 1 or len(self._tables) > 1:
            raise StorageError("repeated-parameter", "db_id or table was given more than once")
        db_id, table = "".join(self._db_ids), "".join(self._tables)
        if not db_id and len(self._dbs) > 1:
            raise StorageError("database-required", f"there are {len(self._dbs)} databases")
        dbs = self._dbs.get(db_id, []) if db_id else [db for same_id in self._dbs.values() for db in same_id]
        if db_id and not dbs:
            raise StorageError("unknown-database", f"there is no {db_id!r}")
        if table:
            # Agno takes the name of any of its tables here. Only the one that holds learnings is meant.
            dbs = [db for db in dbs if getattr(db, "learnings_table_name", None) == table]
            if not dbs:
                raise StorageError("unknown-table", f"{db_id!r} keeps no learnings in {table!r}")
        engine = getattr(dbs[0], "db_engine", None) if dbs else None
        if not isinstance(engine, sql.Engine) or engine.dialect.name not in ("sqlite", "postgresql"):
            raise StorageError("unsupported", "neither SQLite nor PostgreSQL, or an asynchronous engine")
        if table:
            with database_errors():
                if not dbs[0].table_exists(table):
                    raise StorageError("unknown-table", f"{db_id!r} has no {table!r}")
        return dbs[0]

    @contextmanager
    def _connection(self) -> Iterator[tuple[sql.Connection, sql.TableClause, sql.ColumnElement[bool]]]:
        """A transaction, the table and the condition that names the record. Rolled back unless it was committed."""
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
    """What the database raises, as the contract tells it apart: worth a retry, or not."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # SQLite calls many things operational that no retry mends; PostgreSQL's drivers do not.
        name = getattr(cause, "sqlite_errorname", "SQLITE_BUSY")
        busy = isinstance(error, OperationalError) and name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
        kind = "unavailable" if busy or isinstance(error, TimeoutError) else "internal"
        audit.error("the database failed: %s", cause)
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
