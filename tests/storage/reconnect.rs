//! A PostgreSQL server that ends connections, and one whose table goes and comes back under prepared statements.

use super::store::Store;
use super::{StopAtEnd, token, wait_for_more};
use crate::support::load::Client;
use crate::support::postgres::agno_tables;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const CLIENTS: usize = 6;

/// More than are deleted in the test.
const RECORDS: usize = 20_000;

/// How often all connections are ended, and how many answers of 204 there are before and after each time.
const TIMES: usize = 4;
const BETWEEN: usize = 60;

#[test]
fn connections_that_the_server_ends_are_made_again_and_no_answer_is_wrong() {
    let Some(store) = Store::postgres("PostgreSQL that ends connections") else { return };
    let mut records = store.connect();
    records.insert(&(0..RECORDS).map(|index| (format!("record_{index}"), Some("alice"))).collect::<Vec<_>>());
    let host = store.setup().start();
    let (next, stop, deleted) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let (asked, ended) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut client = Client::of(&host, &token("alice"));
                let (next, stop, deleted) = (&next, &stop, &deleted);
                scope.spawn(move || {
                    let mut asked = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let reply = client.delete(&format!("/learnings/record_{index}")).expect("an answer");
                        asked.push((index, reply.status));
                        deleted.fetch_add(usize::from(reply.status == 204), Ordering::Relaxed);
                    }
                    asked
                })
            })
            .collect();
        let stop = StopAtEnd(&stop);
        let mut ended = 0;
        let killer = store.client();
        for _ in 0..TIMES {
            wait_for_more(&deleted, BETWEEN);
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = 'delete-learning' AND datname = current_database()";
            ended += killer.query(sql, &[]).len();
        }
        wait_for_more(&deleted, BETWEEN);
        drop(stop);
        let asked: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("an answer")).collect();
        (asked, ended)
    });
    let with = |status| asked.iter().filter(move |(_, its)| *its == status).map(|(index, _)| *index);
    let left = records.ids();
    let is_there = |index: usize| left.contains(&format!("record_{index}"));
    println!(
        "PostgreSQL: {ended} connections ended under load: {} answered 204, {} 503, {} of unknown outcome ({} of them gone)",
        with(204).count(),
        with(503).count(),
        with(500).count(),
        with(500).filter(|index| !is_there(*index)).count(),
    );
    assert_eq!(with(204).count() + with(503).count() + with(500).count(), asked.len());
    assert!(with(204).all(|index| !is_there(index)) && with(503).all(is_there));
    assert!((asked.len()..RECORDS).all(is_there), "never asked for");
    assert!(ended >= TIMES, "connections were made again");
    for index in with(500) {
        let record = host.logged(&["\"target\":\"audit\"", &format!("\"record_{index}\"")]);
        assert_eq!(record["record"], "unknown", "{record}");
    }
    let last = Client::of(&host, &token("alice")).delete(&format!("/learnings/record_{}", RECORDS - 1));
    assert_eq!(last.expect("an answer").status, 204, "{}", host.log());
}

#[test]
fn a_table_that_is_dropped_and_made_again_is_served_again() {
    let Some(store) = Store::postgres("a table of PostgreSQL that is dropped") else { return };
    let mut records = store.connect();
    let all: Vec<_> = (0..40).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    records.insert(&all);
    let host = store.setup().start();
    let ask = |from: usize| -> BTreeSet<(u16, String)> {
        thread::scope(|scope| {
            // At once, so that every connection of the host learns of it.
            let asked: Vec<_> = (from..from + 10)
                .map(|index| {
                    let mut client = Client::of(&host, &token("alice"));
                    scope.spawn(move || client.delete(&format!("/learnings/record_{index}")).expect("an answer"))
                })
                .collect();
            asked
                .into_iter()
                .map(|asked| asked.join().expect("an answer"))
                .map(|reply| (reply.status, reply.body))
                .collect()
        })
    };
    let deleted = BTreeSet::from([(204, String::new())]);
    assert_eq!(ask(0), deleted);
    let other = store.client();
    other.run("DROP TABLE ai.agno_learnings");
    let failed = r#"{"detail":"Failed to delete learning","error_code":"INTERNAL_SERVER_ERROR"}"#;
    assert_eq!(ask(10), BTreeSet::from([(500, failed.to_owned())]));
    let named = Client::of(&host, &token("alice")).delete("/learnings/record_10?db_id=main&table=agno_learnings");
    assert_eq!(named.expect("an answer").status, 404, "whoever names it is told that it is not there");
    assert_eq!(host.request("GET", "/health", &[]).status, 503);
    println!("PostgreSQL, a table that is dropped: {}", host.logged(&["storage failed", "does not exist"])["cause"]);
    other.run(&agno_tables());
    records.insert(&all);
    assert_eq!(ask(20), deleted, "{}", host.log());
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
    // A column more, as a later Agno may add.
    other.run("ALTER TABLE ai.agno_learnings ADD COLUMN more TEXT");
    assert_eq!(ask(30), deleted, "{}", host.log());
}
