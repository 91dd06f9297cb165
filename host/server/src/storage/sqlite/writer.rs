//! The thread that deletes: everything that waits, in one transaction.

use super::Reply;
use super::checkpoint::Checkpointer;
use super::connection::ReopeningConnection;
use super::error;
use super::file::DatabaseFile;
use super::intents::NextSync;
use super::statements::{DeleteResult, Statements};
use crate::storage::isolated::Isolated;
use crate::telemetry::metrics::StorageMetrics;
use delete_learning::storage::{Deletion, Intent};
use delete_learning::{Condition, StorageError, StorageErrorKind};
use rusqlite::{Connection, ErrorCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A delete to execute.
pub(super) struct Write {
    pub(super) id: String,
    pub(super) condition: Condition,
    /// What is on disk before the record is deleted, and makes the reply have what is recorded of the record.
    pub(super) intent: Option<Arc<dyn Intent>>,
    pub(super) reply: Reply<Deletion>,
}

/// Why a transaction failed. Nothing in it was committed, unless the error says that the outcome is unknown.
enum BatchError {
    /// For a reason that does not depend on the records, such as a full disk.
    Whole(StorageError),
    /// A constraint or a trigger refused the delete with this index.
    Record(usize, StorageError),
    /// A delete violated a constraint that is checked at the commit, such as a deferred foreign key.
    SomeRecord(StorageError),
}

pub(super) struct Writer<'a> {
    statements: Statements,
    connection: ReopeningConnection<'a>,
    checkpointer: Checkpointer,
    next_sync: NextSync,
    isolated: Isolated,
    metrics: &'a StorageMetrics,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        connection: ReopeningConnection<'a>,
        checkpointer: Checkpointer,
        next_sync: NextSync,
        metrics: &'a StorageMetrics,
    ) -> Self {
        let statements = Statements::new(&connection.file.table);
        Self { statements, connection, checkpointer, next_sync, isolated: Isolated::default(), metrics }
    }

    /// Executes deletes until the queue is closed, up to `max_batch_size` in one transaction.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Write>, max_batch_size: usize) {
        let mut batch = Vec::with_capacity(max_batch_size);
        while queue.blocking_recv_many(&mut batch, max_batch_size) > 0 {
            // A request that no longer waits was reported as unknown. Not deleting is then the better outcome.
            batch.retain(|write: &Write| !write.reply.is_closed());
            self.execute(&mut batch);
            self.next_sync.end_batch();
        }
    }

    /// Executes deletes and replies to each. A delete that makes its transaction fail fails alone: the others are
    /// retried without it.
    fn execute(&mut self, batch: &mut Vec<Write>) {
        let (alone, together): (Vec<Write>, Vec<Write>) =
            batch.drain(..).partition(|write| self.isolated.contains(&write.id));
        let mut pending: Vec<Vec<Write>> = alone.into_iter().map(|write| vec![write]).collect();
        pending.push(together);
        while let Some(mut writes) = pending.pop() {
            if writes.is_empty() {
                continue;
            }
            match self.commit_batch(&writes) {
                Ok(outcomes) => {
                    self.metrics.record_batch(writes.len());
                    for (write, outcome) in writes.into_iter().zip(outcomes) {
                        let _ = write.reply.send(outcome);
                    }
                    if let Some(connection) = self.connection.opened() {
                        self.checkpointer.after_commit(connection);
                    }
                }
                Err(BatchError::Whole(error)) => self.fail(writes, &error),
                Err(BatchError::Record(index, error)) => {
                    let write = writes.swap_remove(index);
                    self.isolated.insert(&write.id);
                    let _ = write.reply.send(Err(error));
                    pending.push(writes);
                }
                Err(BatchError::SomeRecord(error)) => {
                    let half = writes.split_off(writes.len() / 2);
                    if writes.is_empty() {
                        for write in half {
                            self.isolated.insert(&write.id);
                            let _ = write.reply.send(Err(error.clone()));
                        }
                    } else {
                        pending.extend([half, writes]);
                    }
                }
            }
        }
    }

    /// Replies to all deletes of a transaction that failed as a whole.
    fn fail(&mut self, writes: Vec<Write>, error: &StorageError) {
        if error.kind != StorageErrorKind::Unavailable
            && let Some(connection) = self.connection.opened()
        {
            self.checkpointer.after_failure(connection);
        }
        self.connection.discard_unless_transient(error.kind);
        for write in writes {
            let _ = write.reply.send(Err(error.clone()));
        }
    }

    /// Executes deletes in one transaction. Returns the outcome of each, all of them durable.
    fn commit_batch(&mut self, writes: &[Write]) -> Result<Vec<Result<Deletion, StorageError>>, BatchError> {
        let file = self.connection.file;
        let open = self.connection.get().map_err(BatchError::Whole)?;
        let storage_error = |error: &rusqlite::Error| error::storage_error(file, Some(open), error);
        // The transaction holds the write lock from its start, so each delete tests and acts on one state.
        begin(open, file.busy_timeout).map_err(|error| BatchError::Whole(storage_error(&error)))?;
        let has_triggers =
            self.statements.has_triggers(open).map_err(|error| BatchError::Whole(storage_error(&error)))?;
        let mut outcomes = Vec::with_capacity(writes.len());
        for (index, write) in writes.iter().enumerate() {
            let is_recorded = write.intent.is_some();
            let error = match self.statements.delete(open, &write.id, &write.condition, is_recorded, has_triggers) {
                Ok(DeleteResult::Deletion(deletion)) => {
                    outcomes.push(Ok(deletion));
                    continue;
                }
                Ok(DeleteResult::Vetoed) => {
                    outcomes.push(Err(error::vetoed(file)));
                    continue;
                }
                Err(error) => error,
            };
            let storage_error = storage_error(&error);
            // A constraint or a trigger refused the delete. Depending on its conflict clause SQLite has undone nothing, the
            // statement or the transaction; undoing the transaction makes all of them alike.
            if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
                && (open.is_autocommit() || open.execute_batch("ROLLBACK").is_ok())
            {
                return Err(BatchError::Record(index, storage_error));
            }
            // SQLite rolled the transaction back, for example because the disk is full.
            if open.is_autocommit() {
                return Err(BatchError::Whole(storage_error));
            }
            outcomes.push(Err(storage_error));
        }
        self.next_sync.begin();
        commit(open, file)?;
        if self.connection.is_replaced() {
            let reason = "it was replaced while it was being written; the file in its place can have the record";
            return Err(BatchError::Whole(error::message(file, StorageErrorKind::OutcomeUnknown, reason)));
        }
        Ok(outcomes)
    }
}

