"""The errors of this package."""

from enum import StrEnum


class FailureKind(StrEnum):
    """Why there is no valid decision."""

    TRAP = "trap"
    """The policy or a guard trapped or exited."""
    EXECUTION_TIMEOUT = "execution-timeout"
    """`Limits.execution_timeout_ms` passed, calls to `storage` included."""
    CPU_TIME_LIMIT = "cpu-time-limit"
    """The policy or a guard exceeded `Limits.cpu_time_limit_ms`."""
    LIMIT = "limit"
    """The policy or a guard exceeded another limit: memory, calls or bytes."""
    SANDBOX = "sandbox"
    """The sandbox stopped the policy or a guard for another reason, such as a value that the contract does not have."""
    MISREPORT = "misreport"
    """The policy reported something other than what happened to the record, or its rejection is invalid."""
    GUARD_VIOLATION = "guard-violation"
    """A guard violated a rule of guards (`wit/world.wit`)."""
    IDENTITY = "identity"
    """`identity` of the host returned an invalid value, or raised an exception other than `IdentityError`."""
    STORAGE = "storage"
    """`storage` of the host returned an invalid value, or raised an exception other than `StorageError`."""


class PolicyFailure(Exception):
    """There is no valid decision: answer 500. The message and the cause are for the log, never for the caller."""

    def __init__(self, kind: FailureKind, message: str, *, deleted: bool | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.deleted = deleted
        """Whether the record was deleted; `None` if that is unknown. The audit event must state this."""


class LoadError(ValueError):
    """A policy or a guard cannot be loaded: the message names it and the reason."""
