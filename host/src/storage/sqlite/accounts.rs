//! Agno's table of service accounts in an SQLite file.

use super::worker::{Connected, File, answer};
use super::{OpenError, QUEUE, spawn};
use crate::BoxFuture;
use crate::identity::{Account, AccountStore};
use crate::limits::Limits;
use crate::storage::columns::quoted;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// The service accounts of an SQLite file: a thread and a connection that finds them, and another that notes their use,
/// because whoever writes may have to wait for a lock.
pub struct SqliteAccounts {
    finds: mpsc::Sender<Find>,
    touches: mpsc::Sender<Touch>,
}

struct Find {
    token_hash: String,
    reply: oneshot::Sender<Result<Option<Account>, String>>,
}

struct Touch {
    account_id: String,
    now: i64,
}

impl SqliteAccounts {
    /// Prepares to ask this table. The table is Agno's, and is not made here; until Agno has made it, tokens cannot be
    /// verified.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn open(path: &Path, table: &str, limits: &Limits) -> Result<Self, OpenError> {
        let file = File::new(path, table, limits);
        let (finds, queue) = mpsc::channel(QUEUE);
        spawn(&file, "sqlite-accounts", move |file| find(&file, queue))?;
        let (touches, queue) = mpsc::channel(QUEUE);
        spawn(&file, "sqlite-touches", move |file| touch(&file, queue))?;
        Ok(Self { finds, touches })
    }
}

impl AccountStore for SqliteAccounts {
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            let gone = || "its thread has ended".to_owned();
            self.finds.send(Find { token_hash, reply }).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }

    fn touch(&self, account_id: String, now: i64) {
        // Where the queue is full there is more important work, and the next use is noted.
        let _ = self.touches.try_send(Touch { account_id, now });
    }
}

/// Finds accounts until nobody can ask any more.
fn find(file: &File, mut finds: mpsc::Receiver<Find>) {
    let table = quoted(&file.table);
    let sql = format!("SELECT id, name, scopes, expires_at, revoked_at FROM {table} WHERE token_hash = ?1");
    let mut connected = Connected::to(file);
    while let Some(Find { token_hash, reply }) = finds.blocking_recv() {
        // Who has given up waiting need not be told.
        if reply.is_closed() {
            continue;
        }
        let found = answer(&mut connected, |connection| account(connection, &sql, &token_hash));
        let _ = reply.send(found.map_err(|error| error.message));
    }
}

/// Notes uses until nobody can ask any more.
fn touch(file: &File, mut touches: mpsc::Receiver<Touch>) {
    let sql = format!("UPDATE {} SET last_used_at = ?2 WHERE id = ?1", quoted(&file.table));
    let mut connected = Connected::to(file);
    while let Some(Touch { account_id, now }) = touches.blocking_recv() {
        let touched = answer(&mut connected, |connection| connection.prepare_cached(&sql)?.execute((account_id, now)));
        if let Err(error) = touched {
            tracing::warn!(error = error.message, "cannot note that a service account was used");
        }
    }
}

fn account(connection: &Connection, sql: &str, token_hash: &str) -> rusqlite::Result<Option<Account>> {
    let row = |row: &rusqlite::Row<'_>| {
        // SQLite lets a row hold another type than its column says, and keeps JSON that is a number as a number.
        let scopes = Account::scopes_of(row.get_ref(2)?.as_str().ok());
        let (id, name, expires_at, revoked_at) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        Ok(Account { id, name, scopes, expires_at, revoked_at })
    };
    connection.prepare_cached(sql)?.query_row([token_hash], row).optional()
}
