//! Learnings in PostgreSQL, or in a database that speaks its protocol.
//!
//! The server keeps no state: several can use one database, and each finds the primary among the hosts of its URL. A
//! delete is one statement on one connection, and nothing is held between two statements.

mod accounts;
mod connection;
mod error;
mod hosts;
mod options;
mod parameters;
mod password_file;
mod pool;
mod schema;
mod statements;
mod tls;
mod tls_settings;
mod url;

pub use accounts::PostgresAccounts;
pub use error::{ConnectError, Origin, PostgresError, TlsError, UrlError};
pub use options::PostgresOptions;
pub use url::{PostgresUrl, UrlContext};

use super::LearningsTable;
use connection::{Connector, Query};
use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
use error::{QueryError, storage_error};
use pool::Pool;
use schema::{Defect, Usable};
use statements::{Delete, State, Statements};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_postgres::Row;

/// How a database is connected to.
#[derive(Clone)]
pub struct PostgresTarget {
    /// Its URL.
    pub url: PostgresUrl,
    /// The schema of the table.
    pub schema: String,
    /// Whether the server connects through a pooler in transaction mode.
    pub transaction_pooling: bool,
}

/// Maximum number of times that a delete is tried while other transactions change its record.
const MAX_ATTEMPTS: usize = 16;
/// The pause after the first conflict. It doubles with each further one.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(1);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The result of one try to delete.
enum Attempt {
    Finished(Outcome),
    /// Another transaction changed the record meanwhile. Nothing was deleted.
    Conflict,
    /// The condition holds, and a trigger, a rule or row-level security retained the record.
    Vetoed,
}

/// The table of learnings in a PostgreSQL database.
pub struct PostgresStore {
    pool: Pool,
    /// Set once the table was found or created. Until then every request checks it, and none waits for another.
    statements: OnceLock<Statements>,
    schema: String,
    table: LearningsTable,
    permits: Semaphore,
    /// Time after which a conflict is not retried.
    retry_timeout: Duration,
}

