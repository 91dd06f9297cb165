//! Agno's table of service accounts in PostgreSQL.

use super::pool::{AskError, Sessions};
use super::session::{Connector, Query};
use super::url::PostgresUrl;
use super::{PostgresError, statements};
use crate::BoxFuture;
use crate::identity::{Account, AccountStore};
use crate::limits::Limits;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The service accounts of a PostgreSQL database, on connections of their own: some that find them, and one that notes
/// their use, because whoever writes may have to wait for a lock.
pub struct PostgresAccounts {
    finds: Sessions,
    find: Query,
    touches: Arc<Sessions>,
    touch: Arc<Query>,
    place: String,
}

/// Connections that find accounts: look-ups are short, and remembered.
const FINDS: usize = 2;
/// Connections that note uses. Those that come while it waits are given up after a while.
const TOUCHES: usize = 1;

impl PostgresAccounts {
    /// Prepares to ask this table. The table is Agno's, and is not made here; until Agno has made it, tokens cannot be
    /// verified.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn open(
        url: &PostgresUrl,
        transaction_pooling: bool,
        schema: &str,
        table: &str,
        limits: &Limits,
    ) -> Result<Self, PostgresError> {
        let place = statements::place(schema, table);
        let find = Query {
            name: "find-account",
            sql: format!("SELECT id, name, scopes::text, expires_at, revoked_at FROM {place} WHERE token_hash = $1"),
            types: &[Type::TEXT],
        };
        let touch = Query {
            name: "touch-account",
            sql: format!("UPDATE {place} SET last_used_at = $2 WHERE id = $1"),
            types: &[Type::TEXT, Type::INT8],
        };
        let sessions = |size| -> Result<Sessions, PostgresError> {
            Ok(Sessions::new(Connector::new(url, transaction_pooling, limits)?, size, limits)?)
        };
        let (finds, touches) = (sessions(FINDS)?, Arc::new(sessions(TOUCHES)?));
        Ok(Self { finds, find, touches, touch: Arc::new(touch), place })
    }
}

impl AccountStore for PostgresAccounts {
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async move {
            let failed = |error: &AskError| format!("PostgreSQL, {}: {error}", self.place);
            let rows = self.finds.ask(&self.find, &[&token_hash]).await.map_err(|error| failed(&error))?;
            rows.first().map(account).transpose().map_err(|error| failed(&AskError::Failed(error)))
        })
    }

    fn touch(&self, account_id: String, now: i64) {
        let (sessions, touch) = (Arc::clone(&self.touches), Arc::clone(&self.touch));
        tokio::spawn(async move {
            if let Err(error) = sessions.ask(&touch, &[&account_id, &now]).await {
                tracing::warn!(%error, "cannot note that a service account was used");
            }
        });
    }
}

fn account(row: &Row) -> Result<Account, tokio_postgres::Error> {
    Ok(Account {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        scopes: Account::scopes_of(row.try_get(2)?),
        expires_at: row.try_get(3)?,
        revoked_at: row.try_get(4)?,
    })
}
