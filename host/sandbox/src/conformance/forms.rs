//! The JSON forms of the contract's types, which the bindings generate without serde. The compiler checks that both have
//! the same fields.

use crate::contract::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Outcome, Rejection, StorageError,
    StorageErrorKind,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(remote = "DeleteRequest", deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DeleteRequestFormat {
    learning_id: String,
    db_id: Option<String>,
    table: Option<String>,
}

#[derive(Deserialize)]
#[serde(remote = "Caller", deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CallerFormat {
    #[serde(with = "CredentialFormat")]
    credential: Credential,
    subject: Option<String>,
    scopes: Vec<String>,
    scopes_optional: bool,
    all_owners: bool,
    admin_scope: String,
}

#[derive(Deserialize)]
#[serde(remote = "IdentityError", deny_unknown_fields)]
pub(super) struct IdentityErrorFormat {
    #[serde(with = "IdentityErrorKindFormat")]
    kind: IdentityErrorKind,
    #[serde(with = "CredentialFormat")]
    credential: Credential,
    message: String,
}

#[derive(Deserialize)]
#[serde(remote = "StorageError", deny_unknown_fields)]
pub(super) struct StorageErrorFormat {
    #[serde(with = "StorageErrorKindFormat")]
    kind: StorageErrorKind,
    message: String,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Rejection", deny_unknown_fields)]
pub(super) struct RejectionFormat {
    status: u16,
    #[serde(with = "ErrorCodeFormat")]
    code: ErrorCode,
    detail: String,
    rule: String,
}

#[derive(Deserialize)]
#[serde(remote = "Credential", rename_all = "kebab-case")]
pub(super) enum CredentialFormat {
    Jwt,
    ServiceAccount,
    SecurityKey,
    None,
}

#[derive(Deserialize)]
#[serde(remote = "IdentityErrorKind", rename_all = "kebab-case")]
pub(super) enum IdentityErrorKindFormat {
    Missing,
    Malformed,
    Invalid,
    Expired,
    WrongAudience,
    ReservedSubject,
    NotEnabled,
    RateLimited,
    Unavailable,
    Internal,
}

#[derive(Deserialize)]
#[serde(remote = "StorageErrorKind", rename_all = "kebab-case")]
pub(super) enum StorageErrorKindFormat {
    InvalidLearningId,
    RepeatedParameter,
    DatabaseRequired,
    UnknownDatabase,
    UnknownTable,
    Unsupported,
    Unavailable,
    Denied,
    OutcomeUnknown,
    Internal,
}

#[derive(Deserialize)]
#[serde(remote = "Outcome", rename_all = "kebab-case")]
pub(super) enum OutcomeFormat {
    Absent,
    Unowned,
    OwnedByAnother,
    Changed,
    Deleted,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ErrorCode", rename_all = "kebab-case")]
pub(super) enum ErrorCodeFormat {
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    TooManyRequests,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
}
