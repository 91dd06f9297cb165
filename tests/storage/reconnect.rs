//! PostgreSQL terminates connections, and a table is dropped and created again under prepared statements.

use super::store::Store;
use super::{StopOnDrop, token, wait_for_increase};
use crate::support::load::HttpClient;
use crate::support::postgres::agno_tables;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const CLIENTS: usize = 6;

/// More records than are deleted in the test.
const RECORDS: usize = 20_000;

/// How often all connections are terminated.
const TERMINATIONS: usize = 4;

/// The number of deletions before and after each termination.
const DELETIONS_BETWEEN: usize = 60;

#[test]
fn terminated_connections_are_reopened_and_answers_are_right() {
    let Some(store) = Store::postgres("PostgreSQL that terminates connections") else { return };
    let mut records = store.connect();
    records.insert(&(0..RECORDS).map(|index| (format!("record_{index}"), Some("alice"))).collect::<Vec<_>>());
    let host = store.setup().start();
    let (next, stop, deleted) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let (answers, terminated) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = HttpClient::new(&host, &token("alice"));
                let (next, stop, deleted) = (&next, &stop, &deleted);
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let reply = client.delete(&format!("/learnings/record_{index}")).expect("an answer");
                        answers.push((index, reply.status));
                        deleted.fetch_add(usize::from(reply.status == 204), Ordering::Relaxed);
                    }
                    answers
                })
            })
            .collect();
        let stop = StopOnDrop(&stop);
        let mut terminated = 0;
        let killer = store.client();
        for _ in 0..TERMINATIONS {
            wait_for_increase(&deleted, DELETIONS_BETWEEN);
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = 'delete-learning' AND datname = current_database()";
            terminated += killer.query(sql, &[]).len();
        }
        wait_for_increase(&deleted, DELETIONS_BETWEEN);
        drop(stop);
        let answers: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("an answer")).collect();
        (answers, terminated)
    });
    let with = |status| answers.iter().filter(move |(_, other)| *other == status).map(|(index, _)| *index);
    let remaining = records.ids();
    let exists = |index: usize| remaining.contains(&format!("record_{index}"));
    println!(
        "PostgreSQL: {terminated} connections terminated under load: {} answered 204, {} 503, {} of unknown outcome ({} of them deleted)",
        with(204).count(),
        with(503).count(),
        with(500).count(),
        with(500).filter(|index| !exists(*index)).count(),
    );
    assert_eq!(with(204).count() + with(503).count() + with(500).count(), answers.len());
    assert!(with(204).all(|index| !exists(index)) && with(503).all(exists));
    assert!((answers.len()..RECORDS).all(exists), "records without a request are not deleted");
    assert!(terminated >= TERMINATIONS, "connections were reopened");
    for index in with(500) {
        let record = host.wait_for_log(&["\"target\":\"audit\"", &format!("\"record_{index}\"")]);
        assert_eq!(record["record"], "unknown", "{record}");
    }
    let last = HttpClient::new(&host, &token("alice")).delete(&format!("/learnings/record_{}", RECORDS - 1));
    assert_eq!(last.expect("an answer").status, 204, "{}", host.log());
}

#[test]
fn recreated_table_is_served_again() {
    let Some(store) = Store::postgres("a dropped table in PostgreSQL") else { return };
    let mut records = store.connect();
    let all: Vec<_> = (0..40).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    records.insert(&all);
    let host = store.setup().start();
    let delete_ten = |from: usize| -> BTreeSet<(u16, String)> {
        thread::scope(|scope| {
            // Concurrently, so that every connection of the server is used.
            let clients: Vec<_> = (from..from + 10)
                .map(|index| {
                    let mut client = HttpClient::new(&host, &token("alice"));
                    scope.spawn(move || client.delete(&format!("/learnings/record_{index}")).expect("an answer"))
                })
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().expect("an answer"))
                .map(|reply| (reply.status, reply.body))
                .collect()
        })
    };
    let deleted = BTreeSet::from([(204, String::new())]);
    assert_eq!(delete_ten(0), deleted);
    let other = store.client();
    other.run("DROP TABLE ai.agno_learnings");
    let failed = r#"{"detail":"Failed to delete learning","error_code":"INTERNAL_SERVER_ERROR"}"#;
    assert_eq!(delete_ten(10), BTreeSet::from([(500, failed.to_owned())]));
    let named = HttpClient::new(&host, &token("alice")).delete("/learnings/record_10?db_id=main&table=agno_learnings");
    assert_eq!(named.expect("an answer").status, 404, "a request that names the table is answered 404");
    assert_eq!(host.request("GET", "/health", &[]).status, 503);
    println!("PostgreSQL, a dropped table: {}", host.wait_for_log(&["storage failed", "does not exist"])["cause"]);
    other.run(&agno_tables());
    records.insert(&all);
    assert_eq!(delete_ten(20), deleted, "{}", host.log());
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
    // An additional column, as a later version of Agno can have.
    other.run("ALTER TABLE ai.agno_learnings ADD COLUMN more TEXT");
    assert_eq!(delete_ten(30), deleted, "{}", host.log());
}

/// The server cannot know whether a connection still works after such an error, so its next request gets a new one.
#[test]
fn connection_is_replaced_after_an_error_that_is_not_of_one_statement() {
    let Some(store) = Store::postgres("a PostgreSQL database whose trigger fails") else { return };
    let mut records = store.connect();
    records.insert(&["a", "fails", "b"].map(|id| (id.to_owned(), Some("alice"))));
    let client = store.client();
    client.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.learning_id = 'fails' THEN RAISE EXCEPTION 'refused'; END IF;
             RETURN OLD; END $$;
         CREATE TRIGGER fail BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let host = store.setup().start();
    let delete = |id: &str| host.delete(&format!("/learnings/{id}"), Some(&token("alice"))).status;
    let of_server = "FROM pg_stat_activity WHERE application_name = 'delete-learning' AND datname = current_database()";
    assert_eq!(delete("a"), 204);
    let before: Vec<i32> = client.query(&format!("SELECT pid {of_server}"), &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(before.len(), 1, "one connection is enough for one request at a time");
    assert_eq!(delete("fails"), 500);
    assert_eq!(delete("b"), 204);
    client.wait_for(&format!("SELECT count(*) = 0 {of_server} AND pid = {}", before[0]));
    assert_eq!(records.ids().into_iter().collect::<Vec<_>>(), ["fails"]);
}
