//! Tests your storage: whether an implementation of [`RecordStorage`] gives the guarantees of the contract.
//!
//! The policy relies on these guarantees, and an implementation can violate them without any test of a single request
//! noticing: a storage that reads the owner and then deletes by id works until two requests meet. The kit inserts records
//! and changes them through a second connection of yours, as another process of your platform does, while it deletes them
//! through the storage under test.
//!
//! ```
//! use delete_learning::storage::{LearningStore, MemoryStore, RecordStorage};
//! use delete_learning::testkit::{self, AdapterError, StorageAdapter};
//! use delete_learning::{BoxFuture, Learning};
//! use std::sync::Arc;
//!
//! # use delete_learning::storage::{Database, Databases};
//! # use delete_learning::DeleteRequest;
//! struct Adapter(Arc<MemoryStore>);
//!
//! impl StorageAdapter for Adapter {
//!     fn record(&self, id: &str) -> Arc<dyn RecordStorage> {
//!         // Your storage, bound to this record.
//! #       let store = Arc::<MemoryStore>::clone(&self.0);
//! #       let database = Database { id: "main".to_owned(), table: "learnings".to_owned(), store };
//! #       Databases(vec![database]).record(&DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None })
//!     }
//!
//!     fn insert<'a>(&'a self, id: &'a str, learning: &'a Learning) -> BoxFuture<'a, Result<(), AdapterError>> {
//!         // INSERT INTO …
//! #       Box::pin(async move { self.0.insert(id, learning.clone()); Ok(()) })
//!     }
//!
//!     fn change_owner<'a>(
//!         &'a self,
//!         id: &'a str,
//!         from: &'a str,
//!         to: &'a str,
//!         before_commit: BoxFuture<'a, ()>,
//!     ) -> BoxFuture<'a, Result<bool, AdapterError>> {
//!         // BEGIN; UPDATE … SET user_id = to WHERE learning_id = id AND user_id = from;
//!         // then await `before_commit`, and COMMIT.
//! #       Box::pin(async move {
//! #           before_commit.await;
//! #           Ok(self.0.change_owner(id, from, to))
//! #       })
//!     }
//!
//!     fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Learning>, AdapterError>> {
//!         // SELECT … WHERE learning_id = id
//! #       Box::pin(async move { Ok(self.0.find(id.to_owned()).await?) })
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), AdapterError> {
//! let report = testkit::test_storage(&Adapter(Arc::default()), testkit::ROUNDS).await?;
//! assert!(report.is_ok(), "{report}");
//! # Ok(())
//! # }
//! ```

mod bytes;
mod conditions;
mod races;
mod report;

pub use report::{Finding, Guarantee, Report};

use crate::BoxFuture;
use crate::contract::Learning;
use crate::storage::RecordStorage;
use std::sync::Arc;

/// Rounds of a race that take seconds on a database on this machine.
pub const ROUNDS: u32 = 200;

/// An error of the adapter itself. It ends the test, and is no finding.
pub type AdapterError = Box<dyn std::error::Error + Send + Sync>;

/// Your storage, and a way around it.
///
/// `insert`, `change_owner` and `read` must use another connection than the storage under test, and commit before they
/// return. The kit uses ids that start with `testkit-`, and deletes through the storage what it inserted.
pub trait StorageAdapter: Send + Sync {
    /// The storage under test, bound to the record with this id.
    fn record(&self, id: &str) -> Arc<dyn RecordStorage>;

    /// Inserts a record, or replaces the one with this id. Ignores `revision`.
    fn insert<'a>(&'a self, id: &'a str, learning: &'a Learning) -> BoxFuture<'a, Result<(), AdapterError>>;

    /// In one transaction: makes `to` the owner of the record if `from` owns it, awaits `before_commit`, and commits. Returns
    /// whether it changed the owner.
    fn change_owner<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
        before_commit: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<bool, AdapterError>>;

    /// Returns the record, or `None` if it does not exist. Its `revision` does not matter.
    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Learning>, AdapterError>>;
}

/// Tests the storage, with `rounds` rounds of the races that depend on timing. [`ROUNDS`] is a good number.
///
/// # Errors
/// An error of the adapter. What the storage does wrong is in the report.
pub async fn test_storage(adapter: &dyn StorageAdapter, rounds: u32) -> Result<Report, AdapterError> {
    let mut report = Report::default();
    conditions::test(adapter, &mut report).await?;
    bytes::test(adapter, &mut report).await?;
    races::test(adapter, rounds, &mut report).await?;
    Ok(report)
}

/// A record for a test, with all its columns set.
fn learning(owner: Option<&str>) -> Learning {
    let text = |text: &str| Some(text.to_owned());
    Learning {
        learning_type: "user_memory".to_owned(),
        namespace: text("user"),
        user_id: owner.map(str::to_owned),
        agent_id: text("agent-1"),
        team_id: text("team-1"),
        workflow_id: text("workflow-1"),
        session_id: text("session-1"),
        entity_id: text("entity-1"),
        entity_type: text("person"),
        content: r#"{"memory":"prefers tea"}"#.to_owned(),
        metadata: text(r#"{"source":"testkit"}"#),
        created_at: 1_700_000_000,
        updated_at: Some(1_700_000_001),
        revision: String::new(),
    }
}
