//! Every path to `outcome-unknown`, and its neighbors that must not be: a delete whose outcome the server cannot know is
//! reported as unknown (500; record `unknown` in the audit event), and every other failure as known.
//!
//! | path | test |
//! |---|---|
//! | the session ends while the statement runs (`FATAL`) | `delete_whose_session_ends_is_unknown` |
//! | the connection breaks while the statement runs | `delete_whose_connection_breaks_is_unknown` |
//! | a pooler reports that its connection to PostgreSQL broke | `delete_whose_pooler_loses_postgresql_is_unknown`, `error_that_a_pooler_wrote_is_unknown` |
//! | no response in time | `hang.rs` |
//! | the server stopped waiting for its standbys | `failover.rs` |
//! | deleted, and whether a trigger restored the record cannot be read | `delete_whose_veto_cannot_be_read_is_unknown` |
//! | an unexpected result | unit test of `storage/postgres/error.rs` |
//! | SQLite: an I/O error while committing | `fault_injection.rs`, `file_size_limit_is_answered_500_until_limit_is_raised` |
//! | SQLite: the file is replaced while it is written | `delete_in_a_file_that_is_replaced_is_unknown` |
//! | SQLite: the thread ends during the delete | unit test of `storage/sqlite/mod.rs` |
//! | the policy is stopped while it waits for the delete | `tests/embedding/custom_storage.rs` |

use super::pgbouncer::Bouncer;
use super::store::{Records, Store, table};
use super::token;
use crate::support::cluster::{Cluster, PASSWORD, USER, find_postgres};
use crate::support::database::AgnoDatabase;
use crate::support::postgres::{Client, agno_tables};
use crate::support::proxy::Proxy;
use crate::support::server::{Response, Setup, TestServer};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Whether a statement of the server waits for a lock.
const IS_BLOCKED: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())";

/// A database in this cluster with the records `a` and `b` of alice.
fn create_database(cluster: &Cluster) -> (String, Client) {
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    client.run(&agno_tables());
    client.insert(&["a", "b"].map(|id| (id.to_owned(), Some("alice"))));
    (database, client)
}

/// Sends a delete of `a` while another transaction locks what `lock` names, and calls `interrupt` once it waits. A
/// transaction sees the activity of others as it was at its first look, so another connection waits.
fn delete_while_locked(
    server: &TestServer,
    (locker, client): (&Client, &Client),
    lock: &str,
    interrupt: impl FnOnce(),
) -> Response {
    locker.run(&format!("BEGIN; {lock}"));
    thread::scope(|scope| {
        let request = scope.spawn(|| server.delete("/learnings/a", Some(&token("alice"))));
        client.wait_for(IS_BLOCKED);
        interrupt();
        locker.run("ROLLBACK");
        request.join().expect("a response")
    })
}

const LOCK_RECORD: &str = "SELECT 1 FROM ai.agno_learnings WHERE learning_id = 'a' FOR UPDATE";
const LOCK_TABLE: &str = "LOCK TABLE ai.agno_learnings IN ACCESS EXCLUSIVE MODE";

/// Asserts status and audited outcome of the record, and that the server serves the next request.
fn assert_outcome(server: &TestServer, response: &Response, status: u16, outcome: &str, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}\n{}", server.log());
    let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"a\""]);
    assert_eq!(audit["record"], outcome, "{what}: {audit}");
    assert_eq!(audit["rule"] == "outcome-unknown", outcome == "unknown", "{what}: {audit}");
    println!("{what}: {status}, {}", audit["storage"]);
    let next = server.delete("/learnings/b", Some(&token("alice")));
    assert_eq!(next.status, 204, "{what}: {next:?}\n{}", server.log());
}

fn start(url: &str, keys: &str) -> TestServer {
    let settings = "postgres.max_connections = 2\n".to_owned();
    let further_databases = table("main", url) + keys;
    Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start()
}

/// The session of the server while its delete waits.
const BLOCKED_SESSIONS: &str = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

