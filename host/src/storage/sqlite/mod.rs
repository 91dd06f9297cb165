//! Learnings in an SQLite file, beside whoever else has it open.
//!
//! One thread owns the connection that writes, one the connection that reads, and one carries the write-ahead log over;
//! the runtime's threads never wait for a disk. Deletes that arrive while a transaction is being written share the next
//! one (group commit), so that concurrent requests share the disk's sync, and no request waits for company that does not
//! come.

mod accounts;
mod log;
mod schema;
mod statements;
mod worker;

pub use accounts::SqliteAccounts;

use super::{Condition, Table};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind};
use crate::limits::Limits;
use log::{Keeper, Log};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use worker::{Read, Reply, Write};

/// The table of learnings in an SQLite file.
pub struct SqliteTable {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    turns: Semaphore,
}

/// Why an SQLite file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened, or is no database.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// It has a table of that name that holds no learnings.
    #[error("the table {table} of {} has no column {column}, so it holds no learnings", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// A column that is missing.
        column: &'static str,
    },
    /// A thread for it cannot be started.
    #[error("cannot start a thread for {}: {source}", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Requests that wait for the thread, at most; further ones wait in their own tasks.
const QUEUE: usize = 1024;

impl SqliteTable {
    /// Opens the file, or creates it; finds the table, or creates it as Agno does.
    ///
    /// # Errors
    /// Where the file cannot be opened, written or read, or its table holds something else.
    pub fn open(path: &Path, table: &str, limits: &Limits) -> Result<Self, OpenError> {
        let file = worker::File::new(path, table, limits);
        schema::prepare(&file)?;
        let log = Log::new(limits.database_log_bytes);
        let (keeper, asked) = Keeper::new(&log);
        let kept = Arc::clone(&log);
        spawn(&file, "sqlite-log", move |file| log::keep(&file, &kept, &asked))?;
        let (writes, queue) = mpsc::channel(QUEUE);
        let batch = limits.database_batch;
        spawn(&file, "sqlite-write", move |file| worker::write(&file, &log, keeper, queue, batch))?;
        let (reads, queue) = mpsc::channel(QUEUE);
        spawn(&file, "sqlite-read", move |file| worker::read(&file, queue))?;
        Ok(Self { writes, reads, turns: limits.database_turns() })
    }
}

/// Starts a thread that ends by itself once the table is dropped and its queue empty.
fn spawn(file: &worker::File, name: &str, run: impl FnOnce(worker::File) + Send + 'static) -> Result<(), OpenError> {
    let ours = file.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(ours))
        .map(drop)
        .map_err(|source| OpenError::Thread { path: file.path.clone(), source })
}

/// Hands a job to a thread and waits for its answer. `lost` is what it means that none comes.
async fn ask<J, T>(
    queue: &mpsc::Sender<J>,
    job: impl FnOnce(Reply<T>) -> J,
    lost: StorageErrorKind,
) -> Result<T, StorageError> {
    let (reply, answer) = oneshot::channel();
    queue
        .send(job(reply))
        .await
        .map_err(|_| StorageError::new(StorageErrorKind::Internal, "the database's thread has ended"))?;
    answer.await.unwrap_or_else(|_| Err(StorageError::new(lost, "the database's thread ended over this request")))
}

impl Table for SqliteTable {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(ask(&self.reads, |reply| Read::Find { id, reply }, StorageErrorKind::Internal))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(ask(&self.writes, |reply| Write { id, condition, reply }, StorageErrorKind::OutcomeUnknown))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(ask(&self.reads, |reply| Read::Check { reply }, StorageErrorKind::Internal))
    }

    fn turns(&self) -> Option<&Semaphore> {
        Some(&self.turns)
    }
}
