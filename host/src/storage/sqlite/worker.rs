//! The two threads of a table, each with a connection of its own.

use super::statements::Statements;
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind};
use crate::storage::Condition;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Where an answer goes. Nobody may be waiting any more; then it is dropped.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

/// A delete to carry out.
pub(super) struct Write {
    pub(super) id: String,
    pub(super) condition: Condition,
    pub(super) reply: Reply<Outcome>,
}

/// A question.
pub(super) enum Read {
    Find { id: String, reply: Reply<Option<Learning>> },
    Check { reply: Reply<()> },
}

/// A file and what is looked for in it.
#[derive(Clone)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) table: String,
    /// How long a lock of another process is waited for.
    pub(super) busy: Duration,
}

impl File {
    /// A connection to the file, which is created where there is none.
    pub(super) fn create(&self) -> rusqlite::Result<Connection> {
        self.open(OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// A connection to the file as it was found at start: one that has gone since is not replaced by an empty one.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        self.open(OpenFlags::empty())
    }

    /// A connection on which a committed transaction is on the disk: the write-ahead log, synced at every commit.
    fn open(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    }

    /// Whether the table is gone, asked after a statement on it failed: SQLite has no error code for that.
    fn is_without_table(&self, connection: &Connection) -> bool {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
        matches!(connection.query_row(sql, [&self.table], |_| Ok(())).optional(), Ok(None))
    }

    /// What an error of SQLite means to whoever asked.
    fn explain(&self, connection: Option<&Connection>, error: &rusqlite::Error) -> StorageError {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StorageErrorKind::Unavailable,
            Some(ErrorCode::Unknown) if connection.is_some_and(|connection| self.is_without_table(connection)) => {
                StorageErrorKind::UnknownTable
            }
            _ => StorageErrorKind::Internal,
        };
        StorageError::new(kind, format!("SQLite, {}: {error}", self.path.display()))
    }
}

/// A connection that is opened when it is needed, and again after an error that may lie in the connection.
struct Connected<'a> {
    file: &'a File,
    connection: Option<Connection>,
}

impl Connected<'_> {
    fn get(&mut self) -> Result<&mut Connection, StorageError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.file.connect().map_err(|error| self.file.explain(None, &error))?,
        };
        Ok(self.connection.insert(connection))
    }

    fn explain(&self, error: &rusqlite::Error) -> StorageError {
        self.file.explain(self.connection.as_ref(), error)
    }

    /// Forgets the connection after an error, unless the error is one that leaves a connection as good as before.
    fn mistrust(&mut self, kind: StorageErrorKind) {
        if kind != StorageErrorKind::Unavailable {
            self.connection = None;
        }
    }
}

/// Carries out deletes until nobody can ask any more: whatever is waiting, up to `batch`, in one transaction.
pub(super) fn write(file: &File, mut queue: mpsc::Receiver<Write>, batch: usize) {
    let statements = Statements::on(&file.table);
    let mut connected = Connected { file, connection: None };
    let mut writes = Vec::with_capacity(batch);
    while queue.blocking_recv_many(&mut writes, batch) > 0 {
        // Who has given up waiting was told that the outcome is unknown; not to delete is the better one of the two.
        writes.retain(|write: &Write| !write.reply.is_closed());
        if writes.is_empty() {
            continue;
        }
        match write_together(&mut connected, &statements, &writes) {
            Ok(outcomes) => {
                for (write, outcome) in writes.drain(..).zip(outcomes) {
                    let _ = write.reply.send(outcome);
                }
            }
            // The transaction as a whole failed, and with it every delete in it.
            Err(error) => {
                connected.mistrust(error.kind);
                for write in writes.drain(..) {
                    let _ = write.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// The outcome of each delete, all of them durable; or the error for which none of them happened.
fn write_together(
    connected: &mut Connected<'_>,
    statements: &Statements,
    writes: &[Write],
) -> Result<Vec<Result<Outcome, StorageError>>, StorageError> {
    // From its start the transaction holds the write lock, so that each delete tests and acts on one state.
    begin(connected)?;
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let connection = connected.get()?;
        match statements.delete(connection, &write.id, &write.condition) {
            Ok(outcome) => outcomes.push(Ok(outcome)),
            // A full disk, say: SQLite has rolled everything back.
            Err(error) if connection.is_autocommit() => return Err(connected.explain(&error)),
            Err(error) => outcomes.push(Err(connected.explain(&error))),
        }
    }
    commit(connected)?;
    Ok(outcomes)
}

fn begin(connected: &mut Connected<'_>) -> Result<(), StorageError> {
    match connected.get()?.execute_batch("BEGIN IMMEDIATE") {
        Ok(()) => Ok(()),
        Err(error) => Err(connected.explain(&error)),
    }
}

fn commit(connected: &mut Connected<'_>) -> Result<(), StorageError> {
    let connection = connected.get()?;
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    let undone = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
    let explained = connected.explain(&error);
    Err(match error.sqlite_error_code() {
        // These are found before the commit is written.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull | ErrorCode::ReadOnly) if undone => explained,
        // An input or output error while it was being written: it may be there after the next start, or not.
        _ => StorageError { kind: StorageErrorKind::OutcomeUnknown, ..explained },
    })
}

/// Answers questions until nobody can ask any more.
pub(super) fn read(file: &File, mut queue: mpsc::Receiver<Read>) {
    let statements = Statements::on(&file.table);
    let mut connected = Connected { file, connection: None };
    while let Some(question) = queue.blocking_recv() {
        match question {
            Read::Find { id, reply } => {
                let _ = reply.send(answer(&mut connected, |connection| statements.find(connection, &id)));
            }
            Read::Check { reply } => {
                let _ = reply.send(answer(&mut connected, |connection| statements.find(connection, "").map(drop)));
            }
        }
    }
}

fn answer<T>(
    connected: &mut Connected<'_>,
    question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StorageError> {
    match question(connected.get()?) {
        Ok(answer) => Ok(answer),
        Err(error) => {
            let explained = connected.explain(&error);
            connected.mistrust(explained.kind);
            Err(explained)
        }
    }
}
