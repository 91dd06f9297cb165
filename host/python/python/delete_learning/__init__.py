"""Decides on the deletion of learnings: a policy, which is a WebAssembly component, in a sandbox.

    policy = Policy()
    rejection = policy.decide(Request("user_profile_ada"), identity, storage)

You implement `identity` and `storage`, whose protocols are `Identity` and `Storage`.
"""

from ._contract import (
    AsyncIdentity,
    AsyncStorage,
    Caller,
    Credential,
    ErrorCode,
    Identity,
    IdentityError,
    IdentityErrorKind,
    Learning,
    Outcome,
    Rejection,
    Request,
    Storage,
    StorageError,
    StorageErrorKind,
    Target,
)
from ._errors import FailureKind, LoadError, PolicyFailure
from ._limits import Limits
from ._policy import Guard, Policy

__all__ = [
    "AsyncIdentity",
    "AsyncStorage",
    "Caller",
    "Credential",
    "ErrorCode",
    "FailureKind",
    "Guard",
    "Identity",
    "IdentityError",
    "IdentityErrorKind",
    "Learning",
    "Limits",
    "LoadError",
    "Outcome",
    "Policy",
    "PolicyFailure",
    "Rejection",
    "Request",
    "Storage",
    "StorageError",
    "StorageErrorKind",
    "Target",
]
