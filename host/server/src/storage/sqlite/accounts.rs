//! Agno's table of service accounts in an SQLite file.

use super::connection::ReopeningConnection;
use super::file::DatabaseFile;
use super::{OpenError, QUEUE_LENGTH, SqliteOptions, spawn};
use crate::auth::{Account, AccountStore};
use crate::storage::columns::quote;
use delete_learning::BoxFuture;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// The service accounts of an SQLite file. One thread finds accounts and another records their use, because a write can
/// wait for a lock.
pub struct SqliteAccounts {
    lookups: mpsc::Sender<Lookup>,
    uses: mpsc::Sender<Use>,
}

struct Lookup {
    token_hash: String,
    reply: oneshot::Sender<Result<Option<Account>, String>>,
}

struct Use {
    account_id: String,
    now: i64,
}

impl SqliteAccounts {
    /// Prepares to read this table. Agno creates it; until then no token can be verified.
    ///
    /// # Errors
    /// [`OpenError::Thread`] if a thread cannot be started.
    pub fn open(path: &Path, table: &str, options: &SqliteOptions) -> Result<Self, OpenError> {
        let file = DatabaseFile::new(path, table, options);
        let (lookups, queue) = mpsc::channel(QUEUE_LENGTH);
        spawn(&file, "sqlite-accounts", move |file| run_lookups(&file, queue))?;
        let (uses, queue) = mpsc::channel(QUEUE_LENGTH);
        spawn(&file, "sqlite-account-uses", move |file| run_uses(&file, queue))?;
        Ok(Self { lookups, uses })
    }
}

impl AccountStore for SqliteAccounts {
    fn find_by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async {
            let (reply, result) = oneshot::channel();
            let ended = || "the account thread has ended".to_owned();
            self.lookups.send(Lookup { token_hash, reply }).await.map_err(|_| ended())?;
            result.await.map_err(|_| ended())?
        })
    }

    fn record_use(&self, account_id: String, now: i64) {
        // If the queue is full, the next use is recorded.
        let _ = self.uses.try_send(Use { account_id, now });
    }
}

/// Finds accounts until the queue is closed.
fn run_lookups(file: &DatabaseFile, mut lookups: mpsc::Receiver<Lookup>) {
    let table = quote(&file.table);
    let sql = format!("SELECT id, name, scopes, expires_at, revoked_at FROM {table} WHERE token_hash = ?1");
    let mut connection = ReopeningConnection::new(file);
    while let Some(Lookup { token_hash, reply }) = lookups.blocking_recv() {
        // The request no longer waits.
        if reply.is_closed() {
            continue;
        }
        let found = connection.query(|connection| find_account(connection, &sql, &token_hash));
        let _ = reply.send(found.map_err(|error| error.message));
    }
}

/// Records uses until the queue is closed.
fn run_uses(file: &DatabaseFile, mut uses: mpsc::Receiver<Use>) {
    let sql = format!("UPDATE {} SET last_used_at = ?2 WHERE id = ?1", quote(&file.table));
    let mut connection = ReopeningConnection::new(file);
    while let Some(Use { account_id, now }) = uses.blocking_recv() {
        let updated = connection.query(|connection| connection.prepare_cached(&sql)?.execute((account_id, now)));
        if let Err(error) = updated {
            tracing::warn!(error = error.message, "cannot record the use of a service account");
        }
    }
}

fn find_account(connection: &Connection, sql: &str, token_hash: &str) -> rusqlite::Result<Option<Account>> {
    let row = |row: &rusqlite::Row<'_>| {
        // SQLite can store another type than the column declares; JSON that is a number is stored as a number.
        let scopes = Account::parse_scopes(row.get_ref(2)?.as_str().ok());
        let (id, name, expires_at, revoked_at) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        Ok(Account { id, name, scopes, expires_at, revoked_at })
    };
    connection.prepare_cached(sql)?.query_row([token_hash], row).optional()
}
