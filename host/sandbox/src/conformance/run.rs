//! Runs one case on a policy, with records in memory.

use super::case::{Answer, Case, DEFAULT_NOW, Expectation, Identity, Observation};
use super::storage::CaseStorage;
use crate::host_state::{HostCall, Overrides};
use crate::storage::Condition;
use crate::{Decision, Policy, PolicyError, wasi};
use std::sync::Arc;
use std::time::Duration;

/// The result of a case.
#[derive(Debug)]
pub struct CaseResult {
    /// What the policy did.
    pub observation: Observation,
    /// The decision, with the calls of the policy and of its guards.
    pub decision: Decision,
    /// Whether storage returned an injected fault to the policy or to a guard.
    pub fault_returned: bool,
}

impl CaseResult {
    /// Whether the policy did what is expected, its calls included.
    #[must_use]
    pub fn meets(&self, expected: &Expectation) -> bool {
        self.meets_except_calls(expected)
            && expected.calls.as_ref().is_none_or(|calls| *calls == self.observation.calls)
    }

    /// Whether answer and remaining records are those that are expected.
    #[must_use]
    pub fn meets_except_calls(&self, expected: &Expectation) -> bool {
        self.observation.answer == expected.answer && self.observation.left == expected.left
    }

    /// Whether the policy or a guard violated the contract or a limit.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        self.decision.error.is_some()
    }

    /// Whether the policy or a guard exceeded a limit of time, which can be due to a busy machine.
    #[must_use]
    pub fn exceeded_time(&self) -> bool {
        self.decision.error.as_ref().is_some_and(PolicyError::is_time_limit)
    }
}

/// Runs a case on a policy, in a fresh instance. Cases take no permit from requests, and wait for each other.
pub async fn run(policy: &Policy, case: &Case) -> CaseResult {
    let storage = Arc::new(CaseStorage::new(case));
    let caller = match case.identity.clone() {
        Identity::Caller(caller) => Ok(caller),
        Identity::Error(error) => Err(error),
    };
    let now = Duration::from_secs(case.now.unwrap_or(DEFAULT_NOW));
    let overrides = Overrides { settings: case.settings.as_ref().map(wasi::variables), now: Some(now) };
    let record = Arc::<CaseStorage>::clone(&storage);
    let decision = policy.decide_with(case.request.clone(), caller, record, &overrides).await;
    let answer = match (&decision.answer, &decision.error) {
        (_, Some(error)) => Answer::Word(format!("failed: {error}")),
        (Ok(()), None) => Answer::deleted(),
        (Err(rejection), None) => Answer::Rejection(rejection.clone()),
    };
    let calls = decision.calls.iter().map(call_name).collect();
    let observation = Observation { calls, answer, left: storage.left() };
    CaseResult { observation, decision, fault_returned: storage.fault_returned() }
}

/// A call as the case files write it.
#[must_use]
pub fn call_name(call: &HostCall) -> String {
    match call {
        HostCall::Current => "identity.current".to_owned(),
        HostCall::Locate(_) => "storage.locate".to_owned(),
        HostCall::Find(_) => "storage.find".to_owned(),
        HostCall::Delete { condition: Condition::Any, .. } => "storage.delete".to_owned(),
        HostCall::Delete { condition: Condition::OwnedBy(user), .. } => format!("storage.delete-if-owned-by {user}"),
        HostCall::Delete { condition: Condition::Unchanged(revision), .. } => {
            format!("storage.delete-if-unchanged {revision}")
        }
    }
}
