//! The one record that a request names: the trait that a platform implements, and this host's own implementations.

mod columns;
mod databases;
mod memory;
mod postgres;
mod sqlite;

pub use databases::{Database, Databases, Named};
pub use memory::MemoryTable;
pub use postgres::{ConnectError, PostgresAccounts, PostgresError, PostgresTable, PostgresUrl, TlsError, UrlError};
pub use sqlite::{OpenError, SqliteAccounts, SqliteTable};

use crate::BoxFuture;
use crate::contract::{Learning, Outcome, StorageError, Target};
use tokio::sync::Semaphore;

/// What must hold for a record to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// This user owns it; owners compare byte for byte.
    OwnedBy(String),
    /// It is in the state that `find` gave this revision.
    Unchanged(String),
}

/// The one record that a request names, as the contract's `storage` promises it.
pub trait Storage: Send + Sync + 'static {
    /// Where the record is, or would be. Looks at no record.
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>>;

    /// The record, or none where there is no such record.
    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>>;

    /// Deletes the record if the condition holds, testing and deleting in one atomic step; `Deleted` is answered only
    /// once the deletion is durable.
    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>>;

    /// The turns of whatever holds the record: a request takes one before its turn in the sandbox, so that a database
    /// which hangs keeps none of the sandbox from the others. None where there is no such bound.
    fn turns(&self) -> Option<&Semaphore> {
        None
    }
}

/// A table of learnings in some database: [`Storage`] for whichever record is named.
pub trait Table: Send + Sync + 'static {
    /// As [`Storage::find`].
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>>;

    /// As [`Storage::delete`].
    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>>;

    /// Whether the table can be asked now. An error of the kind `unknown-table` says that it does not exist.
    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>>;

    /// As [`Storage::turns`].
    fn turns(&self) -> Option<&Semaphore> {
        None
    }
}
