//! Learnings in PostgreSQL, or in a database that speaks its protocol.
//!
//! The server keeps no state: several can use one database, and each finds the primary among the hosts of its URL. A
//! statement is its own transaction, and nothing is held between two statements.
//!
//! A delete that arrives while few others are executed is one statement, which is sent at once. Deletes that arrive
//! meanwhile share the next statement (`delete_queue.rs`): one round trip, one snapshot and one sync for many, and no request
//! waits for others to arrive.

mod accounts;
mod connection;
mod delete_queue;
mod error;
mod hosts;
mod metrics;
mod options;
mod parameters;
mod password_file;
mod pool;
mod schema;
mod statements;
mod table;
mod tls;
mod tls_settings;
mod url;

pub use accounts::PostgresAccounts;
pub use error::{ConnectError, Origin, PostgresError, TlsError, UrlError};
pub use options::PostgresOptions;
pub use url::{PostgresUrl, UrlContext};

use super::LearningsTable;
use crate::telemetry::metrics::Operation;
use delete_learning::storage::{Deletion, Intent};
use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
use delete_queue::{Delete, DeleteQueue};
use std::sync::Arc;
use table::Table;
use tokio::sync::Semaphore;

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

impl PostgresTarget {
    /// Checks the files of certificates and keys, without a connection.
    ///
    /// # Errors
    /// [`TlsError`] if one of them cannot be used.
    pub fn check_files(&self, options: &PostgresOptions) -> Result<(), TlsError> {
        connection::Connector::new(self, options).map(drop)
    }
}

/// The table of learnings in a PostgreSQL database.
pub struct PostgresStore {
    table: Arc<Table>,
    deletes: DeleteQueue,
    permits: Semaphore,
    max_in_flight: usize,
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
        let table = Arc::new(Table::new(target, table, options)?);
        match table.statements().await.map(drop) {
            Ok(()) => {}
            Err(error) if error.kind == StorageErrorKind::Unavailable => {
                tracing::warn!(error = error.message, "database unavailable; its requests are answered 503");
            }
            Err(error) => return Err(PostgresError::Refused(error.message)),
        }
        let max_in_flight = max_in_flight.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            deletes: DeleteQueue::new(Arc::clone(&table), options),
            table,
            permits: Semaphore::new(max_in_flight),
            max_in_flight,
        })
    }
}

impl LearningStore for PostgresStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(self.table.metrics().measure(Operation::Find, async move { self.table.find(&id).await }))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move {
            let deleted = self.deletes.delete(Delete { id, condition, intent: None });
            self.table.metrics().measure(Operation::Delete, deleted).await.map(|deletion| deletion.outcome)
        })
    }

    fn delete_with_intent(
        &self,
        id: String,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        let deleted = self.deletes.delete(Delete { id, condition, intent: Some(intent) });
        Box::pin(self.table.metrics().measure(Operation::Delete, deleted))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.table.metrics().measure(Operation::Check, self.table.check()))
    }

    fn permits(&self) -> Option<&Semaphore> {
        Some(&self.permits)
    }
}
