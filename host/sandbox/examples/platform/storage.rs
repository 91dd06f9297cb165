//! The platform's table of learnings, in SQLite.

use delete_learning::storage::{Condition, LearningStore};
use delete_learning::{BoxFuture, Learning, Outcome, StorageError, StorageErrorKind};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the table.
pub(crate) const TABLE: &str = "learnings";

/// A revision is a random number, and every change gives the record a new one.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS learnings (
        learning_id TEXT PRIMARY KEY, learning_type TEXT NOT NULL DEFAULT 'user_memory', namespace TEXT, user_id TEXT,
        agent_id TEXT, team_id TEXT, workflow_id TEXT, session_id TEXT, entity_id TEXT, entity_type TEXT,
        content TEXT NOT NULL, metadata TEXT, created_at INTEGER NOT NULL DEFAULT (unixepoch()), updated_at INTEGER,
        revision TEXT NOT NULL DEFAULT (hex(randomblob(16)))
    );
    CREATE TRIGGER IF NOT EXISTS learnings_revision AFTER UPDATE ON learnings WHEN new.revision = old.revision BEGIN
        UPDATE learnings SET revision = hex(randomblob(16)) WHERE learning_id = new.learning_id;
    END;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
";

/// The table, behind one connection. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct SqliteLearnings(Arc<Mutex<Connection>>);

impl SqliteLearnings {
    /// Opens the file, and creates the table if it does not exist.
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // Shorter than the execution timeout of the policy, so that a locked database is an error instead of a timeout.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Inserts a record.
    pub(crate) fn insert(&self, id: &str, owner: Option<&str>, content: &str) -> rusqlite::Result<()> {
        let insert = "INSERT INTO learnings (learning_id, user_id, content) VALUES (?, ?, ?)";
        self.with(|connection| connection.execute(insert, params![id, owner, content]))?;
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        // A panic cannot leave a transaction open, because dropping a transaction rolls it back.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs this on a thread for blocking work, so that SQLite does not block the runtime.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let learnings = self.clone();
        match tokio::task::spawn_blocking(move || learnings.with(work)).await {
            Ok(result) => result.map_err(|error| storage_error(&error)),
            Err(panic) => Err(StorageError::new(StorageErrorKind::OutcomeUnknown, panic.to_string())),
        }
    }
}

impl LearningStore for SqliteLearnings {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(self.run(move |connection| {
            connection.query_row("SELECT * FROM learnings WHERE learning_id = ?", [id], learning).optional()
        }))
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(self.run(move |connection| delete(connection, &id, &condition)))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.run(|connection| connection.execute_batch("SELECT 1 FROM learnings LIMIT 0")))
    }
}

/// Deletes a record in one transaction, which also finds out why it was not deleted.
fn delete(connection: &mut Connection, id: &str, condition: &Condition) -> rusqlite::Result<Outcome> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = match condition {
        Condition::Any => transaction.execute("DELETE FROM learnings WHERE learning_id = ?", [id])?,
        Condition::OwnedBy(user) => {
            transaction.execute("DELETE FROM learnings WHERE learning_id = ? AND user_id = ?", [id, user])?
        }
        Condition::Unchanged(revision) => {
            transaction.execute("DELETE FROM learnings WHERE learning_id = ? AND revision = ?", [id, revision])?
        }
    };
    let owner: Option<Option<String>> = transaction
        .query_row("SELECT user_id FROM learnings WHERE learning_id = ?", [id], |row| row.get(0))
        .optional()?;
    transaction.commit()?;
    Ok(match (owner, condition) {
        _ if deleted > 0 => Outcome::Deleted,
        (None, _) => Outcome::Absent,
        (Some(None), Condition::OwnedBy(_)) => Outcome::Unowned,
        (Some(Some(_)), Condition::OwnedBy(_)) => Outcome::OwnedByAnother,
        (Some(_), Condition::Unchanged(_) | Condition::Any) => Outcome::Changed,
    })
}

fn learning(row: &Row<'_>) -> rusqlite::Result<Learning> {
    Ok(Learning {
        learning_type: row.get("learning_type")?,
        namespace: row.get("namespace")?,
        user_id: row.get("user_id")?,
        agent_id: row.get("agent_id")?,
        team_id: row.get("team_id")?,
        workflow_id: row.get("workflow_id")?,
        session_id: row.get("session_id")?,
        entity_id: row.get("entity_id")?,
        entity_type: row.get("entity_type")?,
        content: row.get("content")?,
        metadata: row.get("metadata")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        revision: row.get("revision")?,
    })
}

/// In each case the transaction was rolled back, so nothing was deleted.
fn storage_error(error: &rusqlite::Error) -> StorageError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StorageErrorKind::Unavailable,
        _ => StorageErrorKind::Internal,
    };
    StorageError::new(kind, error.to_string())
}
