//! The operations on the table of learnings.

use super::PostgresTarget;
use super::connection::{Connector, Query};
use super::error::{PostgresError, QueryError, storage_error};
use super::options::PostgresOptions;
use super::pool::Pool;
use super::schema::{self, Defect};
use super::statements::{self, BatchResult, Delete, State, Statements, operand};
use crate::storage::LearningsTable;
use crate::telemetry::metrics::{PoolState, StorageMetrics};
use delete_learning::storage::Deletion;
use delete_learning::{Condition, Learning, Outcome, StorageError, StorageErrorKind};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio_postgres::Row;

/// Maximum number of times that a delete is tried while other transactions change its record.
const MAX_ATTEMPTS: usize = 16;
/// The pause after the first conflict. It doubles with each further one.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(1);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The result of one try to delete.
enum Attempt {
    Finished(Deletion),
    /// Another transaction changed the record meanwhile. Nothing was deleted.
    Conflict,
    /// The condition holds, and a trigger, a rule or row-level security retained the record.
    Vetoed,
}

/// The table of learnings, and the connections to its database.
pub(super) struct Table {
    pool: Pool,
    /// Set once the table was found or created. Until then every request checks it, and none waits for another.
    statements: OnceLock<Statements>,
    schema: String,
    table: LearningsTable,
    /// Time after which a conflict is not retried.
    retry_timeout: Duration,
    metrics: StorageMetrics,
}

impl Table {
    pub(super) fn new(
        target: &PostgresTarget,
        table: &LearningsTable,
        options: &PostgresOptions,
    ) -> Result<Self, PostgresError> {
        let connector = Connector::new(target, options)?;
        Ok(Self {
            pool: Pool::new(connector, options.max_connections, options)?,
            statements: OnceLock::new(),
            schema: target.schema.clone(),
            table: table.clone(),
            retry_timeout: options.statement_timeout(),
            metrics: StorageMetrics::new("postgresql"),
        })
    }

    pub(super) const fn metrics(&self) -> &StorageMetrics {
        &self.metrics
    }

