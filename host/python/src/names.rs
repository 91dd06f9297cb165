//! The names of cases in the contract (`wit/`), as the enums of the Python package have them.

use delete_learning::{Credential, ErrorCode, IdentityErrorKind, Outcome, StorageErrorKind};
use pyo3::PyResult;
use pyo3::exceptions::PyValueError;

/// An enum of the contract.
pub(crate) trait FromContractName: Sized {
    /// The case with this name.
    fn from_name(name: &str) -> PyResult<Self>;
}

macro_rules! named {
    ($($type:ident { $($name:literal => $case:ident),+ $(,)? })+) => {$(
        impl FromContractName for $type {
            fn from_name(name: &str) -> PyResult<Self> {
                match name {
                    $($name => Ok(Self::$case),)+
                    _ => Err(PyValueError::new_err(format!(concat!("{:?} is no ", stringify!($type)), name))),
                }
            }
        }
    )+};
}

named! {
    Credential {
        "jwt" => Jwt,
        "service-account" => ServiceAccount,
        "security-key" => SecurityKey,
        "none" => None,
    }
    IdentityErrorKind {
        "missing" => Missing,
        "malformed" => Malformed,
        "invalid" => Invalid,
        "expired" => Expired,
        "wrong-audience" => WrongAudience,
        "reserved-subject" => ReservedSubject,
        "not-enabled" => NotEnabled,
        "rate-limited" => RateLimited,
        "unavailable" => Unavailable,
        "internal" => Internal,
    }
    Outcome {
        "absent" => Absent,
        "unowned" => Unowned,
        "owned-by-another" => OwnedByAnother,
        "changed" => Changed,
        "deleted" => Deleted,
    }
    StorageErrorKind {
        "invalid-learning-id" => InvalidLearningId,
        "repeated-parameter" => RepeatedParameter,
        "database-required" => DatabaseRequired,
        "unknown-database" => UnknownDatabase,
        "unknown-table" => UnknownTable,
        "unsupported" => Unsupported,
        "denied" => Denied,
        "unavailable" => Unavailable,
        "outcome-unknown" => OutcomeUnknown,
        "internal" => Internal,
    }
}

/// The name of an error code in the contract.
pub(crate) const fn error_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadRequest => "bad-request",
        ErrorCode::Unauthenticated => "unauthenticated",
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::NotFound => "not-found",
        ErrorCode::Conflict => "conflict",
        ErrorCode::TooManyRequests => "too-many-requests",
        ErrorCode::InternalServerError => "internal-server-error",
        ErrorCode::NotImplemented => "not-implemented",
        ErrorCode::ServiceUnavailable => "service-unavailable",
    }
}
