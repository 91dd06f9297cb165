//! A table of learnings in memory, for tests of policies and embedders.

use super::{Condition, DeletedRecord, Deletion, Intent, LearningStore, wait_for_intents};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Learnings by id, in memory.
#[derive(Default)]
pub struct MemoryStore {
    records: Mutex<BTreeMap<String, Learning>>,
    revisions: AtomicU64,
}

impl MemoryStore {
    /// Stores a record and replaces any with the same id. An empty revision is replaced by a new one.
    pub fn insert(&self, id: impl Into<String>, mut learning: Learning) {
        if learning.revision.is_empty() {
            learning.revision = self.next_revision();
        }
        self.lock().insert(id.into(), learning);
    }

    /// Makes `to` the owner of a record if `from` owns it. Returns whether it did.
    pub fn change_owner(&self, id: &str, from: &str, to: &str) -> bool {
        let mut records = self.lock();
        let owned = records.get_mut(id).filter(|learning| learning.user_id.as_deref() == Some(from));
        let Some(learning) = owned else { return false };
        learning.user_id = Some(to.to_owned());
        learning.revision = self.next_revision();
        true
    }

    /// Revisions of the store begin with a letter, so that they differ from those of records in tests.
    fn next_revision(&self) -> String {
        format!("r{}", self.revisions.fetch_add(1, Ordering::Relaxed))
    }

    /// The ids of the stored records, sorted.
    pub fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A panic cannot leave the map inconsistent, because every change is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Learning>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tests and deletes under one lock, so that it is one atomic step.
    fn delete_if(&self, id: &str, condition: &Condition) -> Deletion {
        let mut learnings = self.lock();
        let Some(learning) = learnings.get(id) else { return Outcome::Absent.into() };
        match (condition, learning.user_id.as_deref()) {
            (Condition::OwnedBy(_), None) => return Outcome::Unowned.into(),
            (Condition::OwnedBy(user), Some(owner)) if owner != user => return Outcome::OwnedByAnother.into(),
            (Condition::Unchanged(revision), _) if *revision != learning.revision => return Outcome::Changed.into(),
            _ => {}
        }
        let deleted = learnings.remove(id);
        let record = deleted
            .map(|learning| DeletedRecord { owner: learning.user_id, learning_type: Some(learning.learning_type) });
        Deletion { outcome: Outcome::Deleted, record }
    }
}

impl LearningStore for MemoryStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(ready(Ok(self.lock().get(&id).cloned())))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(ready(Ok(self.delete_if(&id, &condition).outcome)))
    }

    fn delete_with_intent(
        &self,
        id: String,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        Box::pin(async move {
            wait_for_intents(vec![intent]).await?;
            Ok(self.delete_if(&id, &condition))
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Learning, MemoryStore, Outcome};

    fn store() -> MemoryStore {
        let store = MemoryStore::default();
        store.insert("owned", Learning::owned_by(Some("alice")));
        store.insert("unowned", Learning::owned_by(None));
        store
    }

    #[test]
    fn record_is_deleted_only_if_the_condition_holds() {
        let owned_by = |user: &str| Condition::OwnedBy(user.to_owned());
        let unchanged = |revision: &str| Condition::Unchanged(revision.to_owned());
        for (id, condition, expected) in [
            ("owned", Condition::Any, Outcome::Deleted),
            ("owned", owned_by("alice"), Outcome::Deleted),
            ("owned", owned_by("bob"), Outcome::OwnedByAnother),
            ("owned", unchanged("1"), Outcome::Deleted),
            ("owned", unchanged("2"), Outcome::Changed),
            ("unowned", Condition::Any, Outcome::Deleted),
            ("unowned", owned_by("alice"), Outcome::Unowned),
            ("absent", Condition::Any, Outcome::Absent),
            ("absent", owned_by("alice"), Outcome::Absent),
            ("absent", unchanged("1"), Outcome::Absent),
        ] {
            let store = store();
            assert_eq!(store.delete_if(id, &condition).outcome, expected, "{id}, {condition:?}");
            assert_eq!(store.ids().contains(&id.to_owned()), id != "absent" && expected != Outcome::Deleted, "{id}");
        }
    }
}
