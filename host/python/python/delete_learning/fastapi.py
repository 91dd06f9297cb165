"""A FastAPI router for `DELETE /learnings/{learning_id}`. Needs the extra: `pip install 'delete-learning[fastapi]'`.

app.include_router(learnings_router(policy, identity=identity, storage=storage))
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Never
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request, Response
from fastapi.params import Depends
from fastapi.responses import JSONResponse
from starlette.convertors import PathConvertor, register_url_convertor

from ._contract import (
    AsyncIdentity,
    AsyncStorage,
    Caller,
    ErrorCode,
    Rejection,
    StorageError,
    StorageErrorKind,
)
from ._contract import Request as DeleteRequest
from ._errors import FailureKind, PolicyFailure
from ._policy import Policy

log = logging.getLogger("delete_learning.audit")

MAX_LEARNING_ID_BYTES = 4096

RAW_LEARNING_ID = "delete_learning.raw_learning_id"
"""The key in an ASGI scope of the id as the caller sent it, if a middleware changes the path."""


class _LearningIdConvertor(PathConvertor):
    """Matches an id with any characters. The one of Starlette matches no line feed."""

    regex = r"[\s\S]*"


register_url_convertor("learning_id", _LearningIdConvertor())

_FAILED = Rejection(500, ErrorCode.INTERNAL_SERVER_ERROR, "Internal server error", "policy-error")
_RETRY_AFTER = {429: "60", 503: "1"}


@dataclass(frozen=True)
class AuditEvent:
    """What one request did."""

    request: DeleteRequest
    caller: Caller | None
    """`None` if there is no caller."""
    rejection: Rejection | None
    """`None` if the record was deleted."""
    deleted: bool | None
    """Whether the record was deleted; `None` if that is unknown."""
    failure: PolicyFailure | None = None
    """Why there is no valid decision."""


def log_event(event: AuditEvent) -> None:
    """Writes an audit event to the logger `delete_learning.audit`."""
    rule = event.rejection.rule if event.rejection else "deleted"
    subject = event.caller.subject if event.caller else None
    deleted = {True: "yes", False: "no", None: "unknown"}[event.deleted]
    level = logging.ERROR if event.failure else logging.INFO
    arguments = (event.request.learning_id, event.request.db_id, event.request.table, subject, rule, deleted)
    log.log(level, "id=%r db_id=%r table=%r subject=%r rule=%s deleted=%s", *arguments, exc_info=event.failure)


def learnings_router(
    policy: Policy,
    *,
    identity: Callable[[Request], AsyncIdentity],
    storage: Callable[[DeleteRequest, Request], AsyncStorage],
    audit: Callable[[AuditEvent], None] = log_event,
    dependencies: Sequence[Depends] = (),
    max_learning_id_bytes: int = MAX_LEARNING_ID_BYTES,
) -> APIRouter:
    """Returns a router with `DELETE /learnings/{learning_id}`, which `policy` decides.

    `identity` returns the caller of a request, and `storage` the record that the request names: in the database `db_id`
    and the table `table`, if it gives them. Both are called on the event loop. A request whose id is not UTF-8 or too
    long, or which repeats a parameter, does not get to `storage`.

    `audit` is called once for each request, after its decision, also if the client is gone.
    """
    router = APIRouter()
    router.add_api_route(
        "/learnings/{learning_id:learning_id}",
        endpoint(policy, identity, storage, audit, max_learning_id_bytes),
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        tags=["Learnings"],
        operation_id="delete_learning",
        dependencies=dependencies,
    )
    return router


def endpoint(
    policy: Policy,
    identity: Callable[[Request], AsyncIdentity],
    storage: Callable[[DeleteRequest, Request], AsyncStorage],
    audit: Callable[[AuditEvent], None],
    max_learning_id_bytes: int = MAX_LEARNING_ID_BYTES,
) -> Callable[..., Awaitable[Response]]:
    """Returns the function of the route, for an app that declares the route itself. See `learnings_router`."""
    running: set[asyncio.Task[Response]] = set()

    async def decide(request: Request, delete_request: DeleteRequest, problem: StorageError | None) -> Response:
        failure: PolicyFailure | None = None
        observed = _Observed(identity(request))
        record = storage(delete_request, request) if problem is None else _Unnamed(problem)
        deleted: bool | None
        try:
            rejection = await policy.decide_async(delete_request, observed, record)
            deleted = rejection is None
        except PolicyFailure as error:
            failure, rejection, deleted = error, _FAILED, error.deleted
        is_valid = failure is None or failure.kind is not FailureKind.IDENTITY
        caller = observed.caller if is_valid else None
        audit(AuditEvent(delete_request, caller, rejection, deleted, failure))
        return _response(rejection)

    async def delete_learning(
        request: Request,
        learning_id: str,
        db_id: Annotated[str | None, Query(description="The database")] = None,
        table: Annotated[str | None, Query(description="The table of learnings, with `db_id`")] = None,
    ) -> Response:
        raw = _raw_learning_id(request, learning_id)
        if raw is None:
            return JSONResponse({"detail": "Not Found", "error_code": ErrorCode.NOT_FOUND.api_name}, 404)
        delete_request = DeleteRequest(unquote(raw, errors="replace"), db_id, table)
        problem = _problem(request, raw, max_learning_id_bytes)
        # A task of its own: a client that goes away must not keep a deletion out of the audit log.
        task = asyncio.create_task(decide(request, delete_request, problem))
        running.add(task)
        task.add_done_callback(running.discard)
        return await asyncio.shield(task)

    return delete_learning


def _raw_learning_id(request: Request, learning_id: str) -> bytes | None:
    """The id, still encoded. `None` if the path is not one of a learning: the route is matched after decoding."""
    if isinstance(raw := request.scope.get(RAW_LEARNING_ID), bytes):
        return raw
    path: str = request.scope["path"]
    slashes = path.removesuffix(learning_id).count("/")
    parts: list[bytes] = request.scope["raw_path"].split(b"/")
    return parts[slashes] if len(parts) == slashes + 1 else None


def _problem(request: Request, raw: bytes, max_bytes: int) -> StorageError | None:
    """Why a request names no record."""
    try:
        size = len(unquote(raw, errors="strict").encode())
    except UnicodeDecodeError:
        return StorageError(StorageErrorKind.INVALID_LEARNING_ID, "the id is not UTF-8")
    if size > max_bytes:
        return StorageError(StorageErrorKind.INVALID_LEARNING_ID, f"the id has {size} bytes; the limit is {max_bytes}")
    for name in ("db_id", "table"):
        if len(request.query_params.getlist(name)) > 1:
            return StorageError(StorageErrorKind.REPEATED_PARAMETER, f"{name} was given more than once")
    return None


def _response(rejection: Rejection | None) -> Response:
    if rejection is None:
        return Response(status_code=204)
    headers = {}
    if rejection.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if seconds := _RETRY_AFTER.get(rejection.status):
        headers["Retry-After"] = seconds
    body = {"detail": rejection.detail, "error_code": rejection.code.api_name}
    return JSONResponse(body, rejection.status, headers)


class _Observed:
    """Remembers the caller for the audit event."""

    def __init__(self, identity: AsyncIdentity) -> None:
        self._identity = identity
        self.caller: Caller | None = None

    async def current(self) -> Caller:
        returned = self._identity.current()
        self.caller = await returned if inspect.isawaitable(returned) else returned
        return self.caller


class _Unnamed:
    """The storage of a request that names no record."""

    def __init__(self, error: StorageError) -> None:
        self._error = error

    async def _fail(self, *_: Any) -> Never:
        raise self._error

    locate = find = delete = delete_if_owned_by = delete_if_unchanged = _fail
