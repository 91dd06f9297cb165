//! Resolves a request to one record in one table of one database.

use super::{Condition, Deletion, Intent, LearningStore, RecordStorage};
use crate::BoxFuture;
use crate::contract::{DeleteRequest, Learning, Outcome, StorageError, StorageErrorKind, Target};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A table of learnings in a database.
#[derive(Clone)]
pub struct Database {
    /// The id of the database, which a request gives as `db_id`. Several tables can have the same.
    pub id: String,
    /// The name of the table, which a request gives as `table`. Unique among those with the same id.
    pub table: String,
    /// The table.
    pub store: Arc<dyn LearningStore>,
}

/// The tables of learnings of a deployment. Without `table`, a request means the first one of its database.
#[derive(Clone)]
pub struct Databases(pub Vec<Database>);

impl Databases {
    /// Returns the record that a request names. If it names none, every function of the result returns the reason.
    ///
    /// An empty `db_id` or `table` counts as absent. Without `db_id` the only database is meant, without `table` the first
    /// table of the database.
    #[must_use]
    pub fn record(&self, request: &DeleteRequest) -> Arc<dyn RecordStorage> {
        match self.resolve(request) {
            Ok(record) => Arc::new(record),
            Err(error) => Arc::new(UnresolvedRecord(error)),
        }
    }

    /// The database and the table that a request names; `None` if it names none. Reads no database.
    #[must_use]
    pub fn target(&self, request: &DeleteRequest) -> Option<Target> {
        let Record { database: Database { id, table, .. }, .. } = self.resolve(request).ok()?;
        Some(Target { database: id, table })
    }

    fn resolve(&self, request: &DeleteRequest) -> Result<Record, StorageError> {
        let error = |kind, message: &str| Err(StorageError::new(kind, message));
        let db_id = request.db_id.as_deref().filter(|id| !id.is_empty());
        let table = request.table.as_deref().filter(|table| !table.is_empty());

        let Some(first) = self.0.first() else {
            let kind = if db_id.is_some() { StorageErrorKind::UnknownDatabase } else { StorageErrorKind::Unsupported };
            return error(kind, "there is no database");
        };
        if db_id.is_none() && self.0.iter().any(|database| database.id != first.id) {
            return error(StorageErrorKind::DatabaseRequired, "db_id is missing; there are several databases");
        }
        let id = db_id.unwrap_or(&first.id);
        let mut tables = self.0.iter().filter(|database| database.id == id).peekable();
        if tables.peek().is_none() {
            return error(StorageErrorKind::UnknownDatabase, "no database has this db_id");
        }
        let Some(database) = tables.find(|database| table.is_none_or(|table| table == database.table)) else {
            return error(StorageErrorKind::UnknownTable, "the table is no learnings table of this database");
        };
        let learning_id = request.learning_id.clone();
        Ok(Record { database: database.clone(), learning_id, table_requested: table.is_some() })
    }
}

/// A resolved record.
struct Record {
    database: Database,
    learning_id: String,
    /// Whether the request gave `table`.
    table_requested: bool,
}

impl Record {
    /// A missing table is the request's error only if the request gave `table`. Otherwise the deployment is broken.
    fn reclassify(&self, error: StorageError) -> StorageError {
        match error.kind {
            StorageErrorKind::UnknownTable if !self.table_requested => {
                StorageError { kind: StorageErrorKind::Internal, ..error }
            }
            _ => error,
        }
    }
}

impl RecordStorage for Record {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async {
            if self.table_requested {
                self.database.store.check().await?;
            }
            Ok(Target { database: self.database.id.clone(), table: self.database.table.clone() })
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            let found = self.database.store.find(self.learning_id.clone()).await;
            found.map_err(|error| self.reclassify(error))
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async {
            let outcome = self.database.store.delete(self.learning_id.clone(), condition).await;
            outcome.map_err(|error| self.reclassify(error))
        })
    }

    fn delete_with_intent(
        &self,
        condition: Condition,
        intent: Arc<dyn Intent>,
    ) -> BoxFuture<'_, Result<Deletion, StorageError>> {
        Box::pin(async {
            let deletion = self.database.store.delete_with_intent(self.learning_id.clone(), condition, intent).await;
            deletion.map_err(|error| self.reclassify(error))
        })
    }

    fn permits(&self) -> Option<&Semaphore> {
        self.database.store.permits()
    }
}

/// A record that cannot be resolved, with the reason that every function returns.
pub struct UnresolvedRecord(pub StorageError);

impl UnresolvedRecord {
    fn error<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, StorageError>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}

impl RecordStorage for UnresolvedRecord {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.error()
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.error()
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        self.error()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::{Database, Databases, DeleteRequest, StorageErrorKind};
    use std::sync::Arc;

    fn request(db_id: Option<&str>, table: Option<&str>) -> DeleteRequest {
        let text = |text: Option<&str>| text.map(str::to_owned);
        DeleteRequest { learning_id: "a".to_owned(), db_id: text(db_id), table: text(table) }
    }

    /// An embedder can have no database. `wit/storage.wit` specifies the error.
    #[test]
    fn deployment_without_databases_is_unsupported() {
        let kind = |db_id| Databases(Vec::new()).resolve(&request(db_id, None)).err().map(|error| error.kind);
        assert_eq!(kind(None), Some(StorageErrorKind::Unsupported));
        assert_eq!(kind(Some("")), Some(StorageErrorKind::Unsupported));
        assert_eq!(kind(Some("main")), Some(StorageErrorKind::UnknownDatabase));
    }

    /// As Agno selects the database: the id selects the list, the table its entry, by default the first.
    #[test]
    fn table_selects_among_the_tables_of_one_database() {
        let deployment = |tables: &[(&str, &str)]| {
            let database = |(id, table): &(&str, &str)| Database {
                id: (*id).to_owned(),
                table: (*table).to_owned(),
                store: Arc::new(MemoryStore::default()),
            };
            Databases(tables.iter().map(database).collect())
        };
        let resolve = |databases: &Databases, db_id, table| {
            let record = databases.resolve(&request(db_id, table));
            record.map(|record| (record.database.id, record.database.table)).map_err(|error| error.kind)
        };
        let found = |id: &str, table: &str| Ok((id.to_owned(), table.to_owned()));
        let one = deployment(&[("main", "a"), ("main", "b")]);
        let several = deployment(&[("main", "a"), ("other", "a"), ("main", "b"), ("other", "c")]);
        for databases in [&one, &several] {
            assert_eq!(resolve(databases, Some("main"), None), found("main", "a"));
            assert_eq!(resolve(databases, Some("main"), Some("")), found("main", "a"));
            assert_eq!(resolve(databases, Some("main"), Some("a")), found("main", "a"));
            assert_eq!(resolve(databases, Some("main"), Some("b")), found("main", "b"));
            assert_eq!(resolve(databases, Some("main"), Some("c")), Err(StorageErrorKind::UnknownTable));
            assert_eq!(resolve(databases, Some("third"), Some("a")), Err(StorageErrorKind::UnknownDatabase));
        }
        assert_eq!(resolve(&one, None, None), found("main", "a"));
        assert_eq!(resolve(&several, None, None), Err(StorageErrorKind::DatabaseRequired));
        assert_eq!(resolve(&several, Some("other"), Some("c")), found("other", "c"));
    }
}
