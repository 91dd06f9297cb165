"""A host for `learnings:plugin` policies, on the `wasmtime` package.

    policy = Policy("delete-learning.wasm")
    rejection = policy.decide(Request("user_profile_ada"), identity, storage)

`identity` and `storage` are yours: see the protocols `Identity` and `Storage`, and the contract in `wit/`, which says
what their answers promise. `decide` may be called from several threads at once.
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

# What one decision may cost. The shipped policy takes about 3 000 of the fuel.
FUEL = 50_000_000
MEMORY_BYTES = 16 * 1024 * 1024
CALLS = 64

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
    """`learning_id` percent-decoded once; the other two as the caller sent them."""

    learning_id: str
    db_id: str | None = None
    table: str | None = None


@dataclass(frozen=True)
class Caller:
    credential: Credential
    subject: str | None
    scopes: list[str]
    enforce_scopes: bool
    user_isolation: bool
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
    """What the caller is told: `status`, `code` and `detail`. `rule` is for log and audit alone."""

    status: int
    code: str
    detail: str
    rule: str


@dataclass
class IdentityError(Exception):
    """There is no caller. `kind` is one of the contract's `identity-error-kind`; `message` is for the log."""

    kind: str
    credential: Credential
    message: str = ""


@dataclass
class StorageError(Exception):
    """There is no outcome. `kind` is one of the contract's `storage-error-kind`; `message` is for the log."""

    kind: str
    message: str = ""


class PolicyFailure(Exception):
    """There is no decision: answer 500. The text and the cause are for the log."""

    deleted: bool = False
    """Whether storage had answered `deleted` before the policy failed: an audit record must say so."""


class Identity(Protocol):
    def current(self) -> Caller:
        """Who is calling. Raises `IdentityError`."""


class Storage(Protocol):
    """The one record that the request names. Every method may raise `StorageError`."""

    def locate(self) -> Target:
        """Where the record is, or would be, looking at no record."""

    def find(self) -> Learning | None:
        """The record; none where there is none."""

    def delete(self) -> Outcome:
        """Deletes it, whoever owns it."""

    def delete_if_owned_by(self, user_id: str) -> Outcome:
        """Deletes it if this user owns it, as one atomic step."""

    def delete_if_unchanged(self, revision: str) -> Outcome:
        """Deletes it if it is in this state, as one atomic step."""


class Policy:
    """A policy, compiled once. Each decision runs in an instance of its own, which is gone afterwards."""

    def __init__(self, component: str | Path, *, fuel: int = FUEL, memory_bytes: int = MEMORY_BYTES) -> None:
        config = Config()
        config.consume_fuel = True
        self._engine = Engine(config)
        self._fuel = fuel
        self._memory_bytes = memory_bytes
        try:
            self._component = Component.from_file(self._engine, component)
        except (OSError, WasmtimeError) as error:
            raise ValueError(f"{component} is not a component that can be loaded: {error}") from error
        # Deny by default: a policy that wants anything else (WASI, say) is refused here, not at the first request.
        foreign = set(self._component.type.imports(self._engine)) - {IDENTITY, STORAGE, TYPES}
        if foreign:
            raise ValueError(f"{component} imports what this host does not give: {', '.join(sorted(foreign))}")
        self._export = self._component.get_export_index("delete-learning")
        if self._export is None:
            raise ValueError(f"{component} does not export delete-learning: it is no policy for {PACKAGE}@{VERSION}")

    def decide(self, request: Request, identity: Identity, storage: Storage) -> Rejection | None:
        """Decides on one request and carries the decision out: none where the record was deleted.

        Raises `PolicyFailure` where the policy trapped, exceeded a limit or broke the contract, and where `identity`
        or `storage` raised anything beside their own errors.
        """
        call = _Call()
        store = Store(self._engine)
        store.set_fuel(self._fuel)
        store.set_limits(memory_size=self._memory_bytes, instances=16, tables=16, memories=4)
        try:
            instance = self._linker(call, identity, storage).instantiate(store, self._component)
            answer = instance.get_func(store, self._export)(store, _lower(request))
        except Exception as error:
            # Taken out of `call`: the store holds `call`, and the failure's traceback holds the store, for good.
            cause, call.failure = call.failure or error, None
            raise call.failed("the policy or its host failed") from cause
        if answer is None:
            if not call.deleted:
                raise call.failed("the policy says deleted, storage does not")
            return None
        rejection = Rejection(**{name.name: getattr(answer, name.name) for name in fields(Rejection)})
        if call.deleted:
            raise call.failed(f"the policy deleted the record and then refused: {rejection.rule}")
        if problem := _malformed(rejection):
            raise call.failed(f"the policy's rejection is malformed: {problem}")
        return rejection

    def _linker(self, call: "_Call", identity: Identity, storage: Storage) -> Linker:
        # A linker for each request: the binding hands a host function nothing that would tell requests apart.
        linker = Linker(self._engine)
        with linker.root() as root:
            with root.add_instance(IDENTITY) as functions:
                functions.add_func("current", call.tagged(identity.current))
            with root.add_instance(STORAGE) as functions:
                functions.add_func("locate", call.tagged(storage.locate))
                functions.add_func("find", call.tagged(lambda: Lookup(storage.find())))
                functions.add_func("delete", call.untagged(storage.delete))
                functions.add_func("delete-if-owned-by", call.untagged(storage.delete_if_owned_by))
                functions.add_func("delete-if-unchanged", call.untagged(storage.delete_if_unchanged))
        return linker


