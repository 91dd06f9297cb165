"""A host for `learnings:plugin` policies, on the `wasmtime` package.

    policy = Policy("delete-learning.wasm")
    rejection = policy.decide(Request("user_profile_ada"), identity, storage)

You implement `identity` and `storage`: see the protocols `Identity` and `Storage`, and the contract in `wit/`, which
specifies what they must guarantee. `decide` can be called from several threads at the same time.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker, Record, Variant

PACKAGE, VERSION = "learnings:plugin", "0.1.0"
IDENTITY = f"{PACKAGE}/identity@{VERSION}"
STORAGE = f"{PACKAGE}/storage@{VERSION}"
TYPES = f"{PACKAGE}/types@{VERSION}"

# The limits of one decision. The default policy consumes about 3,000 units of fuel.
MAX_FUEL = 50_000_000
MAX_MEMORY_BYTES = 16 * 1024 * 1024
MAX_HOST_CALLS = 64

STATUS = {
    "bad-request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "conflict": 409,
    "too-many-requests": 429,
    "internal-server-error": 500,
    "not-implemented": 501,
    "service-unavailable": 503,
}


log = logging.getLogger("learnings.plugin")


class Credential(StrEnum):
    NONE = "none"
    SECURITY_KEY = "security-key"
    JWT = "jwt"
    SERVICE_ACCOUNT = "service-account"


class Outcome(StrEnum):
    DELETED = "deleted"
    ABSENT = "absent"
    UNOWNED = "unowned"
    OWNED_BY_ANOTHER = "owned-by-another"
    CHANGED = "changed"


@dataclass(frozen=True)
class Request:
    """A request. `learning_id` is percent-decoded once; `db_id` and `table` are as the caller sent them."""

    learning_id: str
    db_id: str | None = None
    table: str | None = None


@dataclass(frozen=True)
class Caller:
    credential: Credential
    subject: str | None
    scopes: list[str]
    scopes_optional: bool
    all_owners: bool
    admin_scope: str


@dataclass(frozen=True)
class Target:
    database: str
    table: str


@dataclass(frozen=True)
class Learning:
    learning_type: str
    content: str
    created_at: int
    revision: str
    namespace: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    session_id: str | None = None
    entity_id: str | None = None
    entity_type: str | None = None
    metadata: str | None = None
    updated_at: int | None = None


@dataclass(frozen=True)
class Lookup:
    learning: Learning | None


@dataclass(frozen=True)
class Rejection:
    """A rejection. `status`, `code` and `detail` are for the caller; `rule` is only for log and audit."""

    status: int
    code: str
    detail: str
    rule: str


@dataclass
class IdentityError(Exception):
    """No caller. `kind` is a case of the contract's `identity-error-kind`; `message` is for the log."""

    kind: str
    credential: Credential
    message: str = ""


@dataclass
class StorageError(Exception):
    """No result. `kind` is a case of the contract's `storage-error-kind`; `message` is for the log."""

    kind: str
    message: str = ""


class PolicyError(Exception):
    """No valid decision: answer 500. The message and the cause are for the log."""

    deleted: bool = False
    """Whether storage returned `deleted` before the policy failed. The audit event must state this."""


class Identity(Protocol):
    def current(self) -> Caller:
        """Returns the caller. Raises `IdentityError`."""


class Storage(Protocol):
    """The one record that the request names. Every method can raise `StorageError`."""

    def locate(self) -> Target:
        """Returns the database and the table of the request, without reading any record."""

    def find(self) -> Learning | None:
        """Returns the record, or `None` if it does not exist."""

    def delete(self) -> Outcome:
        """Deletes the record regardless of its owner."""

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        """Deletes the record if `user_id` owns it, in one atomic step."""

    def delete_if_unchanged(self, revision: str) -> Outcome:
        """Deletes the record if its revision is still `revision`, in one atomic step."""


