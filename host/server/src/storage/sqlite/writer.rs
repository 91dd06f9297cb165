//! The thread that deletes: everything that waits, in one transaction.

use super::Reply;
use super::checkpoint::Checkpointer;
use super::connection::ReopeningConnection;
use super::error;
use super::file::DatabaseFile;
use super::statements::Statements;
use super::wal::WalState;
use delete_learning::{Condition, Outcome, StorageError, StorageErrorKind};
use rusqlite::{Connection, ErrorCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A delete to execute.
pub(super) struct Write {
    pub(super) id: String,
    pub(super) condition: Condition,
    pub(super) reply: Reply<Outcome>,
}

/// Executes deletes until the queue is closed, up to `max_batch_size` in one transaction.
pub(super) fn run(
    file: &DatabaseFile,
    wal: &Arc<WalState>,
    mut checkpointer: Checkpointer,
    mut queue: mpsc::Receiver<Write>,
    max_batch_size: usize,
) {
    let statements = Statements::new(&file.table);
    let mut connection = ReopeningConnection::for_writer(file, wal);
    let mut batch = Vec::with_capacity(max_batch_size);
    while queue.blocking_recv_many(&mut batch, max_batch_size) > 0 {
        // A request that no longer waits was reported as unknown. Not deleting is then the better outcome.
        batch.retain(|write: &Write| !write.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        match commit_batch(&mut connection, &statements, &batch) {
            Ok(outcomes) => {
                for (write, outcome) in batch.drain(..).zip(outcomes) {
                    let _ = write.reply.send(outcome);
                }
                if let Some(connection) = connection.opened() {
                    checkpointer.after_commit(connection);
                }
            }
            // The transaction failed, and with it every delete in it.
            Err(error) => {
                if error.kind != StorageErrorKind::Unavailable
                    && let Some(connection) = connection.opened()
                {
                    checkpointer.after_failure(connection);
                }
                connection.discard_unless_transient(error.kind);
                for write in batch.drain(..) {
                    let _ = write.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Executes a batch. Returns the outcome of each delete, all of them durable; or an error, if the transaction failed.
fn commit_batch(
    connection: &mut ReopeningConnection<'_>,
    statements: &Statements,
    batch: &[Write],
) -> Result<Vec<Result<Outcome, StorageError>>, StorageError> {
    let file = connection.file;
    let open = connection.get()?;
    // The transaction holds the write lock from its start, so each delete tests and acts on one state.
    begin(open, file.busy_timeout).map_err(|error| error::storage_error(file, Some(open), &error))?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for write in batch {
        let outcome = statements.delete(open, &write.id, &write.condition);
        match outcome.map_err(|error| error::storage_error(file, Some(open), &error)) {
            // SQLite rolled the transaction back, for example because the disk is full.
            Err(error) if open.is_autocommit() => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    commit(open, file)?;
    if connection.is_replaced() {
        let reason = "it was replaced while it was being written; the file in its place can have the record";
        return Err(error::message(file, StorageErrorKind::OutcomeUnknown, reason));
    }
    Ok(outcomes)
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

fn commit(connection: &Connection, file: &DatabaseFile) -> Result<(), StorageError> {
    let Err(error) = execute(connection, "COMMIT") else { return Ok(()) };
    let rolled_back = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
    let storage_error = error::storage_error(file, Some(connection), &error);
    Err(match error.sqlite_error_code() {
        // These are detected before the commit is written.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull | ErrorCode::ReadOnly) if rolled_back => storage_error,
        // An I/O error during the write: the transaction can be there after recovery, or not.
        _ => StorageError { kind: StorageErrorKind::OutcomeUnknown, ..storage_error },
    })
}
