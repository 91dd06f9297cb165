//! A table of learnings in memory, for tests of policies and embedders.

use super::{Condition, LearningStore};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Learnings by id, in memory.
#[derive(Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Learning>>);

impl MemoryStore {
    /// Stores a record and replaces any with the same id.
    pub fn insert(&self, id: impl Into<String>, learning: Learning) {
        self.lock().insert(id.into(), learning);
    }

    /// The ids of the stored records, sorted.
    pub fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A panic cannot leave the map inconsistent, because every change is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Learning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tests and deletes under one lock, so that it is one atomic step.
    fn delete_if(&self, id: &str, condition: &Condition) -> Outcome {
        let mut learnings = self.lock();
        let Some(learning) = learnings.get(id) else { return Outcome::Absent };
        match (condition, learning.user_id.as_deref()) {
            (Condition::OwnedBy(_), None) => return Outcome::Unowned,
            (Condition::OwnedBy(user), Some(owner)) if owner != user => return Outcome::OwnedByAnother,
            (Condition::Unchanged(revision), _) if *revision != learning.revision => return Outcome::Changed,
            _ => {}
        }
        learnings.remove(id);
        Outcome::Deleted
    }
}

impl LearningStore for MemoryStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(ready(Ok(self.lock().get(&id).cloned())))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(ready(Ok(self.delete_if(&id, &condition))))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(ready(Ok(())))
    }
}
