"""Decisions on an event loop."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from delete_learning import (
    Caller,
    Credential,
    Guard,
    IdentityError,
    IdentityErrorKind,
    Learning,
    Limits,
    Outcome,
    Policy,
    PolicyFailure,
    StorageError,
    StorageErrorKind,
    Target,
)
from support import (
    CALLS,
    DELETES,
    FEW,
    LEARNING,
    LEGAL_HOLD,
    NO_SUBJECT,
    REQUEST,
    SECURITY_KEY,
    Identity,
    Record,
    assembled,
    give,
    policy,
    raises_failure,
)

TOO_LONG = 60.0
"""Seconds after which a test fails that would otherwise hang."""


class AsyncIdentity(Identity):
    async def current(self) -> Any:
        await asyncio.sleep(0)
        return give(self.result)


class AsyncRecord:
    """`Record` with functions that are `async`."""

    def __init__(self, record: Record | None = None, seconds: float = 0) -> None:
        self.record = record or Record()
        self.seconds = seconds

    async def locate(self) -> Target:
        result: Target = await self._call(self.record.locate)
        return result

    async def find(self) -> Learning | None:
        result: Learning | None = await self._call(self.record.find)
        return result

    async def delete(self) -> Outcome:
        result: Outcome = await self._call(self.record.delete)
        return result

    async def delete_if_owned_by(self, user_id: str) -> Outcome:
        outcome: Outcome = await self._call(self.record.delete_if_owned_by, user_id)
        return outcome

    async def delete_if_unchanged(self, revision: str) -> Outcome:
        outcome: Outcome = await self._call(self.record.delete_if_unchanged, revision)
        return outcome

    async def _call(self, function: Callable[..., Any], *arguments: str) -> Any:
        await asyncio.sleep(self.seconds)
        return function(*arguments)


def run(test: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(test, TOO_LONG))


class Ticker:
    """Measures the longest time for which the event loop did not run."""

    async def __aenter__(self) -> "Ticker":
        self.longest = 0.0
        self.ticks = 0
        self.task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()

    async def _tick(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            self.longest, last, self.ticks = max(self.longest, now - last), now, self.ticks + 1


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize("storage_type", [Record, AsyncRecord])
def test_functions_can_be_plain_or_async(function: str, storage_type: type) -> None:
    caller, guarded = CALLS[function]
    for identity in (Identity(caller), AsyncIdentity(caller)):
        record = Record()
        storage = record if storage_type is Record else AsyncRecord(record)
        rejection = run(policy(guarded=guarded).decide_async(REQUEST, identity, storage))
        assert function in record.calls
        assert (rejection is None) == (record.learning is None) == (function != "locate")


def test_mixed_and_wrapped_functions() -> None:
    class Mixed:
        find = AsyncMock(return_value=LEARNING)

        def locate(self) -> Target:
            raise AssertionError("not called")

        def __init__(self) -> None:
            self.delete_if_owned_by = lambda user_id: later(Outcome.DELETED)

        async def delete_if_unchanged(self, revision: str) -> Outcome:
            return Outcome.DELETED

    async def later(outcome: Outcome) -> Outcome:
        await asyncio.sleep(0)
        return outcome

    assert run(policy().decide_async(REQUEST, Identity(), Mixed())) is None  # type: ignore[arg-type]
    assert run(policy(guarded=True).decide_async(REQUEST, Identity(), Mixed())) is None  # type: ignore[arg-type]
    Mixed.find.assert_awaited_once()


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize("storage_type", [Record, AsyncRecord])
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (5, "storage.{} returned 5; expected "),
        (ValueError("secret"), "storage.{} raised ValueError"),
        (StopIteration(), "storage.{} raised "),
        (asyncio.CancelledError(), "storage.{} raised CancelledError"),
        (StorageError("x"), "storage.{} raised a StorageError whose kind is 'x'; expected one of "),  # type: ignore[arg-type]
    ],
)
def test_wrong_answer_fails(function: str, storage_type: type, result: object, message: str) -> None:
    caller, guarded = CALLS[function]
    record = Record({function: result})
    storage = record if storage_type is Record else AsyncRecord(record)
    with pytest.raises(PolicyFailure) as raised:
        run(policy(guarded=guarded).decide_async(REQUEST, Identity(caller), storage))
    failure = raised.value
    assert str(failure).startswith(message.format(function))
    assert (failure.kind, failure.deleted) == ("storage", None if function in DELETES else False)
    if isinstance(result, ValueError):
        assert failure.__cause__ is result


@pytest.mark.parametrize("identity_type", [Identity, AsyncIdentity])
def test_wrong_identity_fails(identity_type: type[Identity]) -> None:
    with raises_failure("identity", "identity.current returned 5; expected a Caller", deleted=False):
        run(policy().decide_async(REQUEST, identity_type(5), Record()))
    with raises_failure("identity", "identity.current raised ValueError", deleted=False) as raised:
        run(policy().decide_async(REQUEST, identity_type(ValueError()), Record()))
    assert isinstance(raised.value.__cause__, ValueError)
    error = IdentityError(IdentityErrorKind.MISSING, Credential.JWT)
    assert run(policy().decide_async(REQUEST, identity_type(error), Record())).status == 401


def test_errors_of_the_contract_are_answered() -> None:
    for storage_type in (AsyncRecord, lambda record: record):
        record = Record({"delete_if_owned_by": StorageError(StorageErrorKind.UNAVAILABLE)})
        assert run(policy().decide_async(REQUEST, Identity(), storage_type(record))).status == 503


@pytest.mark.parametrize("asynchronous", [False, True])
def test_event_loop_runs_while_storage_is_slow(asynchronous: bool) -> None:
    class Slow(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            time.sleep(0.5)
            return super().delete_if_owned_by(user_id)

    async def test() -> Ticker:
        async with Ticker() as ticker:
            storage = AsyncRecord(seconds=0.5) if asynchronous else Slow()
            assert await policy().decide_async(REQUEST, Identity(), storage) is None
        return ticker

    ticker = run(test())
    assert ticker.longest < 0.3
    assert ticker.ticks > 20


@pytest.mark.parametrize("cpu_time_limit_ms", [100, 1000], ids=["on the event loop", "on a thread"])
def test_event_loop_runs_while_a_policy_spins(cpu_time_limit_ms: int) -> None:
    # A policy that computes for long has a low priority, so other programs can keep it from its limit for long.
    limits = replace(FEW, cpu_time_limit_ms=cpu_time_limit_ms, execution_timeout_ms=60_000)
    spinning = Policy(assembled("spins_before_calls"), limits=limits)

    async def test() -> Ticker:
        async with Ticker() as ticker:
            with raises_failure("cpu-time-limit", "the policy failed: it exceeded the CPU time limit", deleted=False):
                await spinning.decide_async(REQUEST, Identity(), Record())
        return ticker

    ticker = run(test())
    # A policy computes on the event loop for a twenty-fifth of the limit at a time, and twice at most.
    assert ticker.longest < 0.09
    assert ticker.ticks > 20


def test_policy_on_a_thread_calls_storage() -> None:
    limits = replace(FEW, cpu_time_limit_ms=1000)
    slow = Policy(limits=limits)
    for storage in (Record(), AsyncRecord()):
        assert run(slow.decide_async(REQUEST, Identity(), storage)) is None


@pytest.mark.parametrize("asynchronous", [False, True])
def test_decisions_in_flight_are_bounded(asynchronous: bool) -> None:
    small = Policy(limits=replace(FEW, max_concurrent_instances=3, queue_timeout_ms=60_000))
    lock = threading.Lock()
    running = most = 0

    def enter(step: int) -> None:
        nonlocal running, most
        with lock:
            running += step
            most = max(most, running)

    class Counts(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            enter(1)
            time.sleep(0.01)
            enter(-1)
            return super().delete_if_owned_by(user_id)

    class AsyncCounts(AsyncRecord):
        async def delete_if_owned_by(self, user_id: str) -> Outcome:
            enter(1)
            await asyncio.sleep(0.01)
            enter(-1)
            return await super().delete_if_owned_by(user_id)

    async def test() -> list[Any]:
        storages = [AsyncCounts() if asynchronous else Counts() for _ in range(20)]
        return await asyncio.gather(*(small.decide_async(REQUEST, Identity(), each) for each in storages))

    assert run(test()) == [None] * 20
    assert most == 3


def test_queue_has_a_timeout() -> None:
    small = Policy(limits=replace(FEW, max_concurrent_instances=1, queue_timeout_ms=50))

    async def test() -> None:
        occupying = asyncio.create_task(small.decide_async(REQUEST, Identity(), AsyncRecord(seconds=0.5)))
        await asyncio.sleep(0.05)
        record = Record()
        rejection = await small.decide_async(REQUEST, Identity(), AsyncRecord(record))
        assert rejection is not None
        assert (rejection.status, rejection.rule, record.calls) == (503, "sandbox-overloaded", [])
        assert await occupying is None

    run(test())


@pytest.mark.parametrize("function", list(CALLS))
@pytest.mark.parametrize("asynchronous", [False, True])
def test_execution_timeout_ends_a_slow_call(function: str, asynchronous: bool) -> None:
    caller, guarded = CALLS[function]
    limits = replace(FEW, execution_timeout_ms=100)
    guards = [Guard(name="legal-hold", component=LEGAL_HOLD)] if guarded else []
    short = Policy(guards=guards, limits=limits)
    release = threading.Event()
    cancelled: list[str] = []

    class Slow(Record):
        def _call(self, name: str, usual: Any) -> Any:
            if name == function:
                release.wait(TOO_LONG)
            return super()._call(name, usual)

    class AsyncSlow(AsyncRecord):
        async def _call(self, call: Callable[..., Any], *arguments: str) -> Any:
            if call.__name__ == function:
                try:
                    await asyncio.sleep(TOO_LONG)
                except asyncio.CancelledError:
                    cancelled.append(function)
                    raise
            return call(*arguments)

    async def test() -> None:
        deleted = None if function in DELETES else False
        message = "the policy failed: it exceeded the execution timeout"
        try:
            with raises_failure("execution-timeout", message, deleted=deleted):
                await short.decide_async(REQUEST, Identity(caller), AsyncSlow() if asynchronous else Slow())
        finally:
            release.set()
        await asyncio.sleep(0)

    run(test())
    assert cancelled == ([function] if asynchronous else [])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_cancelled_delete_finishes(asynchronous: bool, caplog: pytest.LogCaptureFixture) -> None:
    record = Record()
    started, release = threading.Event(), threading.Event()

    class Slow(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            started.set()
            assert release.wait(TOO_LONG)
            return record.delete_if_owned_by(user_id)

    class AsyncSlow(AsyncRecord):
        async def delete_if_owned_by(self, user_id: str) -> Outcome:
            started.set()
            while not release.is_set():
                await asyncio.sleep(0.001)
            return await super().delete_if_owned_by(user_id)

    async def test() -> None:
        storage = AsyncSlow(record) if asynchronous else Slow()
        task = asyncio.create_task(policy().decide_async(REQUEST, Identity(), storage))
        while not started.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert record.learning is not None
        release.set()
        while "a cancelled decision finished: the record was deleted" not in caplog.messages:
            await asyncio.sleep(0.001)

    with caplog.at_level(logging.WARNING, logger="delete_learning"):
        run(test())
    assert record.learning is None


def test_decision_cancelled_before_a_delete_ends() -> None:
    for function in ("locate", "find"):
        caller, guarded = CALLS[function]
        record = Record()

        async def test(caller: Caller, guarded: bool, record: Record) -> None:
            storage = AsyncRecord(record, seconds=TOO_LONG)
            task = asyncio.create_task(policy(guarded=guarded).decide_async(REQUEST, Identity(caller), storage))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)

        run(test(caller, guarded, record))
        assert record.calls == []
        assert record.learning is not None


def test_cancelled_decision_returns_its_permit() -> None:
    small = Policy(limits=replace(FEW, max_concurrent_instances=1))

    async def test() -> None:
        for _ in range(3):
            task = asyncio.create_task(small.decide_async(REQUEST, Identity(NO_SUBJECT), AsyncRecord(seconds=TOO_LONG)))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await small.decide_async(REQUEST, Identity(), AsyncRecord()) is None

    run(test())


def test_delete_finishes_although_the_event_loop_ends() -> None:
    record = Record()

    class Slow(Record):
        def delete(self) -> Any:
            time.sleep(0.3)
            return record.delete()

    async def test() -> None:
        task = asyncio.create_task(policy().decide_async(REQUEST, Identity(SECURITY_KEY), Slow()))
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(test())
    deadline = time.monotonic() + TOO_LONG
    while record.learning is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert record.learning is None


def test_plain_functions_have_the_context_of_the_caller() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[tuple[str, bool]] = []

    class Looks(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            seen.append((variable.get(), threading.current_thread() is threading.main_thread()))
            return super().delete_if_owned_by(user_id)

    class AsyncLooks(AsyncRecord):
        async def delete_if_owned_by(self, user_id: str) -> Outcome:
            seen.append((variable.get(), threading.current_thread() is threading.main_thread()))
            return await super().delete_if_owned_by(user_id)

    async def test() -> None:
        variable.set("set")
        await policy().decide_async(REQUEST, Identity(), Looks())
        await policy().decide_async(REQUEST, Identity(), AsyncLooks())

    run(test())
    assert seen == [("set", False), ("set", True)]


def test_several_event_loops_share_a_policy() -> None:
    async def test(number: int) -> list[Any]:
        storages = [AsyncRecord() if each % 2 else Record() for each in range(100)]
        return await asyncio.gather(*(policy().decide_async(REQUEST, Identity(), each) for each in storages))

    results: list[list[Any]] = []
    threads = [threading.Thread(target=lambda: results.append(run(test(0)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[None] * 100] * 4


def test_limits_bound_the_threads() -> None:
    assert Limits().max_concurrent_instances == 256
    small = Policy(limits=replace(FEW, max_concurrent_instances=2))
    names: set[str] = set()

    class Looks(Record):
        def delete_if_owned_by(self, user_id: str) -> Any:
            names.add(threading.current_thread().name)
            time.sleep(0.005)
            return super().delete_if_owned_by(user_id)

    async def test() -> None:
        await asyncio.gather(*(small.decide_async(REQUEST, Identity(), Looks()) for _ in range(10)))

    run(test())
    assert names <= {"delete-learning_0", "delete-learning_1"}