    pub(super) fn pool_state(&self) -> PoolState<'_> {
        self.pool.state()
    }

    /// Counts a delete that waited too long for a connection before it came to the pool.
    pub(super) fn record_timeout(&self) {
        self.pool.record_timeout();
    }

    /// Finds or creates the table, once, and returns the statements on it.
    pub(super) async fn statements(&self) -> Result<&Statements, StorageError> {
        if let Some(statements) = self.statements.get() {
            return Ok(statements);
        }
        match schema::prepare(&self.pool, &self.schema, &self.table).await {
            Ok(Ok(usable)) => {
                Ok(self.statements.get_or_init(|| Statements::new(&self.schema, &self.table.name, usable)))
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

    /// Deletes a record with a statement of its own.
    pub(super) async fn delete(&self, id: &str, condition: &Condition) -> Result<Deletion, StorageError> {
        let delete = self.statements().await?.for_condition(condition);
        let mut delay = MIN_RETRY_DELAY;
        let start = Instant::now();
        for attempt in 0..MAX_ATTEMPTS {
            // Each attempt can wait for locks. Together they must not take longer than the policy is given.
            if attempt > 0 && start.elapsed() > self.retry_timeout {
                break;
            }
            match self.delete_once(delete, id, condition).await? {
                Attempt::Finished(deletion) => return Ok(deletion),
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
        let Delete { delete, state, .. } = delete;
        let mut operand = operand(condition).map(Some);
        let mut rows = self.query(delete, id, operand).await;
        if rows.as_ref().is_err_and(QueryError::is_unstorable_text) && operand.is_some() {
            // No owner is a text that the database cannot store. The statement still reports the owner's state.
            operand = Some(None);
            rows = self.query(delete, id, operand).await;
        }
        let deleted = match rows {
            Ok(rows) => statements::delete_result(&rows).ok_or(QueryError::UnexpectedResult),
            // No id is such a text either.
            Err(error) if error.is_unstorable_text() => return Ok(Attempt::Finished(Outcome::Absent.into())),
            Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
            Err(error) => Err(error),
        };
        let deleted = deleted.map_err(|error| self.storage_error(&error, true))?;
        let is_deleted = match deleted.state {
            State::Outcome(Outcome::Deleted) if deleted.has_triggers => true,
            State::Outcome(outcome) => return Ok(Attempt::Finished(Deletion { outcome, record: deleted.record })),
            State::ConditionHolds => false,
        };
        let after = self.query(state, id, operand).await;
        let after = after.and_then(|rows| statements::state_after(&rows).ok_or(QueryError::UnexpectedResult));
        let (state, xmin) = after.map_err(|error| {
            let error = self.storage_error(&error, false);
            // The delete is committed; whether a trigger retained the record is unknown.
            if is_deleted { StorageError { kind: StorageErrorKind::OutcomeUnknown, ..error } } else { error }
        })?;
        let deletion = Deletion { outcome: Outcome::Deleted, record: deleted.record };
        Ok(match state {
            // The delete's own transaction left it there. Another one can have inserted it again, which is no veto.
            _ if is_deleted && xmin.is_some() && xmin == deleted.transaction => Attempt::Vetoed,
            _ if is_deleted => Attempt::Finished(deletion),
            State::Outcome(outcome) => Attempt::Finished(outcome.into()),
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

    /// Whether there can be batches. Until the table was checked, there are none.
    pub(super) fn has_batches(&self) -> bool {
        self.statements.get().is_some_and(Statements::has_batches)
    }

    /// Whether a delete can be part of a batch.
    pub(super) fn can_batch(&self, id: &str, condition: &Condition) -> bool {
        self.statements.get().is_some_and(|statements| statements.can_batch(id, condition))
    }

    /// Deletes records with one statement. Each id is there at most once, and all conditions are of one kind.
    pub(super) async fn delete_batch(&self, deletes: &[(&str, &Condition)]) -> Result<BatchResult, QueryError> {
        // Only a table that was checked has batches.
        let Some((statements, (_, condition))) = self.statements.get().zip(deletes.first()) else {
            return Ok(BatchResult { deletions: deletes.iter().map(|_| None).collect(), has_triggers: false });
        };
        let batch = &statements.for_condition(condition).batch;
        let (ids, operands): (Vec<&str>, Vec<Option<&str>>) =
            deletes.iter().map(|(id, condition)| (*id, operand(condition))).unzip();
        let rows = match condition {
            Condition::Any => self.pool.query(batch, &[&ids]).await,
            Condition::OwnedBy(_) | Condition::Unchanged(_) => self.pool.query(batch, &[&ids, &operands]).await,
        };
        if let Err(QueryError::PoolTimeout(_)) = rows {
            // The pool counted the statement as one request.
            (1..deletes.len()).for_each(|_| self.pool.record_timeout());
        }
        statements::batch_result(&rows?, deletes.len()).ok_or(QueryError::UnexpectedResult)
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Learning>, StorageError> {
        let statements = self.statements().await?;
        let rows = match self.pool.query(&statements.find, &[&id]).await {
            Err(error) if error.is_unstorable_text() => return Ok(None),
            rows => rows.map_err(|error| self.storage_error(&error, false))?,
        };
        let learning = rows.first().map(statements::learning).transpose();
        learning.map_err(|error| self.storage_error(&QueryError::Failed(error), false))
    }

    /// Checks that the table exists, that its records can be deleted, and that the server accepts writes.
    pub(super) async fn check(&self) -> Result<(), StorageError> {
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

    pub(super) fn storage_error(&self, error: &QueryError, is_delete: bool) -> StorageError {
        storage_error(&self.qualified(), error, is_delete)
    }

    fn qualified(&self) -> String {
        statements::qualify(&self.schema, &self.table.name)
    }
}
