"""The contract of `wit/` in Python: the values that a policy and its host exchange, and the interfaces of a host."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Credential(StrEnum):
    """The kind of credential that authenticated the caller."""

    JWT = "jwt"
    SERVICE_ACCOUNT = "service-account"
    SECURITY_KEY = "security-key"
    NONE = "none"


class IdentityErrorKind(StrEnum):
    """The reason why there is no caller. `wit/identity.wit` describes each."""

    MISSING = "missing"
    MALFORMED = "malformed"
    INVALID = "invalid"
    EXPIRED = "expired"
    WRONG_AUDIENCE = "wrong-audience"
    RESERVED_SUBJECT = "reserved-subject"
    NOT_ENABLED = "not-enabled"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """The outcome of a delete."""

    DELETED = "deleted"
    """This call deleted the record, durably: after the commit."""
    ABSENT = "absent"
    """The record does not exist."""
    UNOWNED = "unowned"
    """The condition names an owner, and the record has none. Only for `delete_if_owned_by`."""
    OWNED_BY_ANOTHER = "owned-by-another"
    """The condition names an owner, and the record has another. Only for `delete_if_owned_by`."""
    CHANGED = "changed"
    """The condition names a revision, and the record has another. Only for `delete_if_unchanged`."""


class StorageErrorKind(StrEnum):
    """The reason why a function of `Storage` has no result. `wit/storage.wit` describes each."""

    INVALID_LEARNING_ID = "invalid-learning-id"
    REPEATED_PARAMETER = "repeated-parameter"
    DATABASE_REQUIRED = "database-required"
    UNKNOWN_DATABASE = "unknown-database"
    UNKNOWN_TABLE = "unknown-table"
    UNSUPPORTED = "unsupported"
    DENIED = "denied"
    """Only from a delete that would otherwise happen. The message is for the caller."""
    UNAVAILABLE = "unavailable"
    """Nothing was deleted. A retry can succeed."""
    OUTCOME_UNKNOWN = "outcome-unknown"
    """Only from a delete. It is unknown whether the record was deleted."""
    INTERNAL = "internal"
    """Nothing was deleted. A retry will not succeed."""


class ErrorCode(StrEnum):
    """The category of a rejection. Each has exactly one HTTP status."""

    BAD_REQUEST = "bad-request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    TOO_MANY_REQUESTS = "too-many-requests"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    NOT_IMPLEMENTED = "not-implemented"
    SERVICE_UNAVAILABLE = "service-unavailable"

    @property
    def api_name(self) -> str:
        """The value of `error_code` in the error body of the API, such as `NOT_FOUND`."""
        return self.name

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _STATUS[self]


_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.INTERNAL_SERVER_ERROR: 500,
    ErrorCode.NOT_IMPLEMENTED: 501,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as the caller sent it. The fields serve the decision; they do not select the record, `Storage` does.

    `learning_id` is percent-decoded once. Invalid bytes of an id that is not UTF-8 are replaced by U+FFFD. An empty
    `db_id` or `table` counts as none.
    """

    learning_id: str
    db_id: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. The zero value of every field is the strict one."""

    credential: Credential
    subject: str | None
    """The user: the verified `sub` of a token, or `sa:<name>` of a service account. None or empty for no user."""
    scopes: Sequence[str] = ()
    """A list or a tuple."""
    scopes_optional: bool = False
    """Whether the holder of a token needs no scope."""
    all_owners: bool = False
    """Whether the holder of a token can delete the records of all owners."""
    admin_scope: str = "agent_os:admin"
    """The scope that makes a caller an administrator."""


@dataclass(frozen=True, slots=True)
class Target:
    """The location of the record, which does not have to exist."""

    database: str
    table: str


@dataclass(frozen=True, slots=True)
class Learning:
    """A record."""

    learning_type: str
    content: str
    """JSON text."""
    created_at: int
    """Seconds since 1970."""
    revision: str
    """Identifies this state of the record: a change to any column changes it. At most 256 bytes."""
    namespace: str | None = None
    user_id: str | None = None
    """The owner."""
    agent_id: str | None = None
    team_id: str | None = None
    workflow_id: str | None = None
    session_id: str | None = None
    entity_id: str | None = None
    entity_type: str | None = None
    metadata: str | None = None
    """JSON text."""
    updated_at: int | None = None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejection. `status`, `code` and `detail` are for the caller; `rule` is only for log and audit."""

    status: int
    code: ErrorCode
    detail: str
    rule: str


class IdentityError(Exception):
    """No caller. `credential` is what the request has, or what the deployment requires. `message` is for the log."""

    def __init__(self, kind: IdentityErrorKind, credential: Credential, message: str = "") -> None:
        super().__init__(kind, credential, message)
        self.kind = kind
        self.credential = credential
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else str(self.kind)


class StorageError(Exception):
    """No result. Unless `kind` is `OUTCOME_UNKNOWN`, nothing was deleted. `message` is for the log, without secrets."""

    def __init__(self, kind: StorageErrorKind, message: str = "") -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else str(self.kind)


class Identity(Protocol):
    """The caller of one request."""

    def current(self) -> Caller:
        """Returns the caller. Raises `IdentityError`. It is called once for each decision, before the policy runs."""


class Storage(Protocol):
    """The one record that a request names. Every method can raise `StorageError`.

    `wit/EMBEDDING.md` lists what an implementation must guarantee, and `delete_learning.testkit` tests yours.
    """

    def locate(self) -> Target:
        """Returns the database and the table of the request, without reading any record."""

    def find(self) -> Learning | None:
        """Returns the record, or `None` if it does not exist."""

    def delete(self) -> Outcome:
        """Deletes the record regardless of its owner: `DELETED` or `ABSENT`."""

    def delete_if_owned_by(self, user_id: str, /) -> Outcome:
        """Deletes the record if `user_id` owns it, in one atomic step. Owners are compared byte by byte."""

    def delete_if_unchanged(self, revision: str, /) -> Outcome:
        """Deletes the record if its revision is still `revision`, in one atomic step: `DELETED`, `ABSENT` or
        `CHANGED`."""


class AsyncIdentity(Protocol):
    """`Identity` for `Policy.decide_async`: the method can be `async def`."""

    def current(self) -> Caller | Awaitable[Caller]:
        """See `Identity`. A plain function is called on the event loop, so it must not block."""


class AsyncStorage(Protocol):
    """`Storage` for `Policy.decide_async`: each method can be `async def`. A plain function is called on a thread."""

    def locate(self) -> Target | Awaitable[Target]:
        """See `Storage`."""

    def find(self) -> Learning | Awaitable[Learning | None] | None:
        """See `Storage`."""

    def delete(self) -> Outcome | Awaitable[Outcome]:
        """See `Storage`."""

    def delete_if_owned_by(self, user_id: str, /) -> Outcome | Awaitable[Outcome]:
        """See `Storage`."""

    def delete_if_unchanged(self, revision: str, /) -> Outcome | Awaitable[Outcome]:
        """See `Storage`."""