/// Time between two attempts to get the write lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Begins a transaction that holds the write lock.
///
/// SQLite's own busy handler waits up to 100 ms between two attempts, and a process that writes constantly leaves the
/// lock free for moments only.
fn begin(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let end = Instant::now() + busy_timeout;
    connection.busy_timeout(Duration::ZERO)?;
    let result = loop {
        match execute(connection, "BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end => {
                std::thread::sleep(LOCK_RETRY_INTERVAL);
            }
            result => break result,
        }
    };
    connection.busy_timeout(busy_timeout)?;
    result
}

/// Executes a statement that stays prepared on the connection.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn commit(connection: &Connection, file: &DatabaseFile) -> Result<(), BatchError> {
    let Err(error) = execute(connection, "COMMIT") else { return Ok(()) };
    let rolled_back = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
    let storage_error = error::storage_error(file, Some(connection), &error);
    Err(match error.sqlite_error_code() {
        // These are detected before the commit is written.
        Some(ErrorCode::ConstraintViolation) if rolled_back => BatchError::SomeRecord(storage_error),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull | ErrorCode::ReadOnly) if rolled_back => {
            BatchError::Whole(storage_error)
        }
        // An I/O error during the write: the transaction can be there after recovery, or not.
        _ => BatchError::Whole(StorageError { kind: StorageErrorKind::OutcomeUnknown, ..storage_error }),
    })
}
