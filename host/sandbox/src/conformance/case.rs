//! The format of the case files (`tests/conformance/README.md`).

use crate::contract::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Outcome, Rejection, StorageError,
    StorageErrorKind,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A case: the inputs of a policy and what it must do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unique over all files.
    pub name: String,
    /// The rule that it tests, or the reason for it.
    pub why: String,
    #[serde(with = "DeleteRequestFormat")]
    pub(super) request: DeleteRequest,
    pub(super) identity: Identity,
    pub(super) storage: Storage,
    /// What the policy must do.
    pub expect: Observation,
}

/// What a policy did, or must do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The calls of the policy to the host, in order.
    pub calls: Vec<String>,
    /// Its answer.
    pub answer: Answer,
    /// The ids of the records that are left, sorted.
    pub left: Vec<String>,
}

/// The answer of a policy.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// `"deleted"`; in a result also `"failed: …"` with the violation of the policy.
    Word(String),
    /// A rejection.
    #[serde(with = "RejectionFormat")]
    Rejection(Rejection),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Identity {
    #[serde(with = "CallerFormat")]
    Caller(Caller),
    #[serde(with = "IdentityErrorFormat")]
    Error(IdentityError),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Storage {
    /// Owners by id.
    pub(super) records: BTreeMap<String, Option<String>>,
    /// Functions that return this instead of their result.
    #[serde(default)]
    pub(super) faults: BTreeMap<String, InjectedResult>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum InjectedResult {
    #[serde(with = "StorageErrorFormat")]
    Error(StorageError),
    #[serde(with = "OutcomeFormat")]
    Outcome(Outcome),
}

// The JSON forms of the contract's types, which the bindings generate without serde. The compiler holds both against
// each other.

#[derive(Deserialize)]
#[serde(remote = "DeleteRequest", deny_unknown_fields, rename_all = "kebab-case")]
struct DeleteRequestFormat {
    learning_id: String,
    db_id: Option<String>,
    table: Option<String>,
}

#[derive(Deserialize)]
#[serde(remote = "Caller", deny_unknown_fields, rename_all = "kebab-case")]
struct CallerFormat {
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
struct IdentityErrorFormat {
    #[serde(with = "IdentityErrorKindFormat")]
    kind: IdentityErrorKind,
    #[serde(with = "CredentialFormat")]
    credential: Credential,
    message: String,
}

#[derive(Deserialize)]
#[serde(remote = "StorageError", deny_unknown_fields)]
struct StorageErrorFormat {
    #[serde(with = "StorageErrorKindFormat")]
    kind: StorageErrorKind,
    message: String,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Rejection", deny_unknown_fields)]
struct RejectionFormat {
    status: u16,
    #[serde(with = "ErrorCodeFormat")]
    code: ErrorCode,
    detail: String,
    rule: String,
}

#[derive(Deserialize)]
#[serde(remote = "Credential", rename_all = "kebab-case")]
enum CredentialFormat {
    Jwt,
    ServiceAccount,
    SecurityKey,
    None,
}

#[derive(Deserialize)]
#[serde(remote = "IdentityErrorKind", rename_all = "kebab-case")]
enum IdentityErrorKindFormat {
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
enum StorageErrorKindFormat {
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
enum OutcomeFormat {
    Absent,
    Unowned,
    OwnedByAnother,
    Changed,
    Deleted,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ErrorCode", rename_all = "kebab-case")]
enum ErrorCodeFormat {
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

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    cases: Vec<Case>,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// The files, sorted by name. A test compares the list with the directory.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../cases/", $name, ".json")))),+];
    };
}

files!(
    "confinement",
    "identity-errors",
    "ids-and-owners",
    "missing-subject",
    "outcomes",
    "scopes",
    "storage-errors",
    "target",
);

/// Returns every case, in the order of the files.
///
/// # Errors
/// A case file that does not have the format. A test prevents this.
pub fn cases() -> Result<Vec<Case>, serde_json::Error> {
    let mut cases = Vec::new();
    for (_, text) in FILES {
        cases.extend(serde_json::from_str::<File>(text)?.cases);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::{FILES, cases};
    use std::collections::BTreeSet;

    #[test]
    fn every_case_file_is_compiled_in_and_names_are_unique() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let compiled: BTreeSet<String> = FILES.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), compiled);
        let cases = cases().unwrap();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
    }
}
