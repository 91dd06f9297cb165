//! Runs one case on a policy, with records in memory.

use super::case::{Answer, Case, Identity, InjectedResult, Observation};
use crate::contract::{Learning, Outcome, StorageError, Target};
use crate::host_state::{HostCall, Overrides};
use crate::storage::{Condition, LearningStore, MemoryStore, RecordStorage};
use crate::{BoxFuture, Policy, PolicyError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// What the policy did.
    pub observation: Observation,
    /// Whether that is what the case expects.
    pub passed: bool,
    /// Whether the policy violated the contract or a limit.
    pub is_violation: bool,
    /// Whether it exceeded a limit of time, which can be due to a busy machine.
    pub exceeded_time: bool,
}

/// Runs a case on a policy, in a fresh instance. Cases take no permit from requests, and wait for each other.
pub async fn run(policy: &Policy, case: &Case) -> CaseResult {
    let storage = Arc::new(CaseStorage::new(case));
    let caller = match case.identity.clone() {
        Identity::Caller(caller) => Ok(caller),
        Identity::Error(error) => Err(error),
    };
    let for_policy = Arc::<CaseStorage>::clone(&storage);
    let decision = policy.decide_with(case.request.clone(), caller, for_policy, &Overrides::default()).await;
    let is_violation = decision.error.is_some();
    let exceeded_time = decision.error.as_ref().is_some_and(PolicyError::is_time_limit);
    let answer = match (decision.answer, decision.error) {
        (_, Some(error)) => Answer::Word(format!("failed: {error}")),
        (Ok(()), None) => Answer::Word("deleted".to_owned()),
        (Err(rejection), None) => Answer::Rejection(rejection),
    };
    let calls = decision.calls.iter().map(call_name).collect();
    let observation = Observation { calls, answer, left: storage.records.ids() };
    CaseResult { passed: observation == case.expect, observation, is_violation, exceeded_time }
}

/// A call as the case files write it.
fn call_name(call: &HostCall) -> String {
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

/// The storage that a case describes.
struct CaseStorage {
    learning_id: String,
    records: MemoryStore,
    faults: BTreeMap<String, InjectedResult>,
}

impl CaseStorage {
    fn new(case: &Case) -> Self {
        let records = MemoryStore::default();
        for (id, owner) in &case.storage.records {
            records.insert(id.clone(), Learning::owned_by(owner.as_deref()));
        }
        Self { learning_id: case.request.learning_id.clone(), records, faults: case.storage.faults.clone() }
    }
}

impl RecordStorage for CaseStorage {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async {
            match self.faults.get("locate") {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                _ => Ok(Target { database: "main".to_owned(), table: "agno_learnings".to_owned() }),
            }
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            match self.faults.get("find") {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                _ => self.records.find(self.learning_id.clone()).await,
            }
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        let function = match &condition {
            Condition::Any => "delete",
            Condition::OwnedBy(_) => "delete-if-owned-by",
            Condition::Unchanged(_) => "delete-if-unchanged",
        };
        Box::pin(async move {
            match self.faults.get(function) {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                Some(InjectedResult::Outcome(outcome)) => Ok(*outcome),
                None => self.records.delete(self.learning_id.clone(), condition).await,
            }
        })
    }
}
