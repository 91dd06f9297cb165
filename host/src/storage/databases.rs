//! Which record a request names: from its parameters to one record in one table of one database.

use super::{Condition, Storage, Table};
use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind, Target};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A database that holds learnings in one table.
#[derive(Clone)]
pub struct Database {
    /// Its id, as callers name it in `db_id`.
    pub id: String,
    /// The table's name, as callers name it in `table`.
    pub table_name: String,
    /// The table.
    pub table: Arc<dyn Table>,
}

/// The databases of a deployment.
#[derive(Clone)]
pub struct Databases(pub Vec<Database>);

/// How a request names its record. An empty name counts as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// The learning's id; none where it could not be decoded or is too long.
    pub learning_id: Option<&'a str>,
    /// The database.
    pub db_id: Option<&'a str>,
    /// The table.
    pub table: Option<&'a str>,
    /// Whether a parameter was given more than once.
    pub repeated: bool,
}

impl Databases {
    /// The record that is named. Where none is, a record whose every function answers the reason.
    #[must_use]
    pub fn record(&self, named: &Named<'_>) -> Arc<dyn Storage> {
        match self.resolve(named) {
            Ok(record) => Arc::new(record),
            Err(error) => Arc::new(NoRecord(error)),
        }
    }

    fn resolve(&self, named: &Named<'_>) -> Result<Record, StorageError> {
        let refuse = |kind, message: &str| Err(StorageError::new(kind, message));
        let db_id = named.db_id.filter(|id| !id.is_empty());
        let table = named.table.filter(|table| !table.is_empty());

        if named.repeated {
            return refuse(StorageErrorKind::RepeatedParameter, "db_id or table was given more than once");
        }
        let Some(learning_id) = named.learning_id else {
            return refuse(StorageErrorKind::InvalidLearningId, "the learning id is not UTF-8, or too long");
        };
        let database = match (db_id, self.0.as_slice()) {
            (Some(id), all) => all.iter().find(|database| database.id == id),
            (None, [only]) => Some(only),
            (None, _) => return refuse(StorageErrorKind::DatabaseRequired, "several databases, and none is named"),
        };
        let Some(database) = database else {
            return refuse(StorageErrorKind::UnknownDatabase, "no database has the id that was named");
        };
        if table.is_some_and(|table| table != database.table_name) {
            return refuse(StorageErrorKind::UnknownTable, "the table named is not the one that holds learnings");
        }
        Ok(Record { database: database.clone(), learning_id: learning_id.to_owned(), names_table: table.is_some() })
    }
}

/// A record that a request named well.
struct Record {
    database: Database,
    learning_id: String,
    names_table: bool,
}

impl Record {
    /// A table that is configured and does not exist is the caller's affair only where the caller named it; to everyone
    /// else the deployment is broken.
    fn blame(&self, error: StorageError) -> StorageError {
        match error.kind {
            StorageErrorKind::UnknownTable if !self.names_table => {
                StorageError { kind: StorageErrorKind::Internal, ..error }
            }
            _ => error,
        }
    }
}

impl Storage for Record {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async {
            if self.names_table {
                self.database.table.check().await?;
            }
            Ok(Target { database: self.database.id.clone(), table: self.database.table_name.clone() })
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async { self.database.table.find(self.learning_id.clone()).await.map_err(|error| self.blame(error)) })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async {
            let deleted = self.database.table.delete(self.learning_id.clone(), condition).await;
            deleted.map_err(|error| self.blame(error))
        })
    }

    fn turns(&self) -> Option<&Semaphore> {
        self.database.table.turns()
    }
}

/// What a request that names its record badly gets.
struct NoRecord(StorageError);

impl NoRecord {
    fn answer<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, StorageError>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}

impl Storage for NoRecord {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.answer()
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.answer()
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        self.answer()
    }
}
