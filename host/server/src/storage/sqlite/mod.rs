//! Learnings in an SQLite file that other processes can have open.
//!
//! One thread owns the connection that writes, one the connection that reads, one checkpoints the WAL, and one waits for
//! intents; the threads of the async runtime never wait for a disk. Deletes that arrive during a transaction share the next one (group commit):
//! concurrent requests share one sync, and no request waits for others to arrive.

mod accounts;
mod checkpoint;
mod connection;
mod error;
mod file;
mod intents;
mod metrics;
mod options;
mod reader;
mod schema;
mod statements;
mod wal;
mod writer;

pub use accounts::SqliteAccounts;
pub use error::OpenError;
pub use options::SqliteOptions;

use super::LearningsTable;
use crate::telemetry::metrics::{Operation, StorageMetrics};
use checkpoint::Checkpointer;
use connection::ReopeningConnection;
use delete_learning::storage::{Deletion, Intent};
use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
use file::DatabaseFile;
use intents::NextSync;
use reader::Read;
use schema::Schema;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wal::WalState;
use writer::{Write, Writer};

/// The table of learnings in an SQLite file.
pub struct SqliteStore {
    writes: mpsc::Sender<Write>,
    /// Deletes whose intents must be on disk first.
    intents: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    permits: Semaphore,
    max_in_flight: usize,
    metrics: Arc<StorageMetrics>,
    wal: Arc<WalState>,
    wal_path: PathBuf,
}

/// Where a thread sends its result. The receiver may have been dropped.
type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

/// Maximum length of the queue of a thread. Further requests wait in their own tasks.
const QUEUE_LENGTH: usize = 1024;

impl SqliteStore {
    /// Opens the file and checks its table of learnings. At most `max_in_flight` requests use the store
    /// at once.
    ///
    /// If another process has locked the file, this logs a warning, and a request that finds it unlocked does the rest.
    ///
    /// # Errors
    /// [`OpenError`] if the file cannot be opened for writing, or the table holds something else than learnings.
    pub fn open(
        path: &Path,
        table: &LearningsTable,
        options: &SqliteOptions,
        max_in_flight: usize,
    ) -> Result<Self, OpenError> {
        let file = DatabaseFile::new(path, &table.name, options);
        let schema = Schema::new(table.create);
        match schema.open(&file).map(drop) {
            Err(error) if error.is_busy() => {
                tracing::warn!(%error, "database locked by another process; its requests are answered 503");
            }
            result => result?,
        }
        let wal = WalState::new(options.wal_checkpoint_bytes);
        let (checkpointer, requests) = Checkpointer::new(&wal);
        let shared_wal = Arc::clone(&wal);
        spawn(&file, "sqlite-checkpoint", move |file| checkpoint::run(&file, &shared_wal, &requests))?;
        let (writes, queue) = mpsc::channel(QUEUE_LENGTH);
        let (max_batch_size, shared_schema) = (options.max_batch_size, Arc::clone(&schema));
        let metrics = Arc::new(StorageMetrics::new("sqlite"));
        let (shared_wal, shared_metrics) = (Arc::clone(&wal), Arc::clone(&metrics));
        let (next_sync, permits) = NextSync::new();
        spawn(&file, "sqlite-write", move |file| {
            let connection = ReopeningConnection::for_writer(&file, &shared_schema, &shared_wal);
            Writer::new(connection, checkpointer, next_sync, &shared_metrics).run(queue, max_batch_size);
        })?;
        let (intents, queue) = mpsc::channel(QUEUE_LENGTH);
        let ready = writes.clone();
        spawn(&file, "sqlite-intents", move |_| intents::run(queue, &permits, &ready, max_batch_size))?;
        let (reads, queue) = mpsc::channel(QUEUE_LENGTH);
        spawn(&file, "sqlite-read", move |file| reader::run(&file, &schema, queue))?;
        let max_in_flight = max_in_flight.min(Semaphore::MAX_PERMITS);
        let (permits, wal_path) = (Semaphore::new(max_in_flight), metrics::wal_path(path));
        Ok(Self { writes, intents, reads, permits, max_in_flight, metrics, wal, wal_path })
    }
}

/// Starts a thread that ends when its queue is closed and empty.
fn spawn(file: &DatabaseFile, name: &str, run: impl FnOnce(DatabaseFile) + Send + 'static) -> Result<(), OpenError> {
    let for_thread = file.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(for_thread))
        .map(drop)
        .map_err(|source| OpenError::Thread { path: file.path.clone(), source })
}

/// Sends a job to a thread and waits for its result. `lost` is the error kind if the thread ends without one.
async fn request<J, T>(
    queue: &mpsc::Sender<J>,
    job: impl FnOnce(Reply<T>) -> J,
    lost: StorageErrorKind,
) -> Result<T, StorageError> {
    let (reply, result) = oneshot::channel();
    queue
        .send(job(reply))
        .await
        .map_err(|_| StorageError::new(StorageErrorKind::Internal, "the database thread has ended"))?;
    result.await.unwrap_or_else(|_| Err(StorageError::new(lost, "the database thread ended during this request")))
}

impl LearningStore for SqliteStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        let found = request(&self.reads, |reply| Read::Find { id, reply }, StorageErrorKind::Internal);
        Box::pin(self.metrics.measure(Operation::Find, found))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move {
            let write = |reply| Write { id, condition, intent: None, reply };
            let deleted = request(&self.writes, write, StorageErrorKind::OutcomeUnknown);
            self.metrics.measure(Operation::Delete, deleted).await.map(|deletion| deletion.outcome)
        })
    }

    fn delete_with_intent(
        &self,
        id: String,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        let write = |reply| Write { id, condition, intent: Some(intent), reply };
        let deleted = request(&self.intents, write, StorageErrorKind::OutcomeUnknown);
        Box::pin(self.metrics.measure(Operation::Delete, deleted))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        let checked = request(&self.reads, |reply| Read::Check { reply }, StorageErrorKind::Internal);
        Box::pin(self.metrics.measure(Operation::Check, checked))
    }

    fn permits(&self) -> Option<&Semaphore> {
        Some(&self.permits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, StorageErrorKind, mpsc, request};

    /// A thread ends during a job only if it panics.
    #[tokio::test(flavor = "current_thread")]
    async fn outcome_is_unknown_if_the_thread_ends_during_the_delete() {
        let (jobs, mut queue) = mpsc::channel(1);
        let thread = tokio::spawn(async move { drop(queue.recv().await) });
        let kind = async || {
            let result = request::<_, Outcome>(&jobs, |reply| reply, StorageErrorKind::OutcomeUnknown).await;
            result.err().map(|error| error.kind)
        };
        assert_eq!(kind().await, Some(StorageErrorKind::OutcomeUnknown));
        thread.await.unwrap();
        assert_eq!(kind().await, Some(StorageErrorKind::Internal), "the job was not accepted");
    }
}
