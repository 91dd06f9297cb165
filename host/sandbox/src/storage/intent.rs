//! Deletions that a platform records before and after they are executed.

use crate::contract::{Outcome, StorageError, StorageErrorKind};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The record of a platform that a deletion is about to be executed, such as an entry of an audit log.
pub trait Intent: Send + Sync + 'static {
    /// Waits until the intent is on disk. Blocks the thread, so it must not be called on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// If the intent cannot be written. Then nothing must be deleted, and the deletion has this error.
    fn wait(&self) -> Result<(), StorageError>;

    /// Whether it is on disk, so that [`Intent::wait`] returns at once.
    fn is_on_disk(&self) -> bool;
}

/// The result of a delete with an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The outcome.
    pub outcome: Outcome,
    /// What the record had when it was deleted; `None` if it was not deleted, or if the storage does not return it.
    pub record: Option<DeletedRecord>,
}

/// What a platform records of a record that was deleted. It never contains the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedRecord {
    /// The owner; `None` if nobody owned it, or if the storage could not read it.
    pub owner: Option<String>,
    /// The type; `None` if the storage could not read it.
    pub learning_type: Option<String>,
}

impl From<Outcome> for Deletion {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, record: None }
    }
}

/// Waits until all of these intents are on disk, without blocking the thread.
///
/// # Errors
/// The first error of an intent. Then none of their deletes must be executed.
pub async fn wait_for_intents(intents: Vec<Arc<dyn Intent>>) -> Result<(), StorageError> {
    if intents.iter().all(|intent| intent.is_on_disk()) {
        return Ok(());
    }
    let waited = spawn_blocking(move || intents.iter().try_for_each(|intent| intent.wait())).await;
    waited.unwrap_or_else(|_| {
        let message = "nothing was deleted: waiting for the intent failed";
        Err(StorageError::new(StorageErrorKind::Internal, message))
    })
}
