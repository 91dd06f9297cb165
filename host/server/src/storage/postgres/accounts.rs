//! Agno's table of service accounts in PostgreSQL.

use super::connection::{Connector, Query};
use super::error::{PostgresError, QueryError};
use super::pool::Pool;
use super::{PostgresOptions, PostgresTarget, statements};
use crate::auth::{Account, AccountStore};
use delete_learning::BoxFuture;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The service accounts of a PostgreSQL database, on their own connections: some find accounts and one records their use,
/// because a write can wait for a lock.
pub struct PostgresAccounts {
    lookups: Pool,
    lookup: Query,
    uses: Arc<Pool>,
    record_use: Arc<Query>,
    table: String,
}

/// Connections that find accounts. Lookups are short, and their results are cached.
const LOOKUP_CONNECTIONS: usize = 2;
/// Connections that record uses. A use that waits too long for one is not recorded.
const USE_CONNECTIONS: usize = 1;

impl PostgresAccounts {
    /// Prepares to read this table. Agno creates it; until then no token can be verified.
    ///
    /// # Errors
    /// [`PostgresError`] if TLS or the connection pool cannot be set up.
    pub fn open(target: &PostgresTarget, table: &str, options: &PostgresOptions) -> Result<Self, PostgresError> {
        let table = statements::qualify(&target.schema, table);
        let lookup = Query {
            name: "find-account",
            sql: format!("SELECT id, name, scopes::text, expires_at, revoked_at FROM {table} WHERE token_hash = $1"),
            types: &[Type::TEXT],
        };
        let record_use = Query {
            name: "record-account-use",
            sql: format!("UPDATE {table} SET last_used_at = $2 WHERE id = $1"),
            types: &[Type::TEXT, Type::INT8],
        };
        let pool = |max_connections| -> Result<Pool, PostgresError> {
            Ok(Pool::new(Connector::new(target, options)?, max_connections, options)?)
        };
        let (lookups, uses) = (pool(LOOKUP_CONNECTIONS)?, Arc::new(pool(USE_CONNECTIONS)?));
        Ok(Self { lookups, lookup, uses, record_use: Arc::new(record_use), table })
    }
}

impl AccountStore for PostgresAccounts {
    fn find_by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async move {
            let message = |error: &QueryError| format!("PostgreSQL, {}: {error}", self.table);
            let rows = self.lookups.query(&self.lookup, &[&token_hash]).await.map_err(|error| message(&error))?;
            rows.first().map(account).transpose().map_err(|error| message(&QueryError::Failed(error)))
        })
    }

    fn record_use(&self, account_id: String, now: i64) {
        let (uses, query) = (Arc::clone(&self.uses), Arc::clone(&self.record_use));
        tokio::spawn(async move {
            if let Err(error) = uses.query(&query, &[&account_id, &now]).await {
                tracing::warn!(%error, "cannot record the use of a service account");
            }
        });
    }
}

fn account(row: &Row) -> Result<Account, tokio_postgres::Error> {
    Ok(Account {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        scopes: Account::parse_scopes(row.try_get(2)?),
        expires_at: row.try_get(3)?,
        revoked_at: row.try_get(4)?,
    })
}