class Policy:
    """A policy, compiled once. Each decision runs in a fresh instance."""

    def __init__(
        self, component: str | Path, *, max_fuel: int = MAX_FUEL, max_memory_bytes: int = MAX_MEMORY_BYTES
    ) -> None:
        config = Config()
        config.consume_fuel = True
        self._engine = Engine(config)
        self._max_fuel = max_fuel
        self._max_memory_bytes = max_memory_bytes
        try:
            self._component = Component.from_file(self._engine, component)
        except (OSError, WasmtimeError) as error:
            raise ValueError(f"cannot load the component {component}: {error}") from error
        # Rejects other imports, such as WASI, at load time instead of at the first request.
        unknown = set(self._component.type.imports(self._engine)) - {IDENTITY, STORAGE, TYPES}
        if unknown:
            raise ValueError(f"{component} has imports that this host does not provide: {', '.join(sorted(unknown))}")
        self._export = self._component.get_export_index("delete-learning")
        if self._export is None:
            raise ValueError(f"{component} does not export delete-learning of {PACKAGE}@{VERSION}")

    def decide(self, request: Request, identity: Identity, storage: Storage) -> Rejection | None:
        """Decides on one request. Returns `None` if it deleted the record, and the rejection otherwise.

        Raises `PolicyError` if the policy trapped, exceeded a limit or violated the contract, or if `identity` or
        `storage` raised an exception other than `IdentityError` and `StorageError`.
        """
        state = _HostState()
        store = Store(self._engine)
        store.set_fuel(self._max_fuel)
        store.set_limits(memory_size=self._max_memory_bytes, instances=16, tables=16, memories=4)
        try:
            instance = self._linker(state, identity, storage).instantiate(store, self._component)
            answer = instance.get_func(store, self._export)(store, _lower(request))
        except Exception as error:
            # Removed from `state`: the store refers to `state`, and the traceback of the exception to the store, so the
            # store would never be freed.
            cause, state.exception = state.exception or error, None
            raise state.error("the policy or its host failed") from cause
        if answer is None:
            if not state.deleted:
                raise state.error("the policy reported a deletion that did not happen")
            return None
        rejection = Rejection(**{name.name: getattr(answer, name.name) for name in fields(Rejection)})
        if state.deleted:
            raise state.error(f"the policy rejected the request after deleting the record: {rejection.rule}")
        if violation := _validate_rejection(rejection):
            raise state.error(f"the policy's rejection violates the contract: {violation}")
        return rejection

    def _linker(self, state: "_HostState", identity: Identity, storage: Storage) -> Linker:
        # One linker per request, because the bindings pass nothing to a host function that identifies the request.
        linker = Linker(self._engine)
        with linker.root() as root:
            with root.add_instance(IDENTITY) as functions:
                functions.add_func("current", state.tagged(identity.current))
            with root.add_instance(STORAGE) as functions:
                functions.add_func("locate", state.tagged(storage.locate))
                functions.add_func("find", state.tagged(lambda: Lookup(storage.find())))
                functions.add_func("delete", state.untagged(storage.delete))
                functions.add_func("delete-if-owned-by", state.untagged(storage.delete_if_owned_by))
                functions.add_func("delete-if-unchanged", state.untagged(storage.delete_if_unchanged))
        return linker


@dataclass
class _HostState:
    """The state of one decision: the number of calls, whether a delete succeeded, and an unexpected exception."""

    calls: int = 0
    deleted: bool = False
    exception: Exception | None = None

    def tagged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function whose result and error are both records. The bindings need a tag to distinguish them."""
        return self._host_function(function, lambda ok: Variant("ok", ok), lambda err: Variant("err", err))

    def untagged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function whose result and error differ in type. The bindings accept no tag for these."""
        return self._host_function(function, lambda ok: ok, lambda err: err)

    def _host_function(self, function: Callable[..., Any], ok: Callable, err: Callable) -> Callable[..., Any]:
        def host_function(_store: Any, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls > MAX_HOST_CALLS:
                raise WasmtimeError("the policy called the host too often")
            try:
                result = function(*arguments)
                self.deleted = self.deleted or result == Outcome.DELETED
                return ok(_lower(result))
            except (IdentityError, StorageError) as error:
                log.info("%s: %s", error.kind, error.message)
                return err(_lower(error))
            except Exception as error:
                # Stored here, because the bindings store it in a global variable that all threads share.
                self.exception = error
                raise WasmtimeError("a host function failed") from error

        return host_function

    def error(self, message: str) -> PolicyError:
        error = PolicyError(message)
        error.deleted = self.deleted
        return error


def _lower(value: Any) -> Any:
    """Converts a value of this module to the bindings' form: records have the contract's kebab-case names."""
    if not hasattr(value, "__dataclass_fields__"):
        return value
    record = Record()
    for each in fields(value):
        setattr(record, each.name.replace("_", "-"), _lower(getattr(value, each.name)))
    return record


def _validate_rejection(rejection: Rejection) -> str | None:
    """Returns how a rejection violates the contract, or `None` if it does not."""
    if STATUS[rejection.code] != rejection.status:
        return f"status {rejection.status} does not belong to code {rejection.code}"
    if not 1 <= len(rejection.detail.encode()) <= 1024 or re.search(r"[\x00-\x1f\x7f-\x9f]", rejection.detail):
        return "its detail is not 1 to 1024 bytes of text without control characters"
    if not re.fullmatch(r"[a-z0-9-]{1,64}", rejection.rule):
        return "its rule is not 1 to 64 bytes of a-z, 0-9 and '-'"
    return None
