"""A policy, loaded and ready to decide."""

import asyncio
import json
import logging
import os
import re
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from . import _decision, _native, _validate
from ._contract import AsyncIdentity, AsyncStorage, Identity, Rejection, Request, Storage
from ._errors import LoadError
from ._limits import Limits

log = logging.getLogger("delete_learning")

Component = bytes | str | os.PathLike[str]
"""A component: its bytes, or the path of its file."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A component between the policy and the storage, which can only retain records."""

    name: str
    """Its name in errors and in the log: 1 to 64 characters of a-z, 0-9 and `-`."""
    component: Component
    settings: Mapping[str, object] = field(default_factory=dict)
    """See `Policy`."""
    grants: Iterable[str] = ()
    """See `Policy`."""


class Policy:
    """A policy with its guards, compiled once. Each decision runs in a fresh instance, in a sandbox with limits.

    `component`: the default policy if it is left out.
    `guards`: outermost first.
    `settings`: served to the component as `wasi:config/store`. A str as it is, any other value as JSON text; the keys
    of a nested mapping are joined by dots.
    `grants`: the interfaces of WASI that the component can import, such as `wasi:clocks/wall-clock@0.2.0`.
    `limits`: of the policy and of each guard.
    `cache_directory`: where compiled code is cached: a directory that only this user can write to, and that is created
    if it does not exist. `None` is `delete-learning` in the cache directory of the user, if it can be used; `False` is
    no cache.

    Raises `LoadError` if a component or the cache directory cannot be used.

    A policy can decide on several threads and event loops at the same time. After a fork it is loaded again in the
    child process, by the first decision there.
    """

    def __init__(
        self,
        component: Component | None = None,
        *,
        guards: Sequence[Guard] = (),
        settings: Mapping[str, object] | None = None,
        grants: Iterable[str] = (),
        limits: Limits | None = None,
        cache_directory: str | os.PathLike[str] | Literal[False] | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._cache_directory = _usable_cache(cache_directory)
        if component is None and (settings or grants):
            raise LoadError("settings and grants need a component: the default policy uses neither")
        names = [guard.name for guard in guards]
        for name in names:
            if not isinstance(name, str) or not re.fullmatch("[a-z0-9-]{1,64}", name):
                raise LoadError(
                    f"Guard.name is {_validate.show(name)}; expected 1 to 64 characters of a-z, 0-9 and '-'"
                )
            if names.count(name) > 1:
                raise LoadError(f"several guards have the name {name!r}")
        self._component = None if component is None else _Source.read("the policy", component, settings or {}, grants)
        self._guards = [_Source.read(f"the guard {it.name!r}", it.component, it.settings, it.grants) for it in guards]
        self._guard_names = names
        self._injects_faults = False
        """Set by the conformance cases."""
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._loaded: _native.Policy | None = self._load()
        _policies.add(self)

    @property
    def limits(self) -> Limits:
        """The limits of the policy and of each guard."""
        return self._limits

    @property
    def sha256(self) -> str:
        """The SHA-256 of the component, in hexadecimal."""
        return self._ready().digests[0]

    def decide(self, request: Request, identity: Identity, storage: Storage) -> Rejection | None:
        """Decides on one request. Returns `None` if it deleted the record, and the rejection otherwise.

        The functions of `identity` and `storage` are called on this thread. A call to `storage` cannot be interrupted:
        set timeouts on your database.

        Raises `PolicyFailure` if there is no valid decision: answer 500.
        """
        _check_request(request)
        return _decision.decide(self._ready(), request, identity, storage, self._injects_faults)

    async def decide_async(self, request: Request, identity: AsyncIdentity, storage: AsyncStorage) -> Rejection | None:
        """Like `decide`, on an event loop, which is not blocked meanwhile.

        A function of `storage` that is `async def` runs on the event loop; any other one runs on a thread, with the
        context variables of the caller. `identity.current` runs on the event loop in both cases.

        If the caller is cancelled before a delete has begun, the decision ends, and nothing was deleted. Afterwards the
        decision is finished in the background, and the logger `delete_learning` has its result.
        """
        _check_request(request)
        caller, error = await _decision.current_async(identity)
        decision = _decision.AsyncDecision(
            self._ready(), request, caller, error, storage, self._executor(), self._injects_faults
        )
        try:
            return await decision.run()
        except asyncio.CancelledError:
            if decision.deleted is False:
                decision.stop()
            else:
                task = asyncio.get_running_loop().create_task(_decision.finish_cancelled(decision))
                self._background.add(task)
                task.add_done_callback(self._background.discard)
            raise

    def _ready(self) -> _native.Policy:
        if self._loaded is None:
            with self._lock:
                self._loaded = self._loaded or self._load()
        return self._loaded

    def _load(self) -> _native.Policy:
        try:
            sandbox = _native.Sandbox(json.dumps(asdict(self._limits)), self._cache_directory)
        except (OSError, ValueError) as error:
            raise LoadError(f"cannot set up the sandbox: {error}") from error
        guards = [guard.load_guard(sandbox, name) for guard, name in zip(self._guards, self._guard_names, strict=True)]
        component = self._component or _Source("the default policy", None, {}, frozenset())
        return component.load_policy(sandbox, guards)

    def _executor(self) -> ThreadPoolExecutor:
        """The threads of plain functions. One for each decision that can run, so that no call waits for another."""
        if self._threads is None:
            with self._lock:
                self._threads = self._threads or ThreadPoolExecutor(
                    self._limits.max_concurrent_instances, thread_name_prefix="delete-learning"
                )
        return self._threads

    def _after_fork(self) -> None:
        # The threads of the sandbox and of the executor exist in the parent process alone.
        _abandoned.append((self._loaded, self._threads))
        self._lock, self._loaded, self._threads, self._background = threading.Lock(), None, None, set()


class _Source:
    """A component before it is compiled, with what it gets beyond the contract."""

    def __init__(
        self, name: str, component: bytes | Path | None, settings: dict[str, str], grants: frozenset[str]
    ) -> None:
        self._name = name
        self._component = component
        self._settings = settings
        self._grants = grants

    @classmethod
    def read(cls, name: str, component: Component, settings: Mapping[str, object], grants: Iterable[str]) -> "_Source":
        if isinstance(component, (str, os.PathLike)):
            path = Path(component)
            return cls(f"{name} ({path})", path, dict(_flatten(name, settings)), _names(name, grants))
        if not isinstance(component, bytes):
            raise LoadError(f"the component of {name} is {_validate.show(component)}; expected bytes or a path")
        return cls(name, component, dict(_flatten(name, settings)), _names(name, grants))

    def load_guard(self, sandbox: _native.Sandbox, guard_name: str) -> _native.Guard:
        try:
            return sandbox.load_guard(guard_name, self._bytes(sandbox) or b"", self._settings, set(self._grants))
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def load_policy(self, sandbox: _native.Sandbox, guards: list[_native.Guard]) -> _native.Policy:
        try:
            return sandbox.load_policy(self._bytes(sandbox), self._settings, set(self._grants), guards)
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def _bytes(self, sandbox: _native.Sandbox) -> bytes | None:
        if isinstance(self._component, Path):
            # Kept, so that a process that is forked later loads the same component.
            self._component = sandbox.read(self._component)
        return self._component

    def _error(self, error: Exception) -> LoadError:
        return LoadError(f"cannot load {self._name}: {error}")


def _flatten(name: str, settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The settings as a component reads them, as the server has them."""
    for key, value in settings.items():
        if not isinstance(key, str):
            raise LoadError(f"the settings of {name} have the key {_validate.show(key)}; expected a str")
        if isinstance(value, Mapping):
            yield from _flatten(name, value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield prefix + key, value
        else:
            try:
                yield prefix + key, json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            except (TypeError, ValueError) as error:
                shown = _validate.show(value)
                raise LoadError(f"the setting {prefix}{key} of {name} is {shown}; expected a value of JSON") from error


def _names(name: str, grants: Iterable[str]) -> frozenset[str]:
    names = [grants] if isinstance(grants, str) else list(grants)
    if isinstance(grants, str) or not all(isinstance(grant, str) for grant in names):
        raise LoadError(f"the grants of {name} are {_validate.show(grants)}; expected a list of str")
    return frozenset(names)


def _usable_cache(directory: str | os.PathLike[str] | Literal[False] | None) -> Path | None:
    if directory is False:
        return None
    if directory is not None:
        if problem := _native.check_cache(directory):
            raise LoadError(f"cannot use the cache directory: {problem}")
        return Path(directory)
    # As the server does: XDG Base Directory Specification.
    variables = (os.environ.get("XDG_CACHE_HOME"), Path(os.environ.get("HOME") or "") / ".cache")
    user = next((Path(variable) for variable in variables if variable and Path(variable).is_absolute()), None)
    if user is None:
        return None
    if problem := _native.check_cache(user / "delete-learning"):
        log.warning("cannot cache compiled policies; pass cache_directory=False to silence this: %s", problem)
        return None
    return user / "delete-learning"


def _check_request(request: object) -> None:
    try:
        _validate.request(request)
    except _validate.Invalid as error:
        raise ValueError(str(error)) from None


_policies: "weakref.WeakSet[Policy]" = weakref.WeakSet()
_abandoned: list[object] = []
"""What a forked process inherited and cannot use. Freeing it could wait for a lock that a thread of the parent held."""


def _after_fork() -> None:
    for policy in list(_policies):
        policy._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
