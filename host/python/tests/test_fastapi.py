"""The FastAPI router."""

import asyncio
import logging
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from delete_learning import (
    Caller,
    Credential,
    IdentityError,
    IdentityErrorKind,
    Outcome,
    Policy,
    StorageError,
    StorageErrorKind,
)
from delete_learning import Request as DeleteRequest
from delete_learning.fastapi import AuditEvent, learnings_router
from support import ALICE, FEW, LEARNING, Identity, Record, policy


class App:
    """An app with records in memory."""

    def __init__(self, result: Any = None, prefix: str = "", **results: Any) -> None:
        self.records: dict[str, Record] = {}
        self.results = results
        self.events: list[AuditEvent] = []
        self.identity = Identity(result or ALICE)
        self.requests: list[DeleteRequest] = []
        app = FastAPI()
        router = learnings_router(
            policy(), identity=lambda _: self.identity, storage=self.open, audit=self.events.append
        )
        app.include_router(router, prefix=prefix)
        self.client = TestClient(app)

    def open(self, request: DeleteRequest, _: Request) -> Record:
        self.requests.append(request)
        return self.records.get(request.learning_id, Record(dict(self.results), learning=None))

    def delete(self, path: str, status: int, error_code: str | None = None) -> Any:
        response = self.client.delete(path)
        body = response.json() if response.content else {}
        assert (response.status_code, body.get("error_code")) == (status, error_code)
        assert len(self.events) <= 1
        return response


def test_record_is_deleted() -> None:
    app = App()
    app.records["user memory/7"] = Record()
    response = app.delete("/learnings/user%20memory%2F7?db_id=main&table=t", 204)
    assert response.content == b""
    (event,) = app.events
    assert event == AuditEvent(DeleteRequest("user memory/7", "main", "t"), ALICE, None, True)


def test_rejection_has_detail_and_code() -> None:
    app = App()
    response = app.delete("/learnings/a", 404, "NOT_FOUND")
    assert response.json() == {"detail": "Learning not found", "error_code": "NOT_FOUND"}
    (event,) = app.events
    assert event.rejection is not None
    assert (event.rejection.rule, event.deleted, event.failure) == ("learning-absent", False, None)


@pytest.mark.parametrize(
    ("kind", "status", "error_code", "headers"),
    [
        (IdentityErrorKind.MISSING, 401, "UNAUTHENTICATED", {"www-authenticate": "Bearer"}),
        (IdentityErrorKind.RATE_LIMITED, 429, "TOO_MANY_REQUESTS", {"retry-after": "60"}),
        (IdentityErrorKind.UNAVAILABLE, 503, "SERVICE_UNAVAILABLE", {"retry-after": "1"}),
    ],
)
def test_headers(kind: IdentityErrorKind, status: int, error_code: str, headers: dict[str, str]) -> None:
    app = App(IdentityError(kind, Credential.JWT))
    response = app.delete("/learnings/a", status, error_code)
    assert headers.items() <= dict(response.headers).items()
    assert app.events[0].caller is None


@pytest.mark.parametrize("path", ["/learnings/%FF", f"/learnings/{'a' * 4097}", f"/learnings/{'%C3%A9' * 2049}"])
def test_invalid_id_does_not_get_to_storage(path: str) -> None:
    app = App()
    app.delete(path, 400, "BAD_REQUEST")
    assert app.requests == []


@pytest.mark.parametrize("query", ["db_id=a&db_id=b", "db_id=a&table=b&table=c", "table=&table="])
def test_repeated_parameter_does_not_get_to_storage(query: str) -> None:
    app = App()
    app.delete(f"/learnings/a?{query}", 400, "BAD_REQUEST")
    assert app.requests == []
    app = App(IdentityError(IdentityErrorKind.MISSING, Credential.JWT))
    app.delete(f"/learnings/a?{query}", 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("learning_id", ["a/b", "a/", "/", "%2F", "é", "a\nb", "a?b", "\U0001f9e0", "", "id"])
@pytest.mark.parametrize("prefix", ["", "/v1/os"])
def test_every_id_gets_to_storage(learning_id: str, prefix: str) -> None:
    from urllib.parse import quote

    app = App(prefix=prefix)
    app.delete(f"{prefix}/learnings/{quote(learning_id, safe='')}", 404, "NOT_FOUND")
    assert [request.learning_id for request in app.requests] == [learning_id]


@pytest.mark.parametrize("path", ["/learnings/a/b", "/learnings/a/", "/learnings%2Fa", "/learnings/a%2Fb/c"])
def test_path_with_another_slash_is_not_found(path: str) -> None:
    app = App()
    app.delete(path, 404, "NOT_FOUND")
    assert (app.requests, app.events) == ([], [])


def test_failure_is_answered_without_the_cause() -> None:
    app = App(delete_if_owned_by="gone")
    response = app.delete("/learnings/a", 500, "INTERNAL_SERVER_ERROR")
    assert response.json()["detail"] == "Internal server error"
    (event,) = app.events
    assert event.failure is not None
    assert (event.deleted, event.failure.kind, event.caller) == (None, "storage", ALICE)


def test_wrong_caller_is_a_failure() -> None:
    app = App("alice")
    app.delete("/learnings/a", 500, "INTERNAL_SERVER_ERROR")
    (event,) = app.events
    assert str(event.failure) == "identity.current returned 'alice'; expected a Caller"


def test_storage_error_is_answered() -> None:
    app = App(delete_if_owned_by=StorageError(StorageErrorKind.DENIED, "On hold"))
    response = app.delete("/learnings/a", 403, "FORBIDDEN")
    assert response.json()["detail"] == "On hold"


def test_events_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    router = learnings_router(policy(), identity=lambda _: Identity(), storage=lambda *_: Record())
    app.include_router(router)
    with caplog.at_level(logging.INFO, logger="delete_learning.audit"):
        TestClient(app).delete("/learnings/a%0Ab")
    assert caplog.messages == ["id='a\\nb' db_id=None table=None subject='alice' rule=deleted deleted=yes"]


def test_event_is_written_although_the_client_is_gone() -> None:
    events: list[AuditEvent] = []
    record = Record()

    class Slow:
        async def delete_if_owned_by(self, user_id: str) -> Outcome:
            await asyncio.sleep(0.1)
            outcome: Outcome = record.delete_if_owned_by(user_id)
            return outcome

    app = FastAPI()
    router = learnings_router(
        Policy(limits=FEW),
        identity=lambda _: Identity(Caller(Credential.JWT, LEARNING.user_id, ["learnings:delete"])),
        storage=lambda *_: Slow(),  # type: ignore[arg-type]
        audit=events.append,
    )
    app.include_router(router)
    scope = {
        "type": "http",
        "method": "DELETE",
        "path": "/learnings/a",
        "raw_path": b"/learnings/a",
        "root_path": "",
        "query_string": b"",
        "headers": [],
    }

    async def test() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(_: Any) -> None:
            raise AssertionError("the client is gone")

        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == []
        await asyncio.sleep(0.2)

    asyncio.run(test())
    assert [event.deleted for event in events] == [True]
    assert record.learning is None


def test_operation_is_documented() -> None:
    app = FastAPI()
    app.include_router(learnings_router(policy(), identity=lambda _: Identity(), storage=lambda *_: Record()))
    ((path, operations),) = app.openapi()["paths"].items()
    assert path == "/learnings/{learning_id}"
    assert [each["name"] for each in operations["delete"]["parameters"]] == ["learning_id", "db_id", "table"]
    assert "204" in operations["delete"]["responses"]
