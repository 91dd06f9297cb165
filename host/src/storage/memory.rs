//! A table of learnings in memory, for tests of policies and hosts and for a first try at embedding.

use super::{Condition, Table};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Learnings by their ids. Nothing is durable.
#[derive(Default)]
pub struct MemoryTable(Mutex<BTreeMap<String, Learning>>);

impl MemoryTable {
    /// Stores a record, in place of any that has the id.
    pub fn insert(&self, id: impl Into<String>, learning: Learning) {
        self.lock().insert(id.into(), learning);
    }

    /// The ids of the records that are there.
    pub fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A panic elsewhere leaves the map whole: every change to it is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Learning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tests and deletes under one lock, which makes it one step.
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

impl Table for MemoryTable {
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