#[test]
fn delete_whose_session_ends_is_unknown() {
    let Some(cluster) = Cluster::shared("sessions of PostgreSQL that end during a delete") else { return };
    // The second row: a statement that is canceled was rolled back. The third: a statement that waits for the table is
    // not prepared yet, so it was not executed.
    for (what, lock, function, status, outcome) in [
        ("the session is terminated", LOCK_RECORD, "pg_terminate_backend", 500, "unknown"),
        ("the statement is canceled", LOCK_RECORD, "pg_cancel_backend", 503, "not-deleted"),
        ("the session is terminated while it prepares", LOCK_TABLE, "pg_terminate_backend", 503, "not-deleted"),
    ] {
        let (database, client) = create_database(cluster);
        let server = start(&cluster.url(&database), "");
        let other = cluster.connect(&database);
        let response = delete_while_locked(&server, (&other, &client), lock, || {
            assert_eq!(client.query(&format!("SELECT {function}(pid) {BLOCKED_SESSIONS}"), &[]).len(), 1);
            client.wait_for(&format!("SELECT NOT ({IS_BLOCKED})"));
        });
        assert_outcome(&server, &response, status, outcome, what);
    }
}

#[test]
fn delete_whose_statement_times_out_is_not_unknown() {
    let Some(cluster) = Cluster::shared("statement timeouts of PostgreSQL") else { return };
    for lock in [LOCK_RECORD, LOCK_TABLE] {
        let (database, client) = create_database(cluster);
        let server = start(&cluster.url(&database), "");
        // The default timeout of a statement is two seconds.
        let other = cluster.connect(&database);
        let response = delete_while_locked(&server, (&other, &client), lock, || thread::sleep(Duration::from_secs(3)));
        assert_outcome(&server, &response, 503, "not-deleted", lock);
    }
}

/// A trigger can fail with any code, also with those that a broken connection has.
#[test]
fn delete_that_a_trigger_fails_is_not_unknown() {
    let Some(cluster) = Cluster::shared("triggers of PostgreSQL that fail") else { return };
    for (code, status) in [("08006", 503), ("57P01", 503), ("P0001", 500), ("58030", 500)] {
        let (database, client) = create_database(cluster);
        client.run(&format!(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$;
             CREATE TRIGGER t AFTER DELETE ON ai.agno_learnings FOR EACH ROW WHEN (OLD.learning_id = 'a')
             EXECUTE FUNCTION fail()"
        ));
        let server = start(&cluster.url(&database), "");
        let response = server.delete("/learnings/a", Some(&token("alice")));
        assert_outcome(&server, &response, status, "not-deleted", code);
    }
}

#[test]
fn delete_whose_connection_breaks_is_unknown() {
    let Some(cluster) = Cluster::shared("connections to PostgreSQL that break") else { return };
    let (database, client) = create_database(cluster);
    let proxy = Proxy::new(cluster.port);
    let server =
        start(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port), "");
    let other = cluster.connect(&database);
    let response = delete_while_locked(&server, (&other, &client), LOCK_RECORD, || {
        proxy.disconnect();
        // The server notices while the statement still waits.
        server.wait_for_log(&["\"target\":\"audit\"", "\"a\""]);
    });
    assert_outcome(&server, &response, 500, "unknown", "the connection breaks");
}

/// A connection that broke before the request is replaced, and nothing is unknown.
#[test]
fn delete_after_the_connection_broke_is_served() {
    let Some(cluster) = Cluster::shared("connections to PostgreSQL that break") else { return };
    let (database, mut client) = create_database(cluster);
    let proxy = Proxy::new(cluster.port);
    let server =
        start(&format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port), "");
    server.delete("/learnings/b", Some(&token("alice"))).assert_deleted();
    proxy.disconnect();
    thread::sleep(Duration::from_millis(300));
    server.delete("/learnings/a", Some(&token("alice"))).assert_deleted();
    assert!(!client.has("a"));
}

#[test]
fn delete_whose_pooler_loses_postgresql_is_unknown() {
    let skipped = "PgBouncer that loses its connection to PostgreSQL";
    let Some(programs) = find_postgres(skipped) else { return };
    // Its own cluster, because PostgreSQL ends every session after one was killed.
    let cluster = Cluster::start(programs, &[]);
    let Some(bouncer) = Bouncer::start(&cluster, "") else { return };
    let (database, client) = create_database(&cluster);
    let server = start(&bouncer.url(&database), "transaction_pooling = true\n");
    let other = cluster.connect(&database);
    let response = thread::scope(|scope| {
        other.run(&format!("BEGIN; {LOCK_RECORD}"));
        let request = scope.spawn(|| server.delete("/learnings/a", Some(&token("alice"))));
        client.wait_for(IS_BLOCKED);
        let process: i32 = client.query(&format!("SELECT pid {BLOCKED_SESSIONS}"), &[])[0].get(0);
        let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status();
        assert!(killed.expect("kill runs").success());
        request.join().expect("a response")
    });
    let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"a\""]);
    assert_eq!((response.status, audit["record"].as_str()), (500, Some("unknown")), "{audit}");
    println!("PgBouncer loses PostgreSQL: {}", audit["storage"]);
}

