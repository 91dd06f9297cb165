//! The learnings table of a SQLite file, without a server.

use crate::support::database::AgnoDatabase;
use delete_learning::{Condition, LearningStore, Outcome};
use delete_learning_server::storage::sqlite::SqliteOptions;
use delete_learning_server::storage::{LearningsTable, SqliteStore};
use std::time::Duration;

#[tokio::test]
async fn abandoned_delete_is_not_started() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let database = AgnoDatabase::copy_to(directory.path(), "main.db");
    // One delete in each transaction, so that the abandoned delete waits in the queue behind the first.
    let options = SqliteOptions { max_batch_size: 1, busy_timeout_ms: 9_000, ..SqliteOptions::default() };
    let table = SqliteStore::open(database.path(), &LearningsTable::existing("agno_learnings"), &options, 16)
        .expect("the database opens");
    let lock = database.connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");

    let delete = |id: &str| table.delete(id.to_owned(), Condition::Any);
    let mut first = delete("decision_1");
    let abandoned = delete("user_memory_alice");
    let timeout = Duration::from_millis(200);
    assert!(tokio::time::timeout(timeout, &mut first).await.is_err(), "it waits for the write lock");
    assert!(tokio::time::timeout(timeout, abandoned).await.is_err(), "it waits behind the first delete");
    lock.execute_batch("COMMIT").expect("the lock can be released");

    assert_eq!(first.await.expect("an outcome"), Outcome::Deleted);
    // This delete was queued after the abandoned one, so the abandoned one has been skipped.
    assert_eq!(delete("session_context_s1").await.expect("an outcome"), Outcome::Deleted);
    assert!(database.contains("user_memory_alice"));
}
