//! The connection pool. Each query has a timeout.

use super::connection::{Connection, Connector, Query};
use super::error::QueryError;
use super::options::PostgresOptions;
use crate::telemetry::metrics::{PoolMetrics, PoolState};
use deadpool::Runtime;
use deadpool::managed::{self, BuildError, Object, PoolError, Timeouts};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The connections to one database.
pub(super) struct Pool {
    pool: managed::Pool<Connector>,
    acquire_timeout: Duration,
    response_timeout: Duration,
    metrics: PoolMetrics,
}

impl Pool {
    pub(super) fn new(
        connector: Connector,
        max_connections: usize,
        options: &PostgresOptions,
    ) -> Result<Self, BuildError> {
        let pool = managed::Pool::builder(connector).max_size(max_connections).runtime(Runtime::Tokio1).build()?;
        let (acquire_timeout, response_timeout) = (options.acquire_timeout(), options.response_timeout());
        Ok(Self { pool, acquire_timeout, response_timeout, metrics: PoolMetrics::default() })
    }

    /// Runs a query. If the result does not arrive, or the caller stops waiting, the connection is discarded, so that the
    /// next query never waits behind it.
    ///
    /// # Errors
    /// [`QueryError`]. Every error means that the query was not executed, except those of
    /// [`QueryError::leaves_outcome_unknown`].
    pub(super) async fn query(
        &self,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        let mut pending = self.acquire().await?;
        let deadline = Instant::now() + self.response_timeout;
        let prepared = pending.run(deadline, async |connection| connection.prepare(query).await).await;
        let prepared = prepared.map_err(|error| QueryError::NotPrepared(Box::new(error)))?;
        pending.run(deadline, async |connection| connection.query(query, prepared.as_ref(), parameters).await).await
    }

    /// Runs `work` on a connection, by the rules of [`Pool::query`].
    pub(super) async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, QueryError> {
        self.acquire().await?.run(Instant::now() + self.response_timeout, work).await
    }

    /// The connections, for the metrics.
    pub(super) fn state(&self) -> PoolState<'_> {
        let status = self.pool.status();
        PoolState {
            used: status.size.saturating_sub(status.available),
            idle: status.available,
            max: status.max_size,
            waiting: status.waiting,
            metrics: &self.metrics,
        }
    }

    /// Counts a request that got no connection within the timeout.
    pub(super) fn record_timeout(&self) {
        self.metrics.record_timeout();
    }

    async fn acquire(&self) -> Result<PendingQuery<'_>, QueryError> {
        let timeouts = Timeouts { wait: Some(self.acquire_timeout), create: None, recycle: None };
        let start = Instant::now();
        let acquired = self.pool.timeout_get(&timeouts).await;
        self.metrics.record_acquire(start.elapsed());
        match acquired {
            Ok(connection) => Ok(PendingQuery { pool: self, connection, is_complete: true }),
            Err(PoolError::Backend(error)) => Err(QueryError::Connect(error)),
            // The pool is never closed and has no hooks, so only the timeout is left.
            Err(_) => {
                self.record_timeout();
                Err(QueryError::PoolTimeout(self.acquire_timeout))
            }
        }
    }
}

/// A connection for a query. Dropping it before the query is complete discards the connection.
struct PendingQuery<'a> {
    pool: &'a Pool,
    connection: Object<Connector>,
    is_complete: bool,
}

impl PendingQuery<'_> {
    /// Runs `work` until the deadline.
    async fn run<T>(
        &mut self,
        deadline: Instant,
        work: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, QueryError> {
        self.is_complete = false;
        let result = tokio::time::timeout_at(deadline, work(&self.connection)).await;
        self.is_complete = result.is_ok();
        match result {
            Err(_) => Err(QueryError::ResponseTimeout(self.pool.response_timeout)),
            Ok(_) if self.connection.is_unreplicated() => Err(QueryError::NotReplicated),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                self.connection.discard_unless_reusable(&error);
                Err(QueryError::Failed(error))
            }
        }
    }
}

impl Drop for PendingQuery<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.connection.cancel_and_discard();
        }
    }
}
