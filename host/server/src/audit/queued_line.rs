//! A line between the moment in which a request queues it and the one in which it is in the journal, or on disk.

use super::error::AuditError;
use super::event::Line;
use super::log::Shared;
use delete_learning::storage::Intent;
use delete_learning::{StorageError, StorageErrorKind};
use std::sync::{Arc, OnceLock};
use tokio::task::yield_now;

/// A line that was queued. Waiting for it writes it together with all others that are queued.
pub(super) struct QueuedLine {
    shared: Arc<Shared>,
    line: Line,
    /// The index of its entry, or why it is not in the journal; empty as long as it is queued.
    written: OnceLock<Result<u64, String>>,
}

impl QueuedLine {
    pub(super) fn new(shared: &Arc<Shared>, line: Line) -> Self {
        Self { shared: Arc::clone(shared), line, written: OnceLock::new() }
    }

    pub(super) const fn line(&self) -> &Line {
        &self.line
    }

    pub(super) fn set_written(&self, index: u64) {
        let _ = self.written.set(Ok(index));
    }

    pub(super) fn set_refused(&self, error: &AuditError) {
        let _ = self.written.set(Err(error.to_string()));
    }

    /// Whether it could not be written, and never will be.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.written.get(), Some(Err(_)))
    }

    /// The number of entries with it; `None` as long as it is queued.
    fn size(&self) -> Option<Result<u64, AuditError>> {
        let written = self.written.get()?.clone();
        Some(written.map(|index| index + 1).map_err(AuditError::NotWritten))
    }

    /// Waits until the operating system has it. It is on disk within a second.
    pub(super) async fn write(&self) -> Result<(), AuditError> {
        // The tasks that are ready queue their lines meanwhile. Then one of them writes all.
        yield_now().await;
        if self.size().is_none() {
            let mut appender = self.shared.appender.lock().await;
            if self.size().is_none()
                && let Err(error) = self.shared.append(&mut appender, &[])
            {
                // Also if the log was closed and its thread has not taken the line yet: it does not write it then.
                self.set_refused(&error);
            }
        }
        self.size().unwrap_or(Err(AuditError::Closed)).map(drop)
    }
}

impl Intent for QueuedLine {
    fn wait(&self) -> Result<(), StorageError> {
        if self.is_on_disk() {
            return Ok(());
        }
        self.shared.sync(|| self.size()).map_err(unavailable)
    }

    fn is_on_disk(&self) -> bool {
        matches!(self.size(), Some(Ok(size)) if self.shared.is_synced(size))
    }
}

/// The error of a delete whose intent cannot be written.
pub(super) fn unavailable(error: AuditError) -> StorageError {
    StorageError::new(StorageErrorKind::Unavailable, format!("nothing was deleted: the audit log: {error}"))
}
