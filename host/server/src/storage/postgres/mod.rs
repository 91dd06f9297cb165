//! Learnings in PostgreSQL, or in a database that speaks its protocol.
//!
//! The server keeps no state: several can use one database, and each finds the primary among the hosts of its URL. A
//! delete is one statement on one connection, and nothing is held between two statements.

mod accounts;
mod connection;
mod error;
mod options;
mod pool;
mod schema;
mod statements;
mod tls;
mod url;

pub use accounts::PostgresAccounts;
pub use error::{ConnectError, PostgresError, TlsError, UrlError};
pub use options::PostgresOptions;
pub use url::PostgresUrl;

use connection::Connector;
use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
use error::{QueryError, storage_error};
use pool::Pool;
use schema::Table;
use statements::{DeleteResult, Statements};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How a database is connected to.
#[derive(Clone)]
pub struct PostgresTarget {
    /// Its URL.
    pub url: PostgresUrl,
    /// The schema of the table.
    pub schema: String,
    /// Whether a pooler in transaction mode is between.
    pub transaction_pooling: bool,
}

/// The table of learnings in a PostgreSQL database.
pub struct PostgresStore {
    pool: Pool,
    statements: Statements,
    schema: String,
    table: String,
    /// How long a delete that conflicts with other transactions is retried.
    retry_timeout: Duration,
    /// Set once the table was found or created. Until then every request checks it, and none waits for another.
    prepared: AtomicBool,
    permits: Semaphore,
}

impl PostgresStore {
    /// Connects, and finds the table or creates it as Agno does. At most `max_in_flight` requests use the store at once.
    ///
    /// If the database cannot be reached now, this logs a warning, and the first request that reaches it does the rest.
    ///
    /// # Errors
    /// [`PostgresError`] if the database refuses, or the table holds something else than learnings.
    pub async fn open(
        target: &PostgresTarget,
        table: &str,
        options: &PostgresOptions,
        max_in_flight: usize,
    ) -> Result<Self, PostgresError> {
        let connector = Connector::new(target, options)?;
        let store = Self {
            pool: Pool::new(connector, options.max_connections, options)?,
            statements: Statements::new(&target.schema, table),
            schema: target.schema.clone(),
            table: table.to_owned(),
            retry_timeout: options.statement_timeout(),
            prepared: AtomicBool::new(false),
            permits: Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)),
        };
        match store.prepare().await {
            Ok(()) => Ok(store),
            Err(error) if error.kind == StorageErrorKind::Unavailable => {
                tracing::warn!(error = error.message, "database unavailable; its requests are answered 503");
                Ok(store)
            }
            Err(error) => Err(PostgresError::Refused(error.message)),
        }
    }

    /// Finds or creates the table, once.
    async fn prepare(&self) -> Result<(), StorageError> {
        if self.prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        match schema::prepare(&self.pool, &self.schema, &self.table).await {
            Ok(Table::Learnings) => {
                self.prepared.store(true, Ordering::Release);
                Ok(())
            }
            Ok(Table::MissingColumn(column)) => {
                let reason = format!("the table {} has no column {column}, so it holds no learnings", self.qualified());
                Err(StorageError::new(StorageErrorKind::Internal, reason))
            }
            Err(error) => Err(self.storage_error(&error, false)),
        }
    }

    async fn delete(&self, id: &str, condition: &Condition) -> Result<Outcome, StorageError> {
        self.prepare().await?;
        let start = Instant::now();
        loop {
            match self.delete_once(id, condition).await {
                Ok(DeleteResult::Outcome(outcome)) => return Ok(outcome),
                Ok(DeleteResult::Conflict) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(self.storage_error(&error, true)),
            }
            if start.elapsed() >= self.retry_timeout {
                let reason = format!("PostgreSQL, {}: the record kept changing", self.qualified());
                return Err(StorageError::new(StorageErrorKind::Unavailable, reason));
            }
        }
    }

    async fn delete_once(&self, id: &str, condition: &Condition) -> Result<DeleteResult, QueryError> {
        let Statements { delete, delete_owned, delete_unchanged, .. } = &self.statements;
        let rows = match condition {
            Condition::Any => self.pool.query(delete, &[&id]).await,
            Condition::OwnedBy(user) => match self.pool.query(delete_owned, &[&id, user]).await {
                // No owner is a text that the database cannot store. The statement still reports the owner's state.
                Err(error) if error.is_unstorable_text() => self.pool.query(delete_owned, &[&id, &None::<&str>]).await,
                rows => rows,
            },
            Condition::Unchanged(revision) => self.pool.query(delete_unchanged, &[&id, revision]).await,
        };
        match rows {
            Ok(rows) => statements::delete_result(&rows).ok_or(QueryError::UnexpectedResult),
            // No id is such a text either.
            Err(error) if error.is_unstorable_text() => Ok(DeleteResult::Outcome(Outcome::Absent)),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Learning>, StorageError> {
        self.prepare().await?;
        let rows = match self.pool.query(&self.statements.find, &[&id]).await {
            Err(error) if error.is_unstorable_text() => return Ok(None),
            rows => rows.map_err(|error| self.storage_error(&error, false))?,
        };
        let learning = rows.first().map(statements::learning).transpose();
        learning.map_err(|error| self.storage_error(&QueryError::Failed(error), false))
    }

    /// Checks that the table exists and the server accepts writes.
    async fn check(&self) -> Result<(), StorageError> {
        self.prepare().await?;
        let rows = self.pool.query(&self.statements.check, &[]).await;
        let rows = rows.map_err(|error| self.storage_error(&error, false))?;
        match rows.first().and_then(|row| row.try_get(0).ok()) {
            Some("off") => Ok(()),
            _ => {
                let reason = format!("PostgreSQL, {}: the server is read-only", self.qualified());
                Err(StorageError::new(StorageErrorKind::Unavailable, reason))
            }
        }
    }

    fn storage_error(&self, error: &QueryError, is_delete: bool) -> StorageError {
        storage_error(&self.qualified(), error, is_delete)
    }

    fn qualified(&self) -> String {
        statements::qualify(&self.schema, &self.table)
    }
}

impl LearningStore for PostgresStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async move { Self::find(self, &id).await })
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move { Self::delete(self, &id, &condition).await })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(Self::check(self))
    }

    fn permits(&self) -> Option<&Semaphore> {
        Some(&self.permits)
    }
}