impl PostgresStore {
    /// Connects and checks the table of learnings. At most `max_in_flight` requests use the store at once.
    ///
    /// If the database cannot be reached now, this logs a warning, and the first request that reaches it does the rest.
    ///
    /// # Errors
    /// [`PostgresError`] if the database refuses, or the table holds something else than learnings.
    pub async fn open(
        target: &PostgresTarget,
        table: &LearningsTable,
        options: &PostgresOptions,
        max_in_flight: usize,
    ) -> Result<Self, PostgresError> {
        let connector = Connector::new(target, options)?;
        let store = Self {
            pool: Pool::new(connector, options.max_connections, options)?,
            statements: OnceLock::new(),
            schema: target.schema.clone(),
            table: table.clone(),
            permits: Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)),
            retry_timeout: options.statement_timeout(),
        };
        match store.statements().await.map(drop) {
            Ok(()) => Ok(store),
            Err(error) if error.kind == StorageErrorKind::Unavailable => {
                tracing::warn!(error = error.message, "database unavailable; its requests are answered 503");
                Ok(store)
            }
            Err(error) => Err(PostgresError::Refused(error.message)),
        }
    }

    /// Finds or creates the table, once, and returns the statements on it.
    async fn statements(&self) -> Result<&Statements, StorageError> {
        if let Some(statements) = self.statements.get() {
            return Ok(statements);
        }
        match schema::prepare(&self.pool, &self.schema, &self.table).await {
            Ok(Ok(Usable { can_read_xmin })) => {
                Ok(self.statements.get_or_init(|| Statements::new(&self.schema, &self.table.name, can_read_xmin)))
            }
            Ok(Err(defect)) => {
                let kind = match defect {
                    Defect::Missing { .. } => StorageErrorKind::UnknownTable,
                    _ => StorageErrorKind::Internal,
                };
                Err(StorageError::new(kind, format!("the table {} {defect}", self.qualified())))
            }
            Err(error) => Err(self.storage_error(&error, false)),
        }
    }

    async fn delete(&self, id: &str, condition: &Condition) -> Result<Outcome, StorageError> {
        let delete = self.statements().await?.for_condition(condition);
        let mut delay = MIN_RETRY_DELAY;
        let start = Instant::now();
        for attempt in 0..MAX_ATTEMPTS {
            // Each attempt can wait for locks. Together they must not take longer than the policy is given.
            if attempt > 0 && start.elapsed() > self.retry_timeout {
                break;
            }
            match self.delete_once(delete, id, condition).await? {
                Attempt::Finished(outcome) => return Ok(outcome),
                Attempt::Vetoed => {
                    let message = format!("vetoed: PostgreSQL, {}, retained the record", self.qualified());
                    return Err(StorageError::new(StorageErrorKind::Internal, message));
                }
                Attempt::Conflict => {}
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
        let reason = format!("PostgreSQL, {}: the record kept changing", self.qualified());
        Err(StorageError::new(StorageErrorKind::Unavailable, reason))
    }

    async fn delete_once(&self, delete: &Delete, id: &str, condition: &Condition) -> Result<Attempt, StorageError> {
        let Delete { delete, state } = delete;
        let mut operand = match condition {
            Condition::Any => None,
            Condition::OwnedBy(text) | Condition::Unchanged(text) => Some(Some(text.as_str())),
        };
        let mut rows = self.query(delete, id, operand).await;
        if rows.as_ref().is_err_and(QueryError::is_unstorable_text) && operand.is_some() {
            // No owner is a text that the database cannot store. The statement still reports the owner's state.
            operand = Some(None);
            rows = self.query(delete, id, operand).await;
        }
        let deleted = match rows {
            Ok(rows) => statements::delete_result(&rows).ok_or(QueryError::UnexpectedResult),
            // No id is such a text either.
            Err(error) if error.is_unstorable_text() => return Ok(Attempt::Finished(Outcome::Absent)),
            Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
            Err(error) => Err(error),
        };
        let deleted = deleted.map_err(|error| self.storage_error(&error, true))?;
        let is_deleted = match deleted.state {
            State::Outcome(Outcome::Deleted) if deleted.has_triggers => true,
            State::Outcome(outcome) => return Ok(Attempt::Finished(outcome)),
            State::ConditionHolds => false,
        };
        let after = self.query(state, id, operand).await;
        let after = after.and_then(|rows| statements::state_after(&rows).ok_or(QueryError::UnexpectedResult));
        let (state, xmin) = after.map_err(|error| {
            let error = self.storage_error(&error, false);
            // The delete is committed; whether a trigger retained the record is unknown.
            if is_deleted { StorageError { kind: StorageErrorKind::OutcomeUnknown, ..error } } else { error }
        })?;
        Ok(match state {
            State::Outcome(Outcome::Absent) if is_deleted => Attempt::Finished(Outcome::Deleted),
            // Another transaction can have inserted the record again; only the delete's own transaction is a veto.
            _ if is_deleted && xmin != deleted.transaction => Attempt::Finished(Outcome::Deleted),
            _ if is_deleted => Attempt::Vetoed,
            State::Outcome(outcome) => Attempt::Finished(outcome),
            State::ConditionHolds if xmin == deleted.xmin || xmin == deleted.transaction => Attempt::Vetoed,
            State::ConditionHolds => Attempt::Conflict,
        })
    }

    /// Runs a query for this id and, if there is one, the operand of the condition.
    async fn query(&self, query: &Query, id: &str, operand: Option<Option<&str>>) -> Result<Vec<Row>, QueryError> {
        match operand {
            None => self.pool.query(query, &[&id]).await,
            Some(operand) => self.pool.query(query, &[&id, &operand]).await,
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Learning>, StorageError> {
        let statements = self.statements().await?;
        let rows = match self.pool.query(&statements.find, &[&id]).await {
            Err(error) if error.is_unstorable_text() => return Ok(None),
            rows => rows.map_err(|error| self.storage_error(&error, false))?,
        };
        let learning = rows.first().map(statements::learning).transpose();
        learning.map_err(|error| self.storage_error(&QueryError::Failed(error), false))
    }

    /// Checks that the table exists, that its records can be deleted, and that the server accepts writes.
    async fn check(&self) -> Result<(), StorageError> {
        let statements = self.statements().await?;
        let rows = self.pool.query(&statements.check, &[]).await;
        let rows = rows.map_err(|error| self.storage_error(&error, false))?;
        let row = rows.first();
        let (kind, reason) = match row.and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))) {
            Some(("off", true)) => return Ok(()),
            Some(("off", false)) => (StorageErrorKind::Internal, "the privilege DELETE is missing"),
            _ => (StorageErrorKind::Unavailable, "the server is read-only"),
        };
        Err(StorageError::new(kind, format!("PostgreSQL, {}: {reason}", self.qualified())))
    }

    fn storage_error(&self, error: &QueryError, is_delete: bool) -> StorageError {
        storage_error(&self.qualified(), error, is_delete)
    }

    fn qualified(&self) -> String {
        statements::qualify(&self.schema, &self.table.name)
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
