//! The storage that a case describes: records in memory, and injected faults.

use super::case::{Case, InjectedResult, Storage};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, Target};
use crate::storage::{Condition, LearningStore, MemoryStore, RecordStorage};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct CaseStorage {
    learning_id: String,
    records: MemoryStore,
    case: Storage,
    fault_returned: AtomicBool,
}

impl CaseStorage {
    pub(super) fn new(case: &Case) -> Self {
        let records = MemoryStore::default();
        for (id, learning) in case.records() {
            records.insert(id, learning.clone());
        }
        Self {
            learning_id: case.request.learning_id.clone(),
            records,
            case: case.storage.clone(),
            fault_returned: AtomicBool::new(false),
        }
    }

    /// The ids of the records that are left, sorted.
    pub(super) fn left(&self) -> Vec<String> {
        self.records.ids()
    }

    /// Whether a function returned an injected fault.
    pub(super) fn fault_returned(&self) -> bool {
        self.fault_returned.load(Ordering::Relaxed)
    }

    fn fault(&self, function: &str) -> Option<&InjectedResult> {
        let fault = self.case.fault(function)?;
        self.fault_returned.store(true, Ordering::Relaxed);
        Some(fault)
    }
}

impl RecordStorage for CaseStorage {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async {
            match self.fault("locate") {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                _ => Ok(Target { database: "main".to_owned(), table: "agno_learnings".to_owned() }),
            }
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            match self.fault("find") {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                _ => self.records.find(self.learning_id.clone()).await,
            }
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move {
            match self.fault(condition.function()) {
                Some(InjectedResult::Error(error)) => Err(error.clone()),
                Some(InjectedResult::Outcome(outcome)) => Ok(*outcome),
                None => self.records.delete(self.learning_id.clone(), condition).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::parse;
    use crate::contract::StorageErrorKind;

    #[tokio::test]
    async fn fault_replaces_the_result_of_its_function_alone() {
        for function in ["locate", "find", "delete", "delete-if-owned-by", "delete-if-unchanged"] {
            let file = serde_json::json!({
                "about": "A fault of one function.",
                "cases": [{
                    "name": "fault",
                    "why": "The database is away.",
                    "request": { "learning-id": "1", "db-id": null, "table": null },
                    "identity": { "error": { "kind": "missing", "credential": "none", "message": "" } },
                    "storage": {
                        "records": {},
                        "faults": { function: { "error": { "kind": "unavailable", "message": "away" } } },
                    },
                    "expect": { "answer": "deleted", "left": [] },
                }],
            });
            let cases = parse(&file.to_string()).expect("a valid file");
            let storage = CaseStorage::new(&cases[0]);
            let conditions = [Condition::Any, Condition::OwnedBy(String::new()), Condition::Unchanged(String::new())];
            let mut failed = Vec::new();
            let mut record = |name, error: Option<StorageError>| {
                if error.is_some_and(|error| error.kind == StorageErrorKind::Unavailable) {
                    failed.push(name);
                }
            };
            record("locate", storage.locate().await.err());
            record("find", storage.find().await.err());
            for condition in conditions {
                record(condition.function(), storage.delete(condition).await.err());
            }
            assert_eq!(failed, [function]);
            assert!(storage.fault_returned());
        }
    }
}
