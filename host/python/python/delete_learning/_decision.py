"""Runs one decision: performs the calls of the policy on the host's `storage`, and checks the results.

The sandbox returns to Python for every call, so the host's code runs in the thread or the event loop that decides, an
exception keeps its traceback, and a `KeyboardInterrupt` ends the decision.
"""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from . import _native, _validate
from ._contract import (
    AsyncIdentity,
    AsyncStorage,
    Caller,
    ErrorCode,
    Identity,
    IdentityError,
    Learning,
    Outcome,
    Rejection,
    Request,
    Storage,
    StorageError,
    StorageErrorKind,
    Target,
)
from ._errors import FailureKind, PolicyFailure

log = logging.getLogger("delete_learning")

_LEVELS = {
    StorageErrorKind.UNAVAILABLE: logging.WARNING,
    StorageErrorKind.OUTCOME_UNKNOWN: logging.ERROR,
    StorageErrorKind.INTERNAL: logging.ERROR,
}
"""The levels of errors of `storage` that are the platform's; the others are the caller's."""


class HostCalls:
    """The calls to the host's `storage` in one decision, and what they mean for the record.

    Conformance cases inject results that a storage must not return (`injects_faults`), to test the policy.
    """

    def __init__(self, injects_faults: bool) -> None:
        self._injects_faults = injects_faults
        self._is_deleted = False
        self._is_unknown = False
        self._is_deleting = False

    @property
    def deleted(self) -> bool | None:
        """Whether the record was deleted; `None` if that is unknown. The outcome of an unfinished delete is unknown."""
        if self._is_deleted:
            return True
        return None if self._is_unknown or self._is_deleting else False

    def begin(self, function: str) -> None:
        """Begins a call."""
        self._is_deleting = function in _validate.DELETES

    def answer(self, function: str, value: object) -> Target | Learning | Outcome | None:
        """Returns the result of a call for the policy. Raises `PolicyFailure` if it is invalid."""
        try:
            answer = _validate.answer(function, value, is_injected=self._injects_faults)
        except _validate.Invalid as error:
            if inspect.iscoroutine(value):
                value.close()
            raise self._failure(str(error)) from None
        self._is_deleting = False
        self._is_deleted |= answer is Outcome.DELETED
        return answer

    def error(self, function: str, error: BaseException) -> StorageError:
        """Returns the exception of a call for the policy. Raises `PolicyFailure` if it is not one of the contract."""
        if not isinstance(error, StorageError):
            raise self._failure(f"storage.{function} raised {type(error).__name__}") from error
        try:
            _validate.storage_error(function, error, is_injected=self._injects_faults)
        except _validate.Invalid as invalid:
            raise self._failure(str(invalid)) from error
        self._is_deleting = False
        self._is_unknown |= error.kind == StorageErrorKind.OUTCOME_UNKNOWN
        log.log(_LEVELS.get(error.kind, logging.INFO), "storage.%s failed: %s", function, error)
        return error

    def _failure(self, message: str) -> PolicyFailure:
        return PolicyFailure(FailureKind.STORAGE, message, deleted=self.deleted)


def decide(
    policy: _native.Policy, request: Request, identity: Identity, storage: Storage, injects_faults: bool
) -> Rejection | None:
    """Decides on this thread. The GIL is released while the policy runs or waits for a permit."""
    caller, error = current(identity)
    run = policy.start(request, caller, error)
    calls = HostCalls(injects_faults)
    try:
        while not isinstance(step := run.next(), _native.Decision):
            function, arguments = step
            calls.begin(function)
            try:
                value = getattr(storage, function)(*arguments)
            except Exception as raised:
                run.fail(calls.error(function, raised))
            else:
                run.answer(calls.answer(function, value))
    except Exception:
        raise
    except BaseException:
        # For example KeyboardInterrupt. The caller of `decide` does not learn what happened to the record.
        if calls.deleted is not False:
            log.error("a decision was interrupted; record deleted: %s", _shown(calls.deleted))
        raise
    finally:
        # Ends the policy and returns its permit, although an exception that somebody keeps refers to this frame.
        del run
    return result(step, calls)


