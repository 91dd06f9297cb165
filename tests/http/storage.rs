//! Databases that are locked, changed or missing, and concurrent requests.

use crate::support::server::Setup;
use crate::support::token::{user, with_claims};
use serde_json::json;
use std::thread;

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn locked_database_is_503_after_the_busy_timeout() {
    let server = Setup { settings: "sqlite.busy_timeout_ms = 200".to_owned(), ..Setup::jwt() }.start();
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let response = server.delete(ALICE_PROFILE, Some(&user("alice")));
    let detail = "The database is temporarily unavailable; nothing was deleted";
    response.assert_error(503, detail, "SERVICE_UNAVAILABLE");
    assert_eq!(response.header("retry-after"), Some("1"));
    lock.execute_batch("COMMIT").expect("the lock can be released");
    assert!(server.database("main").contains("user_profile_alice@example.com"));
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_deleted();
}

#[test]
fn table_that_is_renamed_and_restored_is_used_again() {
    let server = Setup::jwt().start();
    let database = server.database("main");
    database.execute("ALTER TABLE agno_learnings RENAME TO renamed");
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_error(
        500,
        "Failed to delete learning",
        "INTERNAL_SERVER_ERROR",
    );
    let named = server.delete(&format!("{ALICE_PROFILE}?db_id=main&table=agno_learnings"), Some(&user("alice")));
    named.assert_error(404, "No database with id 'main' has table 'agno_learnings'", "NOT_FOUND");
    database.execute("ALTER TABLE renamed RENAME TO agno_learnings");
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_deleted();
}

#[test]
fn concurrent_requests_get_their_own_responses() {
    let server = Setup::jwt().start();
    let database = server.database("main");
    for index in 0..160 {
        database.insert(&format!("record_{index}"), Some(if index % 2 == 0 { "alice" } else { "bob" }));
    }
    thread::scope(|scope| {
        for worker in 0..16 {
            let server = &server;
            scope.spawn(move || {
                for index in (worker..160).step_by(16) {
                    let response = server.delete(&format!("/learnings/record_{index}"), Some(&user("alice")));
                    assert_eq!(response.status, if index % 2 == 0 { 204 } else { 404 }, "record_{index}");
                }
            });
        }
    });
    let remaining = database.ids();
    assert_eq!(remaining.len(), crate::support::database::RECORD_COUNT + 80);
    assert!((1..160).step_by(2).all(|index| remaining.contains(&format!("record_{index}"))));
}

#[test]
fn missing_table_is_created_with_agnos_schema() {
    let server = Setup::on_created_database().start_in(tempfile::TempDir::new().expect("a directory"));
    let schema = |connection: rusqlite::Connection| -> Vec<String> {
        // Agno relies on the names and types of the columns, and on the names of the indexes.
        let sql =
            "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || pk FROM pragma_table_info('agno_learnings')
                   UNION ALL SELECT * FROM (SELECT name FROM sqlite_schema
                   WHERE type = 'index' AND tbl_name = 'agno_learnings' AND sql NOT NULL ORDER BY name)";
        let mut statement = connection.prepare(sql).expect("the schema can be read");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    };
    let agnos = tempfile::TempDir::new().expect("a directory");
    let agnos = crate::support::database::AgnoDatabase::copy_to(agnos.path(), "agno.db").connect();
    assert_eq!(schema(server.database("main").connect()), schema(agnos));
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_error(404, "Learning not found", "NOT_FOUND");
}

/// Without a subject, the policy only locates the record.
#[test]
fn error_of_locating_a_record_is_in_the_audit_event() {
    let server = Setup::jwt().start();
    let token = with_claims(json!({ "scopes": ["learnings:delete"] }));
    for (query, kind) in [("db_id=nowhere", "unknown-database"), ("db_id=main&table=nothing", "unknown-table")] {
        assert_eq!(server.delete(&format!("/learnings/a?{query}"), Some(&token)).status, 404);
        let event = server.wait_for_log(&["\"target\":\"audit\"", kind]);
        let calls = event["storage"].as_str().expect("calls");
        assert!(calls.starts_with(&format!("locate: {kind}, ")), "{event}");
    }
}
