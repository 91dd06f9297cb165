//! A case as the files have it.

use crate::contract::{Credential, ErrorCode, IdentityErrorKind, Outcome, Rejection, StorageErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A case: what the host shows to a policy, and what the policy must do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unique over all files.
    pub name: String,
    /// The rule that it stands for, or the reason.
    pub why: String,
    pub(super) request: Request,
    pub(super) identity: Identity,
    pub(super) storage: Storage,
    /// What must come of it.
    pub expect: Expected,
}

/// What must come of a case, or what came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The calls that the policy makes, in order.
    pub calls: Vec<String>,
    /// What it answers.
    pub answer: Answer,
    /// The ids of the records that are left, sorted.
    pub left: Vec<String>,
}

/// What a policy answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// `"deleted"`; or in what was observed, the word for a policy that failed.
    Word(String),
    /// A rejection.
    Rejection {
        /// The HTTP status.
        status: u16,
        /// The error code, by the contract's name.
        code: String,
        /// What the caller is told.
        detail: String,
        /// The rule that decided.
        rule: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Request {
    pub(super) learning_id: String,
    pub(super) db_id: Option<String>,
    pub(super) table: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Identity {
    Caller(Caller),
    Error(IdentityError),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Caller {
    #[serde(deserialize_with = "named")]
    pub(super) credential: Credential,
    pub(super) subject: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) enforce_scopes: bool,
    pub(super) user_isolation: bool,
    pub(super) admin_scope: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityError {
    #[serde(deserialize_with = "named")]
    pub(super) kind: IdentityErrorKind,
    #[serde(deserialize_with = "named")]
    pub(super) credential: Credential,
    pub(super) message: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Storage {
    /// Ids and owners.
    pub(super) records: BTreeMap<String, Option<String>>,
    /// What functions answer instead of doing their work.
    #[serde(default)]
    pub(super) faults: BTreeMap<String, Fault>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    Error(StorageError),
    #[serde(deserialize_with = "named")]
    Outcome(Outcome),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageError {
    #[serde(deserialize_with = "named")]
    pub(super) kind: StorageErrorKind,
    pub(super) message: String,
}

/// An enum of the contract, whose cases have names there.
pub(super) trait Named: Sized + Copy + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

macro_rules! names {
    ($type:ident: $($name:literal = $case:ident),+ $(,)?) => {
        impl Named for $type {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, $type::$case)),+];
        }
    };
}

names!(Credential: "none" = None, "security-key" = SecurityKey, "jwt" = Jwt, "service-account" = ServiceAccount);
names!(IdentityErrorKind:
    "missing" = Missing, "malformed" = Malformed, "invalid" = Invalid, "expired" = Expired,
    "wrong-audience" = WrongAudience, "reserved-subject" = ReservedSubject, "not-enabled" = NotEnabled,
    "rate-limited" = RateLimited, "unavailable" = Unavailable, "internal" = Internal);
names!(StorageErrorKind:
    "invalid-learning-id" = InvalidLearningId, "repeated-parameter" = RepeatedParameter,
    "database-required" = DatabaseRequired, "unknown-database" = UnknownDatabase, "unknown-table" = UnknownTable,
    "unsupported" = Unsupported, "unavailable" = Unavailable, "outcome-unknown" = OutcomeUnknown,
    "internal" = Internal);
names!(Outcome:
    "deleted" = Deleted, "absent" = Absent, "unowned" = Unowned, "owned-by-another" = OwnedByAnother,
    "changed" = Changed);
names!(ErrorCode:
    "bad-request" = BadRequest, "unauthenticated" = Unauthenticated, "forbidden" = Forbidden,
    "not-found" = NotFound, "conflict" = Conflict, "too-many-requests" = TooManyRequests,
    "internal-server-error" = InternalServerError, "not-implemented" = NotImplemented,
    "service-unavailable" = ServiceUnavailable);

fn named<'de, D: serde::Deserializer<'de>, T: Named>(deserializer: D) -> Result<T, D::Error> {
    let name = String::deserialize(deserializer)?;
    let case = T::NAMES.iter().find(|(held, _)| *held == name);
    case.map(|(_, case)| *case).ok_or_else(|| serde::de::Error::custom(format!("the contract has no {name:?} here")))
}

impl Answer {
    pub(super) fn rejection(rejection: Rejection) -> Self {
        let name = ErrorCode::NAMES.iter().find(|(_, code)| *code == rejection.code);
        let code = name.map_or("", |(name, _)| name).to_owned();
        Self::Rejection { status: rejection.status, code, detail: rejection.detail, rule: rejection.rule }
    }
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
        /// The files, sorted by their names; a test holds the list against the folder.
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../tests/conformance/cases/", $name, ".json")))),+];
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

/// Every case that is compiled in, in the order of the files.
///
/// # Errors
/// Where a file does not have the format; a test keeps that from being shipped.
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
    fn every_file_of_the_folder_is_compiled_in_and_every_name_is_one_cases() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/cases");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let compiled: BTreeSet<String> = FILES.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), compiled);
        let cases = cases().unwrap();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
    }
}