/// A pooler can report a lost connection as an error of the statement, as Odyssey does. Its error names no routine of
/// PostgreSQL.
#[test]
fn error_that_a_pooler_wrote_is_unknown() {
    let Some(cluster) = Cluster::shared("errors that a pooler writes") else { return };
    let (database, client) = create_database(cluster);
    let proxy = Proxy::new(cluster.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let server = start(&url, "");
    let fields = b"SERROR\0VERROR\0C08006\0Mserver disconnected\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a length").to_be_bytes();
    let error_and_ready = [b"E", length.as_slice(), fields, b"Z\0\0\0\x05I"].concat();
    let other = cluster.connect(&database);
    let response = delete_while_locked(&server, (&other, &client), LOCK_RECORD, || {
        proxy.answer(&error_and_ready);
        server.wait_for_log(&["\"target\":\"audit\"", "\"a\""]);
    });
    assert_outcome(&server, &response, 500, "unknown", "a pooler writes an error");
}

/// With a trigger, the record is read once more after the delete, because the trigger can have restored it.
#[test]
fn delete_whose_veto_cannot_be_read_is_unknown() {
    let Some(cluster) = Cluster::shared("reading a record after its delete") else { return };
    let (database, client) = create_database(cluster);
    client.run(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
         CREATE TRIGGER t BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION nothing()",
    );
    let server = start(&cluster.url(&database), "");
    server.delete("/learnings/missing", Some(&token("alice")));
    let (locker, other) = (cluster.connect(&database), cluster.connect(&database));
    let response = thread::scope(|scope| {
        locker.run(&format!("BEGIN; {LOCK_RECORD}"));
        let request = scope.spawn(|| server.delete("/learnings/a", Some(&token("alice"))));
        client.wait_for(IS_BLOCKED);
        // Waits for the delete, and then locks the table until the next statement of the server times out.
        let lock = scope.spawn(|| {
            other.run(&format!("BEGIN; {LOCK_TABLE}"));
            thread::sleep(Duration::from_secs(3));
            other.run("ROLLBACK");
        });
        client.wait_for(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
             AND relation = 'ai.agno_learnings'::regclass)",
        );
        locker.run("ROLLBACK");
        let response = request.join().expect("a response");
        lock.join().expect("the lock is released");
        response
    });
    assert_outcome(&server, &response, 500, "unknown", "the record cannot be read after its delete");
}

#[test]
fn delete_in_a_file_that_is_replaced_is_unknown() {
    let store = Store::sqlite();
    let Store::Sqlite { file, .. } = &store else { return };
    store.connect().insert(&["a", "b"].map(|id| (id.to_owned(), Some("alice"))));
    let server = store.setup().start();
    server.delete("/learnings/missing", Some(&token("alice")));
    let directory = TempDir::new_in(file.parent().expect("a directory")).expect("a directory");
    let other = AgnoDatabase::copy_to(directory.path(), "other.db");
    other.insert("b", Some("alice"));
    let writer = AgnoDatabase::open(file.clone()).connect();
    writer.execute_batch("BEGIN IMMEDIATE").expect("the file is locked");
    let response = thread::scope(|scope| {
        let request = scope.spawn(|| server.delete("/learnings/a", Some(&token("alice"))));
        // The delete has checked which file it writes to, and waits for the lock.
        thread::sleep(Duration::from_millis(500));
        fs::rename(other.path(), file).expect("the file is replaced");
        writer.execute_batch("ROLLBACK").expect("the file is unlocked");
        request.join().expect("a response")
    });
    // The WAL of the old file must not be applied to the new one.
    drop(writer);
    assert_outcome(&server, &response, 500, "unknown", "the file is replaced");
}