class AsyncDecision:
    """A decision on an event loop, which can be continued by another task after its task was cancelled."""

    def __init__(
        self,
        policy: _native.Policy,
        request: Request,
        caller: Caller | None,
        error: IdentityError | None,
        storage: AsyncStorage,
        executor: Executor,
        injects_faults: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._storage = storage
        self._executor = executor
        self._can_continue = asyncio.Event()
        self._calls = HostCalls(injects_faults)
        self._function = ""
        self._call: asyncio.Future[tuple[Any, BaseException | None]] | None = None
        """The call in progress: its value or its exception."""
        self._run = policy.start(
            request, caller, error, partial(self._loop.call_soon_threadsafe, self._can_continue.set)
        )

    @property
    def deleted(self) -> bool | None:
        """Whether the record was deleted; `None` if that is unknown."""
        return self._calls.deleted

    async def run(self) -> Rejection | None:
        """Runs the decision to its end. If it is cancelled, the call in progress goes on; `run` can be called again."""
        try:
            decision = await self._until_finished()
        except asyncio.CancelledError:
            raise
        except BaseException:
            self.stop()
            raise
        self.stop()
        return result(decision, self._calls)

    def stop(self) -> None:
        """Cancels the call in progress, ends the policy and returns its permit."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        # Not left to the end of this object, because an exception that somebody keeps refers to it.
        self.__dict__.pop("_run", None)

    async def _until_finished(self) -> _native.Decision:
        while True:
            self._can_continue.clear()
            if self._call is not None and self._call.done():
                self._finish_call(self._call)
            step = self._run.poll()
            if isinstance(step, _native.Decision):
                return step
            if step is not None:
                self._function, arguments = step
                self._calls.begin(self._function)
                self._begin_call(getattr(self._storage, self._function), arguments)
            await self._can_continue.wait()

    def _begin_call(self, function: Callable[..., Any], arguments: list[str]) -> None:
        if inspect.iscoroutinefunction(function):
            self._wait_for(self._loop.create_task(_await(partial(function, *arguments))))
        else:
            # It can block, so it runs on a thread, like a plain function of a route in FastAPI.
            context = contextvars.copy_context()
            self._wait_for(self._loop.run_in_executor(self._executor, context.run, _perform, function, arguments))

    def _wait_for(self, call: "asyncio.Future[tuple[Any, BaseException | None]]") -> None:
        self._call = call
        call.add_done_callback(lambda _: self._can_continue.set())

    def _finish_call(self, call: "asyncio.Future[tuple[Any, BaseException | None]]") -> None:
        self._call = None
        value, error = (None, asyncio.CancelledError()) if call.cancelled() else call.result()
        if error is None and inspect.isawaitable(value):
            # A plain function that returns a coroutine, such as a lambda.
            self._wait_for(self._loop.create_task(_await(lambda: value)))
        elif error is None:
            self._run.answer(self._calls.answer(self._function, value))
        elif isinstance(error, (Exception, asyncio.CancelledError)):
            self._run.fail(self._calls.error(self._function, error))
        else:
            raise error


async def _await(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return await function(), None
    except Exception as error:
        return None, error


def _perform(function: Callable[..., Any], arguments: list[str]) -> tuple[Any, BaseException | None]:
    # The exception is returned, because a future cannot contain a StopIteration.
    try:
        return function(*arguments), None
    except BaseException as error:
        return None, error


def current(identity: Identity) -> tuple[Caller | None, IdentityError | None]:
    """Returns the caller, or the error in its place. Raises `PolicyFailure` if `identity` returns something else."""
    try:
        caller = identity.current()
    except Exception as error:
        return None, _check_identity_error(error)
    return _check_caller(caller), None


async def current_async(identity: AsyncIdentity) -> tuple[Caller | None, IdentityError | None]:
    """See `current`."""
    try:
        caller = identity.current()
        if inspect.isawaitable(caller):
            caller = await caller
    except Exception as error:
        return None, _check_identity_error(error)
    return _check_caller(caller), None


def _check_caller(caller: object) -> Caller:
    """Raises `PolicyFailure` if `identity.current` returned something other than a valid caller."""
    try:
        return _validate.caller(caller)
    except _validate.Invalid as error:
        if inspect.iscoroutine(caller):
            caller.close()
        raise PolicyFailure(FailureKind.IDENTITY, str(error), deleted=False) from None


def _check_identity_error(error: Exception) -> IdentityError:
    """Raises `PolicyFailure` if `identity.current` raised something other than a valid `IdentityError`."""
    if not isinstance(error, IdentityError):
        message = f"identity.current raised {type(error).__name__}"
        raise PolicyFailure(FailureKind.IDENTITY, message, deleted=False) from error
    try:
        _validate.identity_error(error)
    except _validate.Invalid as invalid:
        raise PolicyFailure(FailureKind.IDENTITY, str(invalid), deleted=False) from error
    log.info("identity.current failed: %s", error)
    return error


def result(decision: _native.Decision, calls: HostCalls) -> Rejection | None:
    """Returns the rejection, or `None` if the record was deleted. Raises `PolicyFailure` if no decision is valid."""
    for component, text in decision.output:
        log.info("output of %s: %s", component, text)
    if decision.denied_by is not None:
        log.info("the guard %s denied the deletion", decision.denied_by)
    if decision.failure is not None:
        kind, message = decision.failure
        # The sandbox does not see the result of a call that returned after the execution timeout.
        raise PolicyFailure(FailureKind(kind), message, deleted=calls.deleted)
    if decision.rejection is None:
        return None
    status, code, detail, rule = decision.rejection
    return Rejection(status, ErrorCode(code), detail, rule)


async def finish_cancelled(decision: AsyncDecision) -> None:
    """Runs a decision to its end whose task was cancelled after a delete had begun, and logs what happened."""
    while True:
        try:
            rejection = await decision.run()
        except asyncio.CancelledError:
            # The event loop is closing. The delete in progress is not abandoned; the execution timeout limits it.
            continue
        except PolicyFailure as failure:
            deleted = _shown(failure.deleted)
            log.error("a cancelled decision failed; record deleted: %s", deleted, exc_info=failure)
            return
        log.warning("a cancelled decision finished: %s", rejection.rule if rejection else "the record was deleted")
        return


def _shown(deleted: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[deleted]
