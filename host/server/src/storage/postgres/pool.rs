//! The connection pool. Each query has a timeout.

use super::connection::{Connection, Connector, Query};
use super::error::QueryError;
use super::options::PostgresOptions;
use deadpool::Runtime;
use deadpool::managed::{self, BuildError, Object, PoolError, Timeouts};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The connections to one database.
pub(super) struct Pool {
    pool: managed::Pool<Connector>,
    acquire_timeout: Duration,
    response_timeout: Duration,
}

impl Pool {
    pub(super) fn new(
        connector: Connector,
        max_connections: usize,
        options: &PostgresOptions,
    ) -> Result<Self, BuildError> {
        let pool = managed::Pool::builder(connector).max_size(max_connections).runtime(Runtime::Tokio1).build()?;
        Ok(Self { pool, acquire_timeout: options.acquire_timeout(), response_timeout: options.response_timeout() })
    }

    /// Runs a query. If the result does not arrive, or the caller stops waiting, the connection is discarded, so that the
    /// next query never waits behind it.
    pub(super) async fn query(
        &self,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        self.with(async |connection| connection.query(query, parameters).await).await
    }

    /// Runs `work` on a connection, by the rules of [`Pool::query`].
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, QueryError> {
        let timeouts = Timeouts { wait: Some(self.acquire_timeout), create: None, recycle: None };
        let connection = match self.pool.timeout_get(&timeouts).await {
            Ok(connection) => connection,
            Err(PoolError::Backend(error)) => return Err(QueryError::Connect(error)),
            // The pool is never closed and has no hooks, so only the timeout is left.
            Err(_) => return Err(QueryError::PoolTimeout(self.acquire_timeout)),
        };
        let mut pending = PendingQuery { connection, is_complete: false };
        let result = tokio::time::timeout(self.response_timeout, work(&pending.connection)).await;
        pending.is_complete = result.is_ok();
        match result {
            Err(_) => Err(QueryError::ResponseTimeout(self.response_timeout)),
            Ok(_) if pending.connection.is_unreplicated() => Err(QueryError::NotReplicated),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                pending.connection.discard_unless_reusable(&error);
                Err(QueryError::Failed(error))
            }
        }
    }
}

/// A connection with a query in flight. Dropping it before the query is complete discards the connection.
struct PendingQuery {
    connection: Object<Connector>,
    is_complete: bool,
}

impl Drop for PendingQuery {
    fn drop(&mut self) {
        if !self.is_complete {
            self.connection.cancel_and_discard();
        }
    }
}
