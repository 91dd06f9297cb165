"""Lets a policy decide `DELETE /learnings/{learning_id}` of an AgentOS, on Agno's databases and authentication.

    agent_os = AgentOS(..., base_app=FastAPI(), on_route_conflict="preserve_base_app")
    app = use_policy(agent_os, Policy())

Every other route is Agno's. Needs the extra: `pip install 'delete-learning[agentos]'`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sql
from agno.os import AgentOS
from agno.os.auth import caller_scopes_are_authoritative, get_authentication_dependency, get_effective_auth_mode
from agno.os.scopes import AgentOSScope
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ._contract import (
    AsyncStorage,
    Caller,
    Credential,
    ErrorCode,
    IdentityError,
    IdentityErrorKind,
    Learning,
    Outcome,
    StorageError,
    StorageErrorKind,
    Target,
)
from ._contract import Request as DeleteRequest
from ._policy import Policy
from .fastapi import RAW_LEARNING_ID, AuditEvent, endpoint, log_event

_Result = TypeVar("_Result")
_ERROR_CODES = {code.status: code.api_name for code in ErrorCode}


def use_policy(agent_os: AgentOS, policy: Policy, *, audit: Callable[[AuditEvent], None] = log_event) -> FastAPI:
    """Returns the app of an AgentOS whose deletes of learnings `policy` decides.

    The AgentOS must have a `base_app` and `on_route_conflict="preserve_base_app"`. `audit` is called once for each
    request that is authenticated.
    """
    base_app = agent_os.base_app
    if base_app is None or agent_os.on_route_conflict != "preserve_base_app":
        raise ValueError('the AgentOS needs base_app=FastAPI() and on_route_conflict="preserve_base_app"')
    # With `preserve_base_app`, Agno does not add its own route for a path that the base app already has.
    base_app.add_api_route(
        "/learnings/{learning_id}",
        endpoint(
            policy,
            lambda request: AgnoIdentity(request, agent_os),
            lambda delete_request, _: agno_storage(delete_request, agent_os.dbs),
            audit,
        ),
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
    A path with another slash is not changed, so it does not match.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serves one request."""
        if scope["type"] == "http" and scope["method"] == "DELETE":
            prefix = f"{scope.get('root_path', '')}/learnings/"
            head, separator, raw = scope["raw_path"].rpartition(b"/")
            if separator and head == prefix.removesuffix("/").encode():
                plain = {"path": f"{prefix}id", "raw_path": f"{prefix}id".encode()}
                scope = {**scope, **plain, RAW_LEARNING_ID: raw}
                send = _completing_errors(send)
        await self._app(scope, receive, send)


def _completing_errors(send: Any) -> Any:
    """Adds `error_code` and the challenge, which the responses of Agno's authentication do not have."""
    start: dict[str, Any] | None = None
    body = b""

    async def send_completed(message: dict[str, Any]) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start" and message["status"] >= 400:
            start = message
        elif start is None or message["type"] != "http.response.body":
            await send(message)
        else:
            body += message.get("body", b"")
            if not message.get("more_body"):
                await _send_error(send, start, body)

    return send_completed


async def _send_error(send: Any, start: dict[str, Any], body: bytes) -> None:
    status = start["status"]
    try:
        original = json.loads(body)
        detail = original["detail"]
        detail = detail if isinstance(detail, str) else json.dumps(detail)
    except (ValueError, TypeError, KeyError):
        original, detail = {}, "Internal server error" if status >= 500 else "Bad request"
    usual = ErrorCode.INTERNAL_SERVER_ERROR if status >= 500 else ErrorCode.BAD_REQUEST
    error_code = original.get("error_code") or _ERROR_CODES.get(status, usual.api_name)
    response = JSONResponse({"detail": detail, "error_code": error_code})
    body_headers = (b"content-length", b"content-type")
    headers = [header for header in start["headers"] if header[0].lower() not in body_headers]
    if status == 401 and not any(name.lower() == b"www-authenticate" for name, _ in headers):
        headers.append((b"www-authenticate", b"Bearer"))
    await send({**start, "headers": headers + response.raw_headers})
    await send({"type": "http.response.body", "body": response.body})


