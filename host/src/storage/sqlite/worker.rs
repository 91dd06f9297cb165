//! The threads that write and read a table, each with a connection of its own.

use super::log::{Keeper, Log};
use super::statements::Statements;
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind};
use crate::limits::Limits;
use crate::storage::Condition;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// Bytes of pages that a connection keeps.
    cache: usize,
}

impl File {
    pub(super) fn new(path: &Path, table: &str, limits: &Limits) -> Self {
        let (path, table) = (path.to_owned(), table.to_owned());
        Self { path, table, busy: limits.database_busy(), cache: limits.database_cache_bytes }
    }

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
        // What cannot be written is opened for reading. Used so, it would get a log that nobody can write, either, also once
        // the file can be.
        if connection.is_readonly(rusqlite::MAIN_DB)? {
            let reason = "attempt to write a readonly database".to_owned();
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), Some(reason)));
        }
        connection.busy_timeout(self.busy)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Negative: in KiB.
        let cache = i64::try_from(self.cache / 1024).unwrap_or(i64::MAX);
        connection.pragma_update(None, "cache_size", -cache)?;
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
        // Of an input or output error SQLite's text says no more than that; its extended code tells at what.
        let detail = match error {
            rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::SystemIoFailure => {
                format!(" (extended code {})", failure.extended_code)
            }
            _ => String::new(),
        };
        self.fault(kind, &format!("{error}{detail}"))
    }

    fn fault(&self, kind: StorageErrorKind, reason: &str) -> StorageError {
        StorageError::new(kind, format!("SQLite, {}: {reason}", self.path.display()))
    }
}

/// What tells files apart: device and number.
#[cfg(unix)]
type Identity = (u64, u64);
/// Where a file that is open can be neither deleted nor replaced, there is nothing to tell apart.
#[cfg(not(unix))]
type Identity = ();

/// Which file a path leads to. SQLite goes on with the file that it opened when that is deleted or replaced, and what it
/// deletes there nobody else ever sees.
fn identity(path: &Path) -> Option<Identity> {
    let file = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    return Some((std::os::unix::fs::MetadataExt::dev(&file), std::os::unix::fs::MetadataExt::ino(&file)));
    #[cfg(not(unix))]
    return Some(drop(file));
}

/// A connection that is opened when it is needed, and again after an error that may lie in the connection, or when the
/// path leads to another file.
pub(super) struct Connected<'a> {
    file: &'a File,
    /// What counts the commits on it, if anything does.
    log: Option<&'a Arc<Log>>,
    open: Option<(Connection, Identity)>,
}

impl<'a> Connected<'a> {
    pub(super) const fn to(file: &'a File) -> Self {
        Self { file, log: None, open: None }
    }

    /// The connection that writes to the file and its log.
    const fn writing_to(file: &'a File, log: &'a Arc<Log>) -> Self {
        Self { file, log: Some(log), open: None }
    }

    /// A connection to the file to which the path leads now.
    pub(super) fn get(&mut self) -> Result<&mut Connection, StorageError> {
        let is_file = identity(&self.file.path);
        let open = match self.open.take().filter(|(_, opened)| is_file == Some(*opened)) {
            Some(open) => open,
            None => {
                let explain = |error| self.file.explain(None, &error);
                let mut connection = self.file.connect().map_err(explain)?;
                if let Some(log) = self.log {
                    log.watch(&mut connection).map_err(explain)?;
                }
                let opened = identity(&self.file.path).filter(|opened| is_file == Some(*opened)).ok_or_else(|| {
                    self.file.fault(StorageErrorKind::Unavailable, "it was replaced while it was being opened")
                })?;
                (connection, opened)
            }
        };
        Ok(&mut self.open.insert(open).0)
    }

    /// Whether the path leads to another file than the one that is open, or to none.
    fn is_replaced(&self) -> bool {
        self.open.as_ref().is_some_and(|(_, opened)| identity(&self.file.path) != Some(*opened))
    }

    /// The connection that is open, if one is.
    fn opened(&self) -> Option<&Connection> {
        self.open.as_ref().map(|(connection, _)| connection)
    }

    fn explain(&self, error: &rusqlite::Error) -> StorageError {
        self.file.explain(self.opened(), error)
    }

    /// Forgets the connection after an error, unless the error is one that leaves a connection as good as before.
    fn mistrust(&mut self, kind: StorageErrorKind) {
        if kind != StorageErrorKind::Unavailable {
            self.open = None;
        }
    }
}

/// Carries out deletes until nobody can ask any more: whatever is waiting, up to `batch`, in one transaction.
pub(super) fn write(file: &File, log: &Arc<Log>, mut keeper: Keeper, mut queue: mpsc::Receiver<Write>, batch: usize) {
    let statements = Statements::on(&file.table);
    let mut connected = Connected::writing_to(file, log);
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
                if let Some(connection) = connected.opened() {
                    keeper.after_commit(connection);
                }
            }
            // The transaction as a whole failed, and with it every delete in it.
            Err(error) => {
                if error.kind != StorageErrorKind::Unavailable
                    && let Some(connection) = connected.opened()
                {
                    keeper.after_failure(connection);
                }
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
    let file = connected.file;
    let connection = connected.get()?;
    // From its start the transaction holds the write lock, so that each delete tests and acts on one state.
    begin(connection, file.busy).map_err(|error| file.explain(Some(connection), &error))?;
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let outcome = statements.delete(connection, &write.id, &write.condition);
        let outcome = outcome.map_err(|error| file.explain(Some(connection), &error));
        match outcome {
            // A full disk, say: SQLite has rolled everything back.
            Err(error) if connection.is_autocommit() => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    commit(connection, file)?;
    if connected.is_replaced() {
        let reason = "it was replaced while it was being written; the one in its place may have the record";
        return Err(file.fault(StorageErrorKind::OutcomeUnknown, reason));
    }
    Ok(outcomes)
}

/// How long after the write lock was found taken it is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Begins a transaction that holds the write lock.
///
/// SQLite would wait for the lock, too, but up to a tenth of a second between two looks, and whoever writes all the time
/// leaves it free for moments only.
fn begin(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let end = Instant::now() + patience;
    connection.busy_timeout(Duration::ZERO)?;
    let begun = loop {
        match execute(connection, "BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end => {
                std::thread::sleep(ASK_AGAIN);
            }
            begun => break begun,
        }
    };
    connection.busy_timeout(patience)?;
    begun
}

/// Runs a statement that is prepared once a connection.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn commit(connection: &Connection, file: &File) -> Result<(), StorageError> {
    let Err(error) = execute(connection, "COMMIT") else { return Ok(()) };
    let undone = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
    let explained = file.explain(Some(connection), &error);
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
    let mut connected = Connected::to(file);
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

/// Asks on the connection, which is made anew after an error.
pub(super) fn answer<T>(
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
