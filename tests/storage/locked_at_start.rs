//! An SQLite file that another program has locked while the server starts is served once it is unlocked.

use super::store::table;
use super::token;
use crate::support::database::AgnoDatabase;
use crate::support::server::{Setup, TestServer, assert_health};
use rusqlite::Connection;
use tempfile::TempDir;

/// A short timeout, which every request to the locked database waits for.
const SHORT_TIMEOUT: &str = "sqlite.busy_timeout_ms = 200\n";

/// Starts a server on `main.db`, which a program has locked, and on `other.db`.
fn start(directory: TempDir, keys: &str) -> TestServer {
    AgnoDatabase::copy_to(directory.path(), "other.db").insert("r", Some("alice"));
    let further_databases = table("main", "sqlite:main.db") + keys + &table("other", "sqlite:other.db");
    Setup { databases: vec![], further_databases, settings: SHORT_TIMEOUT.to_owned(), ..Setup::jwt() }
        .start_in(directory)
}

/// Asserts that the server serves `other`, and `main` only after `unlock`.
fn assert_served_after(server: &TestServer, what: &str, unlock: impl FnOnce()) {
    let alice = token("alice");
    server.wait_for_log(&["database locked by another process", "main.db"]);
    let health = || server.request("GET", "/health", &[]).body;
    assert_health(&health(), "degraded", 1, 1);
    let locked = server.delete("/learnings/r?db_id=main", Some(&alice));
    assert_eq!((locked.status, locked.header("retry-after")), (503, Some("1")), "{what}: {}", server.log());
    server.delete("/learnings/r?db_id=other", Some(&alice)).assert_deleted();
    unlock();
    assert_health(&health(), "ok", 2, 0);
    let database = server.database("main");
    database.insert("s", Some("alice"));
    server.delete("/learnings/s?db_id=main", Some(&alice)).assert_deleted();
    assert!(!database.contains("s"), "{what}");
}

fn lock(directory: &TempDir, statements: &str) -> Connection {
    let connection = Connection::open(directory.path().join("main.db")).expect("the database opens");
    connection.execute_batch(statements).expect("the database is locked");
    connection
}

/// To change the journal mode, a connection must be the only one that uses the file.
#[test]
fn sqlite_file_read_during_start_is_served_afterwards() {
    let directory = TempDir::new().expect("a directory");
    AgnoDatabase::copy_to(directory.path(), "main.db").execute("PRAGMA journal_mode = DELETE");
    let reader = lock(&directory, "BEGIN; SELECT count(*) FROM agno_learnings");
    let server = start(directory, "");
    assert_served_after(&server, "a reader", || drop(reader));
}

#[test]
fn sqlite_file_locked_during_start_is_served_afterwards() {
    for journal_mode in ["DELETE", "WAL"] {
        let directory = TempDir::new().expect("a directory");
        let database = AgnoDatabase::copy_to(directory.path(), "main.db");
        database.execute(&format!("PRAGMA journal_mode = {journal_mode}"));
        let writer = lock(&directory, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
        let server = start(directory, "");
        assert_served_after(&server, journal_mode, || drop(writer));
    }
}

#[test]
fn table_of_locked_sqlite_file_is_created_afterwards() {
    let directory = TempDir::new().expect("a directory");
    AgnoDatabase::open(directory.path().join("main.db")).execute("CREATE TABLE unrelated (a)");
    let writer = lock(&directory, "BEGIN EXCLUSIVE");
    let server = start(directory, "create = true\n");
    assert_served_after(&server, "no table", || drop(writer));
}

/// A table that cannot be used is reported once it can be read.
#[test]
fn locked_sqlite_file_without_learnings_is_answered_500_afterwards() {
    let directory = TempDir::new().expect("a directory");
    AgnoDatabase::open(directory.path().join("main.db"))
        .execute("CREATE VIEW agno_learnings AS SELECT 1 AS learning_id");
    let writer = lock(&directory, "BEGIN EXCLUSIVE");
    let server = start(directory, "");
    drop(writer);
    assert_eq!(server.delete("/learnings/r?db_id=main", Some(&token("alice"))).status, 500);
    server.wait_for_log(&["is not an ordinary table"]);
    assert_health(&server.request("GET", "/health", &[]).body, "degraded", 1, 1);
}