class AgnoIdentity:
    """The caller, from the state that Agno's authentication stored in the request."""

    def __init__(self, request: Request, agent_os: AgentOS) -> None:
        self._request = request
        self._agent_os = agent_os

    def current(self) -> Caller:
        """Returns the caller."""
        state = self._request.state
        subject = getattr(state, "user_id", None)
        mode = get_effective_auth_mode(self._agent_os.settings, self._agent_os.authorization, self._request.app)
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
            raise IdentityError(IdentityErrorKind.MISSING, required, "the request was not authenticated")
        self._require_bearer(credential)
        # If Agno manages the roles, it ignores the scopes of a token: only service accounts can delete.
        scopes = getattr(state, "scopes", None) if caller_scopes_are_authoritative(self._request) else None
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
        values = self._request.headers.getlist("authorization")
        is_bearer = len(values) == 1 and values[0].lower().startswith("bearer ")
        if credential != Credential.NONE and values and not is_bearer:
            message = "the request has no single 'Authorization: Bearer' header"
            raise IdentityError(IdentityErrorKind.MALFORMED, credential, message)


def agno_storage(request: DeleteRequest, dbs: dict[str, list[Any]]) -> AsyncStorage:
    """Returns the record that a request names, in the SQLite and PostgreSQL databases of an AgentOS (`agent_os.dbs`).

    `db_id` selects the databases with this id, and `table` the one among them that stores its learnings there; without
    `table`, the first one. Functions on an asynchronous engine are `async`.
    """
    try:
        db = _database(request, dbs)
    except StorageError as error:
        return _SyncRecord(error, request)
    engine = getattr(db, "db_engine", None)
    dialect = getattr(getattr(engine, "dialect", None), "name", None)
    if dialect in ("sqlite", "postgresql"):
        if isinstance(engine, AsyncEngine):
            return _AsyncRecord(db, request)
        if isinstance(engine, sql.Engine):
            return _SyncRecord(db, request)
    message = f"a database of the type {type(db).__name__} is neither SQLite nor PostgreSQL"
    return _SyncRecord(StorageError(StorageErrorKind.UNSUPPORTED, message), request)


def _database(request: DeleteRequest, dbs: dict[str, list[Any]]) -> Any:
    if not request.db_id and len(dbs) > 1:
        raise StorageError(StorageErrorKind.DATABASE_REQUIRED, f"the deployment has {len(dbs)} databases")
    selected = dbs.get(request.db_id, []) if request.db_id else [db for same_id in dbs.values() for db in same_id]
    if request.db_id and not selected:
        raise StorageError(StorageErrorKind.UNKNOWN_DATABASE, f"database {request.db_id!r} does not exist")
    if request.table:
        # Agno accepts the name of any of its tables here. Only a table of learnings is valid.
        selected = [db for db in selected if getattr(db, "learnings_table_name", None) == request.table]
        if not selected:
            message = f"table {request.table!r} of database {request.db_id!r} does not store learnings"
            raise StorageError(StorageErrorKind.UNKNOWN_TABLE, message)
    if not selected:
        raise StorageError(StorageErrorKind.UNSUPPORTED, "the AgentOS has no database")
    return selected[0]


class _Operations:
    """The operations on a record, each in a transaction that is rolled back unless it commits."""

    def __init__(self, db: Any, request: DeleteRequest) -> None:
        columns = (sql.column(name, kind) for name, kind in _COLUMNS)
        self._table = sql.table(db.learnings_table_name, *columns, schema=getattr(db, "db_schema", None))
        self._this = self._table.c.learning_id == request.learning_id

    def find(self, connection: sql.Connection) -> Learning | None:
        row = connection.execute(sql.select(self._table).where(self._this)).one_or_none()
        if row is None:
            return None
        columns = dict(row._mapping)
        del columns["learning_id"]
        for name in ("content", "metadata"):
            columns[name] = None if columns[name] is None else json.dumps(columns[name])
        return Learning(**columns, revision=_revision(row))

    def delete(self, connection: sql.Connection) -> Outcome:
        deleted = connection.execute(sql.delete(self._table).where(self._this)).rowcount
        return _committed(connection) if deleted else Outcome.ABSENT

    def delete_if_owned_by(self, connection: sql.Connection, user_id: str) -> Outcome:
        # One statement checks the owner and deletes, so the owner cannot change between the two.
        owner = self._table.c.user_id
        if connection.execute(sql.delete(self._table).where(self._this, owner == user_id)).rowcount:
            return _committed(connection)
        # Nothing was deleted: determine the reason in the same transaction.
        row = connection.execute(sql.select(owner).where(self._this)).one_or_none()
        if row is None:
            return Outcome.ABSENT
        if row.user_id is None:
            return Outcome.UNOWNED
        if row.user_id == user_id:
            message = "the owner changed to this user during the delete"
            raise StorageError(StorageErrorKind.UNAVAILABLE, message)
        return Outcome.OWNED_BY_ANOTHER

    def delete_if_unchanged(self, connection: sql.Connection, revision: str) -> Outcome:
        statement = sql.delete(self._table).where(self._this).returning(*self._table.c)
        row = connection.execute(statement).one_or_none()
        if row is None:
            return Outcome.ABSENT
        # Without a commit, the delete is rolled back.
        return _committed(connection) if _revision(row) == revision else Outcome.CHANGED


