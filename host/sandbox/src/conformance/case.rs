//! A case of the case files (`tests/conformance/README.md`).

use super::forms::{
    CallerFormat, DeleteRequestFormat, IdentityErrorFormat, OutcomeFormat, RejectionFormat, StorageErrorFormat,
};
use super::record::Record;
use crate::contract::{Caller, DeleteRequest, IdentityError, Learning, Outcome, Rejection, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The time that the wall clock shows in a case without `now`: noon UTC on Wednesday, 2026-01-07. A fixed time, so that the
/// result of a case never depends on when it is run.
pub(super) const DEFAULT_NOW: u64 = 1_767_787_200;

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
    /// The time that the wall clock shows, in seconds since 1970.
    #[serde(default)]
    pub(super) now: Option<u64>,
    /// The settings of the component; `None` for the configured ones.
    #[serde(default)]
    pub(super) settings: Option<BTreeMap<String, String>>,
    /// What the policy must do.
    pub expect: Expectation,
}

impl Case {
    /// The request that the policy decides on.
    #[must_use]
    pub const fn request(&self) -> &DeleteRequest {
        &self.request
    }

    /// The result of `identity.current`.
    ///
    /// # Errors
    /// The error that the case gives instead of a caller.
    pub const fn caller(&self) -> Result<&Caller, &IdentityError> {
        match &self.identity {
            Identity::Caller(caller) => Ok(caller),
            Identity::Error(error) => Err(error),
        }
    }

    /// The initial records by id.
    pub fn records(&self) -> impl Iterator<Item = (&str, &Learning)> {
        self.storage.records.iter().map(|(id, Record(learning))| (id.as_str(), learning))
    }
}

/// What a policy must do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The calls of the policy to the host, in order; `None` if they do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<String>>,
    /// Its answer.
    pub answer: Answer,
    /// The ids of the records that are left, sorted.
    pub left: Vec<String>,
}

impl From<Observation> for Expectation {
    fn from(Observation { calls, answer, left }: Observation) -> Self {
        Self { calls: Some(calls), answer, left }
    }
}

/// What a policy did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[serde(untagged, expecting = "must be \"deleted\", or an object with status, code, detail and rule")]
pub enum Answer {
    /// `"deleted"`; in a result also `"failed: …"` with the violation of the policy.
    Word(String),
    /// A rejection.
    #[serde(with = "RejectionFormat")]
    Rejection(Rejection),
}

impl Answer {
    /// The answer that the record was deleted.
    #[must_use]
    pub fn deleted() -> Self {
        Self::Word("deleted".to_owned())
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
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
    /// Records by id.
    pub(super) records: BTreeMap<String, Record>,
    /// Functions that return this instead of their result; [`EVERY_FUNCTION`] stands for all others.
    #[serde(default)]
    pub(super) faults: BTreeMap<String, InjectedResult>,
}

/// The key of a fault that applies to every function of `storage` without a fault of its own.
pub(super) const EVERY_FUNCTION: &str = "*";

impl Storage {
    /// What a function returns instead of its result.
    pub(super) fn fault(&self, function: &str) -> Option<&InjectedResult> {
        self.faults.get(function).or_else(|| self.faults.get(EVERY_FUNCTION))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum InjectedResult {
    #[serde(with = "StorageErrorFormat")]
    Error(StorageError),
    #[serde(with = "OutcomeFormat")]
    Outcome(Outcome),
}
