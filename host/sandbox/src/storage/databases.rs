//! Resolves a request to one record in one table of one database.

use super::{Condition, LearningStore, RecordStorage};
use crate::BoxFuture;
use crate::contract::{DeleteRequest, Learning, Outcome, StorageError, StorageErrorKind, Target};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A database with one table of learnings.
#[derive(Clone)]
pub struct Database {
    /// Its id, which a request gives as `db_id`.
    pub id: String,
    /// The name of the table, which a request gives as `table`.
    pub table: String,
    /// The table.
    pub store: Arc<dyn LearningStore>,
}

/// The databases of a deployment.
#[derive(Clone)]
pub struct Databases(pub Vec<Database>);

impl Databases {
    /// Returns the record that a request names. If it names none, every function of the result returns the reason.
    ///
    /// An empty `db_id` or `table` counts as absent. Without `db_id` the only database is meant.
    #[must_use]
    pub fn record(&self, request: &DeleteRequest) -> Arc<dyn RecordStorage> {
        match self.resolve(request) {
            Ok(record) => Arc::new(record),
            Err(error) => Arc::new(UnresolvedRecord(error)),
        }
    }

    fn resolve(&self, request: &DeleteRequest) -> Result<Record, StorageError> {
        let error = |kind, message: &str| Err(StorageError::new(kind, message));
        let db_id = request.db_id.as_deref().filter(|id| !id.is_empty());
        let table = request.table.as_deref().filter(|table| !table.is_empty());

        let database = match (db_id, self.0.as_slice()) {
            (Some(id), databases) => databases.iter().find(|database| database.id == id),
            (None, [only]) => Some(only),
            (None, []) => return error(StorageErrorKind::Unsupported, "there is no database"),
            (None, _) => {
                return error(StorageErrorKind::DatabaseRequired, "db_id is missing; there are several databases");
            }
        };
        let Some(database) = database else {
            return error(StorageErrorKind::UnknownDatabase, "no database has this db_id");
        };
        if table.is_some_and(|table| table != database.table) {
            return error(StorageErrorKind::UnknownTable, "the table is not the learnings table of this database");
        }
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
    use super::{Databases, DeleteRequest, StorageErrorKind};

    /// An embedder can have no database. `wit/storage.wit` specifies the error.
    #[test]
    fn deployment_without_databases_is_unsupported() {
        let request = |db_id: Option<&str>| DeleteRequest {
            learning_id: "a".to_owned(),
            db_id: db_id.map(str::to_owned),
            table: None,
        };
        let kind = |db_id| Databases(Vec::new()).resolve(&request(db_id)).err().map(|error| error.kind);
        assert_eq!(kind(None), Some(StorageErrorKind::Unsupported));
        assert_eq!(kind(Some("")), Some(StorageErrorKind::Unsupported));
        assert_eq!(kind(Some("main")), Some(StorageErrorKind::UnknownDatabase));
    }
}
