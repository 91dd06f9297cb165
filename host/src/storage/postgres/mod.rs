//! Learnings in PostgreSQL, or in what speaks its protocol.
//!
//! The host keeps no state of its own: several may work on one database, and each finds the primary among the hosts that
//! its URL names. A delete is one statement on one connection; nothing is ever held between two.

mod accounts;
mod errors;
mod pool;
mod schema;
mod session;
mod statements;
mod tls;
mod url;

pub use accounts::PostgresAccounts;
pub use session::ConnectError;
pub use tls::TlsError;
pub use url::{PostgresUrl, UrlError};

use super::{Condition, Table};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind};
use crate::limits::Limits;
use pool::{AskError, Sessions};
use schema::Found;
use session::Connector;
use statements::{Ending, Statements};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_postgres::error::SqlState;

/// The table of learnings in a PostgreSQL database.
pub struct PostgresTable {
    sessions: Sessions,
    statements: Statements,
    schema: String,
    table: String,
    /// For how long a record that changes hands again and again is tried for.
    patience: Duration,
    /// Set once the table was found or made. Until then every request looks, and none waits for another.
    prepared: AtomicBool,
    turns: Semaphore,
}

/// Why a PostgreSQL database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The pool of connections cannot be set up.
    #[error("the pool of connections cannot be set up: {0}")]
    Pool(#[from] deadpool::managed::BuildError),
    /// The database refuses, and will until something is changed.
    #[error("{0}")]
    Refused(String),
}

impl PostgresTable {
    /// Connects, and finds the table, or creates it as Agno does. Where the database cannot be reached now, that is said
    /// in the log, and is done when it can be.
    ///
    /// # Errors
    /// Where the database refuses, or its table holds something else.
    pub async fn open(
        url: &PostgresUrl,
        transaction_pooling: bool,
        schema: &str,
        table: &str,
        limits: &Limits,
    ) -> Result<Self, PostgresError> {
        let statements = Statements::on(schema, table);
        let connector = Connector::new(url, transaction_pooling, limits)?;
        let sessions = Sessions::new(connector, limits.database_connections, limits)?;
        let (schema, table) = (schema.to_owned(), table.to_owned());
        let prepared = AtomicBool::new(false);
        let (patience, turns) = (limits.database_statement(), limits.database_turns());
        let opened = Self { sessions, statements, schema, table, patience, prepared, turns };
        match opened.prepare().await {
            Ok(()) => {}
            Err(error) if error.kind == StorageErrorKind::Unavailable => {
                tracing::warn!(
                    error = error.message,
                    "a database cannot be reached yet; its requests are answered 503"
                );
            }
            Err(error) => return Err(PostgresError::Refused(error.message)),
        }
        Ok(opened)
    }
}

impl PostgresTable {
    /// Makes sure, once, that the table is there and holds learnings.
    async fn prepare(&self) -> Result<(), StorageError> {
        if self.prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        match schema::prepare(&self.sessions, &self.schema, &self.table).await {
            Ok(Found::Learnings) => {
                self.prepared.store(true, Ordering::Release);
                Ok(())
            }
            Ok(Found::Foreign(column)) => {
                let reason = format!("the table {} has no column {column}, so it holds no learnings", self.place());
                Err(StorageError::new(StorageErrorKind::Internal, reason))
            }
            Err(error) => Err(self.explain(&error, false)),
        }
    }

    async fn delete(&self, id: &str, condition: &Condition) -> Result<Outcome, StorageError> {
        self.prepare().await?;
        let start = Instant::now();
        loop {
            match self.delete_once(id, condition).await {
                Ok(Ending::Outcome(outcome)) => return Ok(outcome),
                Ok(Ending::Raced) => {}
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(self.explain(&error, true)),
            }
            if start.elapsed() >= self.patience {
                let reason = format!("PostgreSQL, {}: the record changed hands all the time", self.place());
                return Err(StorageError::new(StorageErrorKind::Unavailable, reason));
            }
        }
    }

    async fn delete_once(&self, id: &str, condition: &Condition) -> Result<Ending, AskError> {
        let rows = match condition {
            Condition::Any => self.sessions.ask(&self.statements.delete, &[&id]).await,
            Condition::OwnedBy(user) => match self.sessions.ask(&self.statements.delete_owned, &[&id, user]).await {
                // No record's owner is a text that the database cannot hold. Whose it is, is asked all the same.
                Err(error) if is_unstorable_text(&error) => {
                    self.sessions.ask(&self.statements.delete_owned, &[&id, &None::<&str>]).await
                }
                answered => answered,
            },
            Condition::Unchanged(revision) => {
                self.sessions.ask(&self.statements.delete_unchanged, &[&id, revision]).await
            }
        };
        match rows {
            Ok(rows) => statements::ending(&rows).ok_or(AskError::Unintelligible),
            // No record's id is such a text either.
            Err(error) if is_unstorable_text(&error) => Ok(Ending::Outcome(Outcome::Absent)),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Learning>, StorageError> {
        self.prepare().await?;
        let rows = match self.sessions.ask(&self.statements.find, &[&id]).await {
            Err(error) if is_unstorable_text(&error) => return Ok(None),
            rows => rows.map_err(|error| self.explain(&error, false))?,
        };
        let learning = rows.first().map(statements::learning).transpose();
        learning.map_err(|error| self.explain(&AskError::Failed(error), false))
    }

    /// Whether the table is there, on a server that takes writes.
    async fn check(&self) -> Result<(), StorageError> {
        self.prepare().await?;
        let rows = self.sessions.ask(&self.statements.check, &[]).await;
        let rows = rows.map_err(|error| self.explain(&error, false))?;
        match rows.first().and_then(|row| row.try_get(0).ok()) {
            Some("off") => Ok(()),
            _ => {
                let reason = format!("PostgreSQL, {}: the server is read-only", self.place());
                Err(StorageError::new(StorageErrorKind::Unavailable, reason))
            }
        }
    }

    fn explain(&self, error: &AskError, writing: bool) -> StorageError {
        errors::explain(&self.place(), error, writing)
    }

    fn place(&self) -> String {
        statements::place(&self.schema, &self.table)
    }
}

fn has_code(error: &AskError, is: fn(&SqlState) -> bool) -> bool {
    matches!(error, AskError::Failed(error) if error.code().is_some_and(is))
}

fn is_conflict(error: &AskError) -> bool {
    has_code(error, errors::is_conflict)
}

fn is_unstorable_text(error: &AskError) -> bool {
    has_code(error, errors::is_unstorable_text)
}

impl Table for PostgresTable {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async move { Self::find(self, &id).await })
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move { Self::delete(self, &id, &condition).await })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(Self::check(self))
    }

    fn turns(&self) -> Option<&Semaphore> {
        Some(&self.turns)
    }
}