class _SyncRecord:
    """A record behind an engine, or the error that every function raises."""

    def __init__(self, db: Any, request: DeleteRequest) -> None:
        self._db = db
        self._request = request

    def locate(self) -> Target:
        self._check()
        return Target(self._db.id, self._db.learnings_table_name)

    def find(self) -> Learning | None:
        return self._run(_Operations.find)

    def delete(self) -> Outcome:
        return self._run(_Operations.delete)

    def delete_if_owned_by(self, user_id: str, /) -> Outcome:
        return self._run(_Operations.delete_if_owned_by, user_id)

    def delete_if_unchanged(self, revision: str, /) -> Outcome:
        return self._run(_Operations.delete_if_unchanged, revision)

    def _check(self) -> None:
        if isinstance(self._db, StorageError):
            raise self._db
        if table := self._request.table:
            with _database_errors():
                _require(table, self._db.table_exists(table))

    def _run(self, operation: Callable[..., _Result], *arguments: str) -> _Result:
        self._check()
        with _database_errors(), self._db.db_engine.connect() as connection:
            return operation(_Operations(self._db, self._request), connection, *arguments)


class _AsyncRecord:
    """A record behind an asynchronous engine."""

    def __init__(self, db: Any, request: DeleteRequest) -> None:
        self._db = db
        self._request = request

    async def locate(self) -> Target:
        await self._check()
        return Target(self._db.id, self._db.learnings_table_name)

    async def find(self) -> Learning | None:
        return await self._run(_Operations.find)

    async def delete(self) -> Outcome:
        return await self._run(_Operations.delete)

    async def delete_if_owned_by(self, user_id: str, /) -> Outcome:
        return await self._run(_Operations.delete_if_owned_by, user_id)

    async def delete_if_unchanged(self, revision: str, /) -> Outcome:
        return await self._run(_Operations.delete_if_unchanged, revision)

    async def _check(self) -> None:
        if table := self._request.table:
            with _database_errors():
                _require(table, await self._db.table_exists(table))

    async def _run(self, operation: Callable[..., _Result], *arguments: str) -> _Result:
        await self._check()
        engine: AsyncEngine = self._db.db_engine
        operations = _Operations(self._db, self._request)
        with _database_errors():
            async with engine.connect() as connection:
                return await connection.run_sync(lambda sync: operation(operations, sync, *arguments))


_COLUMNS: tuple[tuple[str, Any], ...] = (
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
)


def _committed(connection: sql.Connection) -> Outcome:
    try:
        connection.commit()
    except SQLAlchemyError as error:
        raise StorageError(StorageErrorKind.OUTCOME_UNKNOWN, f"the commit failed: {error}") from error
    return Outcome.DELETED


def _revision(row: sql.Row[Any]) -> str:
    return hashlib.sha256(json.dumps(list(row), sort_keys=True).encode()).hexdigest()


def _require(table: str, exists: bool) -> None:
    if not exists:
        raise StorageError(StorageErrorKind.UNKNOWN_TABLE, f"the database has no table {table!r}")


@contextmanager
def _database_errors() -> Iterator[None]:
    """Converts a database exception to the contract's error: `unavailable` if a retry can succeed, else `internal`."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # SQLite's driver also raises OperationalError for permanent errors; PostgreSQL's drivers do not.
        name = getattr(cause, "sqlite_errorname", "SQLITE_BUSY")
        busy = isinstance(error, OperationalError) and name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
        retry = busy or isinstance(error, sql.exc.TimeoutError)
        kind = StorageErrorKind.UNAVAILABLE if retry else StorageErrorKind.INTERNAL
        raise StorageError(kind, str(cause)) from error
