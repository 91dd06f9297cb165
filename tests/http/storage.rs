//! Databases that are busy, foreign, gone, or used by many at once.

use crate::support::server::Setup;
use crate::support::token::user;
use std::thread;

const ALICES: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn a_busy_database_is_waited_for_then_503_and_nothing_half_done() {
    let host = Setup { settings: "sqlite.busy_timeout_ms = 200".to_owned(), ..Setup::jwt() }.start();
    let lock = host.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let answer = host.delete(ALICES, Some(&user("alice")));
    let detail = "The database is temporarily unavailable; nothing was deleted";
    answer.is_error(503, detail, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
    lock.execute_batch("COMMIT").expect("the lock can be given back");
    assert!(host.database("main").has("user_profile_alice@example.com"));
    host.delete(ALICES, Some(&user("alice"))).is_deleted();
}

#[test]
fn a_table_that_is_dropped_and_made_again_is_served_again() {
    let host = Setup::jwt().start();
    let database = host.database("main");
    database.execute("ALTER TABLE agno_learnings RENAME TO away");
    host.delete(ALICES, Some(&user("alice"))).is_error(500, "Failed to delete learning", "INTERNAL_SERVER_ERROR");
    let named = host.delete(&format!("{ALICES}?db_id=main&table=agno_learnings"), Some(&user("alice")));
    named.is_error(404, "No database with id 'main' has table 'agno_learnings'", "NOT_FOUND");
    database.execute("ALTER TABLE away RENAME TO agno_learnings");
    host.delete(ALICES, Some(&user("alice"))).is_deleted();
}

#[test]
fn many_requests_at_once_each_get_their_own_answer() {
    let host = Setup::jwt().start();
    let database = host.database("main");
    for index in 0..160 {
        database.insert(&format!("record_{index}"), Some(if index % 2 == 0 { "alice" } else { "bob" }));
    }
    thread::scope(|scope| {
        for worker in 0..16 {
            let host = &host;
            scope.spawn(move || {
                for index in (worker..160).step_by(16) {
                    let answer = host.delete(&format!("/learnings/record_{index}"), Some(&user("alice")));
                    assert_eq!(answer.status, if index % 2 == 0 { 204 } else { 404 }, "record_{index}");
                }
            });
        }
    });
    let left = database.ids();
    assert_eq!(left.len(), crate::support::database::RECORDS + 80);
    assert!((1..160).step_by(2).all(|index| left.contains(&format!("record_{index}"))));
}

#[test]
fn a_table_is_made_with_agnos_columns_and_indexes_where_there_is_none() {
    let host = Setup::jwt().start_in(tempfile::TempDir::new().expect("a folder"));
    let schema = |connection: rusqlite::Connection| -> Vec<String> {
        // Names and types of the columns, and names of the indexes: what Agno relies on.
        let sql =
            "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || pk FROM pragma_table_info('agno_learnings')
                   UNION ALL SELECT * FROM (SELECT name FROM sqlite_schema
                   WHERE type = 'index' AND tbl_name = 'agno_learnings' AND sql NOT NULL ORDER BY name)";
        let mut statement = connection.prepare(sql).expect("the schema can be read");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    };
    let agnos = tempfile::TempDir::new().expect("a folder");
    let agnos = crate::support::database::AgnoDatabase::in_folder(agnos.path(), "agno.db").connect();
    assert_eq!(schema(host.database("main").connect()), schema(agnos));
    host.delete(ALICES, Some(&user("alice"))).is_error(404, "Learning not found", "NOT_FOUND");
}
