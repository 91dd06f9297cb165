//! The table of learnings in an SQLite file, without a server in front of it.

use crate::support::database::AgnoDatabase;
use delete_learning::{Condition, LearningStore, Outcome};
use delete_learning_server::storage::SqliteStore;
use delete_learning_server::storage::sqlite::SqliteOptions;
use std::time::Duration;

#[tokio::test]
async fn a_delete_that_nobody_waits_for_any_more_is_not_begun() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let database = AgnoDatabase::in_folder(folder.path(), "main.db");
    // One by one, so that what is given up stands in the queue behind what is being done.
    let options = SqliteOptions { max_batch_size: 1, busy_timeout_ms: 9_000, ..SqliteOptions::default() };
    let table = SqliteStore::open(database.path(), "agno_learnings", &options, 16).expect("it opens");
    let lock = database.connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");

    let delete = |id: &str| table.delete(id.to_owned(), Condition::Any);
    let mut first = delete("decision_1");
    let given_up = delete("user_memory_alice");
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, &mut first).await.is_err(), "it waits for the lock");
    assert!(tokio::time::timeout(patience, given_up).await.is_err(), "it stands behind the first");
    lock.execute_batch("COMMIT").expect("the lock can be given back");

    assert_eq!(first.await.expect("an outcome"), Outcome::Deleted);
    // This one was queued after it, so its turn has passed.
    assert_eq!(delete("session_context_s1").await.expect("an outcome"), Outcome::Deleted);
    assert!(database.has("user_memory_alice"));
}
