//! Agno's table of service accounts in an SQLite file.

use super::worker::File;
use super::{OpenError, QUEUE, spawn};
use crate::BoxFuture;
use crate::identity::{Account, AccountStore};
use crate::limits::Limits;
use crate::storage::columns::quoted;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// The service accounts of an SQLite file, on a thread and a connection of their own.
pub struct SqliteAccounts(mpsc::Sender<Question>);

enum Question {
    Find { token_hash: String, reply: oneshot::Sender<Result<Option<Account>, String>> },
    Touch { account_id: String, now: i64 },
}

impl SqliteAccounts {
    /// Prepares to ask this table. The table is Agno's, and is not made here; until Agno has made it, tokens cannot be
    /// verified.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn open(path: &Path, table: &str, limits: &Limits) -> Result<Self, OpenError> {
        let file = File { path: path.to_owned(), table: table.to_owned(), busy: limits.database_busy() };
        let (questions, queue) = mpsc::channel(QUEUE);
        spawn(&file, "sqlite-accounts", move |file| answer(&file, queue))?;
        Ok(Self(questions))
    }
}

impl AccountStore for SqliteAccounts {
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            let gone = || "its thread has ended".to_owned();
            self.0.send(Question::Find { token_hash, reply }).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }

    fn touch(&self, account_id: String, now: i64) {
        // Where the queue is full there is more important work, and the next use is noted.
        let _ = self.0.try_send(Question::Touch { account_id, now });
    }
}

fn answer(file: &File, mut questions: mpsc::Receiver<Question>) {
    let table = quoted(&file.table);
    let find = format!("SELECT id, name, scopes, expires_at, revoked_at FROM {table} WHERE token_hash = ?1");
    let touch = format!("UPDATE {table} SET last_used_at = ?2 WHERE id = ?1");
    let mut connection: Option<Connection> = None;
    while let Some(question) = questions.blocking_recv() {
        let open = match connection.take().map_or_else(|| file.connect(), Ok) {
            Ok(open) => open,
            Err(error) => {
                if let Question::Find { reply, .. } = question {
                    let _ = reply.send(Err(format!("{}: {error}", file.path.display())));
                }
                continue;
            }
        };
        let is_good = match question {
            Question::Find { token_hash, reply } => {
                let found = account(&open, &find, &token_hash);
                let is_good = found.is_ok();
                // Nobody may be waiting any more.
                let _ = reply.send(found.map_err(|error| format!("{}: {error}", file.path.display())));
                is_good
            }
            Question::Touch { account_id, now } => {
                let touched =
                    open.prepare_cached(&touch).and_then(|mut statement| statement.execute((account_id, now)));
                if let Err(error) = &touched {
                    tracing::warn!(%error, "cannot note that a service account was used");
                }
                touched.is_ok()
            }
        };
        // After an error the connection is made anew: the error may lie in it.
        connection = is_good.then_some(open);
    }
}

fn account(connection: &Connection, sql: &str, token_hash: &str) -> rusqlite::Result<Option<Account>> {
    let row = |row: &rusqlite::Row<'_>| {
        let scopes: String = row.get(2)?;
        let scopes = serde_json::from_str(&scopes).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error))
        })?;
        let (id, name, expires_at, revoked_at) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        Ok(Account { id, name, scopes, expires_at, revoked_at })
    };
    connection.prepare_cached(sql)?.query_row([token_hash], row).optional()
}
