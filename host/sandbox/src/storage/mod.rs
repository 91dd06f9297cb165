//! Storage of learnings: the traits that an embedder implements, resolution of a request to one record, and a store in
//! memory.

mod databases;
mod intent;
mod memory;

pub use databases::{Database, Databases, UnresolvedRecord};
pub use intent::{DeletedRecord, Deletion, Intent, wait_for_intents};
pub use memory::MemoryStore;

use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, Target};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The condition under which a record is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No condition.
    Any,
    /// This user owns the record. Owners compare byte for byte.
    OwnedBy(String),
    /// The record is in the state for which `find` returned this revision.
    Unchanged(String),
}

impl Condition {
    /// The function of the contract's `storage` that deletes with this condition.
    #[must_use]
    pub const fn function(&self) -> &'static str {
        match self {
            Self::Any => "delete",
            Self::OwnedBy(_) => "delete-if-owned-by",
            Self::Unchanged(_) => "delete-if-unchanged",
        }
    }
}

/// The one record that a request names: the interface `storage` of the contract (`wit/storage.wit`).
pub trait RecordStorage: Send + Sync + 'static {
    /// Returns the database and table of the record without reading it.
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>>;

    /// Returns the record, or `None` if it does not exist.
    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>>;

    /// Deletes the record if the condition holds. Testing and deleting must be one atomic step, and
    /// [`Outcome::Deleted`] must be returned only once the deletion is durable.
    ///
    /// Otherwise it returns [`Outcome::Absent`]; for [`Condition::OwnedBy`] also `Unowned` or `OwnedByAnother`; for
    /// [`Condition::Unchanged`] also `Changed`. The future is dropped after `execution_timeout_ms`; then the outcome is
    /// reported as unknown.
    ///
    /// # Errors
    /// An error other than `StorageErrorKind::OutcomeUnknown` must mean that nothing was deleted.
    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>>;

    /// Like [`RecordStorage::delete`], for a platform that records deletions: nothing is deleted before the intent is on disk,
    /// and the result has what the platform records of the record.
    ///
    /// The default waits for the intent, and returns nothing of the record. A storage that executes deletes together waits
    /// for the intents of all of them at once.
    ///
    /// # Errors
    /// As [`RecordStorage::delete`], and the error of the intent.
    fn delete_with_intent(
        &self,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        Box::pin(async {
            wait_for_intents(vec![intent]).await?;
            self.delete(condition).await.map(Deletion::from)
        })
    }

    /// Permits for concurrent requests to the store of this record; `None` for no limit.
    ///
    /// A request acquires one before it acquires a sandbox instance, so that a database which does not respond cannot
    /// occupy all instances.
    fn permits(&self) -> Option<&Semaphore> {
        None
    }
}

/// A table of learnings: [`RecordStorage`] for any record of it.
pub trait LearningStore: Send + Sync + 'static {
    /// See [`RecordStorage::find`].
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>>;

    /// See [`RecordStorage::delete`].
    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>>;

    /// See [`RecordStorage::delete_with_intent`].
    fn delete_with_intent(
        &self,
        id: String,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        Box::pin(async {
            wait_for_intents(vec![intent]).await?;
            self.delete(id, condition).await.map(Deletion::from)
        })
    }

    /// Checks that deletes can be served now. The error kind `unknown-table` means that the table does not exist.
    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>>;

    /// See [`RecordStorage::permits`].
    fn permits(&self) -> Option<&Semaphore> {
        None
    }
}