@dataclass
class _Call:
    """One decision under way: what the host's functions answered and how they failed."""

    count: int = 0
    deleted: bool = False
    failure: Exception | None = None

    def tagged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """For a result whose two sides are both records: the binding wants to be told which side it is."""
        return self._host_function(function, lambda ok: Variant("ok", ok), lambda err: Variant("err", err))

    def untagged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """For a result whose sides differ in type: the binding tells them apart, and takes no tag."""
        return self._host_function(function, lambda ok: ok, lambda err: err)

    def _host_function(self, function: Callable[..., Any], ok: Callable, err: Callable) -> Callable[..., Any]:
        def host_function(_store: Any, *arguments: Any) -> Any:
            self.count += 1
            if self.count > CALLS:
                raise WasmtimeError("the policy calls its host too often")
            try:
                answer = function(*arguments)
                self.deleted = self.deleted or answer == Outcome.DELETED
                return ok(_lower(answer))
            except (IdentityError, StorageError) as error:
                log.info("%s: %s", error.kind, error.message)
                return err(_lower(error))
            except Exception as error:
                # Kept here, because the binding keeps it in a global that other threads share.
                self.failure = error
                raise WasmtimeError("a function of the host failed") from error

        return host_function

    def failed(self, message: str) -> PolicyFailure:
        failure = PolicyFailure(message)
        failure.deleted = self.deleted
        return failure


def _lower(value: Any) -> Any:
    """A value of this module as the binding takes it: records carry the contract's names, kebab-case and all."""
    if not hasattr(value, "__dataclass_fields__"):
        return value
    record = Record()
    for each in fields(value):
        setattr(record, each.name.replace("_", "-"), _lower(getattr(value, each.name)))
    return record


def _malformed(rejection: Rejection) -> str | None:
    """What the contract forbids in a rejection, where this one has it: what goes to a caller is checked first."""
    if STATUS[rejection.code] != rejection.status:
        return f"status {rejection.status} is not that of {rejection.code}"
    if not 1 <= len(rejection.detail.encode()) <= 1024 or re.search(r"[\x00-\x1f\x7f-\x9f]", rejection.detail):
        return "its detail is not 1 to 1024 bytes without control characters"
    if not re.fullmatch(r"[a-z0-9-]{1,64}", rejection.rule):
        return "its rule is not 1 to 64 bytes of a-z, 0-9 and '-'"
    return None
