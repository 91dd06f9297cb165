//! Delete if unchanged: what a policy relies on that looks at a record and then deletes what it saw.

use super::store::Store;
use super::{StopAtEnd, number};
use delete_learning::{Condition, LearningStore, Outcome};
use delete_learning_server::storage::postgres::{PostgresOptions, PostgresTarget, PostgresUrl};
use delete_learning_server::storage::sqlite::SqliteOptions;
use delete_learning_server::storage::{PostgresStore, SqliteStore};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Deletes that are tried against a record which changes all the time, shortened and in full.
const TRIES: [usize; 2] = [200, 4_000];

/// Every column but the key, and whether it may be empty.
const TEXTS: [(&str, bool); 9] = [
    ("learning_type", false),
    ("namespace", true),
    ("user_id", true),
    ("agent_id", true),
    ("team_id", true),
    ("workflow_id", true),
    ("session_id", true),
    ("entity_id", true),
    ("entity_type", true),
];
const JSON: [(&str, bool); 2] = [("content", false), ("metadata", true)];
const TIMES: [(&str, bool); 2] = [("created_at", false), ("updated_at", true)];

/// Values as SQL, one after another in a column: each another than the one before.
const TEXT_VALUES: [&str; 7] = ["'one'", "'One'", "'one '", "''", "'null'", "'1'", "'{}'"];
const JSON_VALUES: [&str; 7] =
    [r#"'{"a": 1}'"#, r#"'{"a": "1"}'"#, r#"'{"a": null}'"#, "'{}'", "'[]'", "'null'", "'1'"];
const TIME_VALUES: [&str; 3] = ["1", "0", "-1"];

fn run<T>(future: impl Future<Output = T>) -> T {
    // The connections of the table live on it.
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(|| make().expect("a runtime")).block_on(future)
}

fn open(store: &Store) -> Box<dyn LearningStore> {
    let url = store.url();
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let opened = SqliteStore::open(Path::new(path), "agno_learnings", &SqliteOptions::default(), 16);
            Box::new(opened.expect("it opens"))
        }
        None => {
            let url = PostgresUrl::parse(&url, Path::new("/")).expect("a URL");
            let target = PostgresTarget { url, schema: "ai".to_owned(), transaction_pooling: false };
            let opened = run(PostgresStore::open(&target, "agno_learnings", &PostgresOptions::default(), 16));
            Box::new(opened.expect("it opens"))
        }
    }
}

fn revision(table: &dyn LearningStore, id: &str) -> String {
    run(table.find(id.to_owned())).expect("it can be read").expect("it is there").revision
}

fn delete(table: &dyn LearningStore, id: &str, revision: &str) -> Outcome {
    run(table.delete(id.to_owned(), Condition::Unchanged(revision.to_owned()))).expect("an outcome")
}

#[test]
fn a_change_to_any_column_keeps_the_record() {
    for store in Store::each("delete if unchanged on PostgreSQL") {
        let (table, mut records) = (open(&store), store.connect());
        records.insert(&[("r".to_owned(), Some("alice"))]);
        let mut changes = 0;
        let columns = TEXTS.iter().map(|column| (column, &TEXT_VALUES[..]));
        let columns = columns.chain(JSON.iter().map(|column| (column, &JSON_VALUES[..])));
        let columns = columns.chain(TIMES.iter().map(|column| (column, &TIME_VALUES[..])));
        for ((column, may_be_empty), values) in columns {
            let empty = may_be_empty.then_some("NULL");
            // To nothing and back, and to each other value.
            for value in values.iter().copied().chain(empty).chain([values[0]]) {
                let seen = revision(&*table, "r");
                assert_eq!(seen, revision(&*table, "r"), "the same state is called the same");
                assert!(seen.len() <= 256);
                assert!(records.set("r", column, value));
                assert_eq!(delete(&*table, "r", &seen), Outcome::Changed, "{}: {column} = {value}", store.name());
                assert!(records.has("r"));
                changes += 1;
            }
        }
        // What moves from one column to its neighbour is a change, too.
        assert!(records.set("r", "agent_id", "'moved'") && records.set("r", "team_id", "NULL"));
        let seen = revision(&*table, "r");
        assert!(records.set("r", "agent_id", "NULL") && records.set("r", "team_id", "'moved'"));
        assert_eq!(delete(&*table, "r", &seen), Outcome::Changed);
        let seen = revision(&*table, "r");
        assert!(records.set("r", "learning_id", "'s'"));
        assert_eq!(delete(&*table, "r", &seen), Outcome::Absent, "it has another id now");
        assert_eq!(delete(&*table, "s", "never given"), Outcome::Changed);
        assert_eq!(delete(&*table, "s", &revision(&*table, "s")), Outcome::Deleted);
        assert_eq!(delete(&*table, "s", "never given"), Outcome::Absent);
        println!("{}: {changes} changes to 13 columns between find and delete, each kept the record", store.name());
    }
}

/// One record whose `updated_at` counts up. A policy deletes it in its even states only; nothing else ever deletes it. Who
/// counts finds it gone at the next step, and knows its state of that moment.
#[test]
fn a_record_that_changes_all_the_time_goes_only_in_a_state_that_was_seen() {
    let tries = number(TRIES[0], TRIES[1]);
    for store in Store::each("delete if unchanged against changes on PostgreSQL") {
        let (table, mut records) = (open(&store), store.connect());
        let table = &*table;
        let (stop, deleted, changed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        records.insert(&[("r".to_owned(), Some("alice"))]);
        let (mut gone_even, mut gone_odd) = (0, 0);
        thread::scope(|scope| {
            let trying: Vec<_> = (0..2)
                .map(|_| {
                    let (stop, deleted, changed) = (&stop, &deleted, &changed);
                    scope.spawn(move || {
                        let stop = StopAtEnd(stop);
                        let mut tried = 0;
                        while tried < tries / 2 {
                            let found = run(table.find("r".to_owned())).expect("it can be read");
                            let Some(found) = found.filter(|found| found.updated_at.unwrap_or_default() % 2 == 0)
                            else {
                                continue;
                            };
                            tried += 1;
                            match delete(table, "r", &found.revision) {
                                Outcome::Deleted => deleted.fetch_add(1, Ordering::Relaxed),
                                Outcome::Changed => changed.fetch_add(1, Ordering::Relaxed),
                                Outcome::Absent => 0,
                                other => panic!("{other:?}"),
                            };
                        }
                        std::mem::forget(stop);
                    })
                })
                .collect();
            let counting = scope.spawn(|| {
                let _stop = StopAtEnd(&stop);
                let mut state = 0;
                while !stop.load(Ordering::Relaxed) {
                    if !records.set("r", "updated_at", &(state + 1).to_string()) {
                        *(if state % 2 == 0 { &mut gone_even } else { &mut gone_odd }) += 1;
                        records.insert(&[("r".to_owned(), Some("alice"))]);
                        state = 0;
                        continue;
                    }
                    state += 1;
                    thread::sleep(Duration::from_micros(300));
                }
                if !records.has("r") {
                    *(if state % 2 == 0 { &mut gone_even } else { &mut gone_odd }) += 1;
                }
            });
            for trying in trying {
                trying.join().expect("every outcome is right");
            }
            stop.store(true, Ordering::Relaxed);
            counting.join().expect("every change is made");
        });
        let (deleted, changed) = (deleted.into_inner(), changed.into_inner());
        println!(
            "{}: {tries} deletes of a record that changes all the time: {deleted} in the state that was seen, {changed} \
             refused as changed; {gone_even} gone in a state to delete, {gone_odd} in one to keep",
            store.name()
        );
        assert_eq!((gone_even, gone_odd), (deleted, 0));
        assert!(deleted > 0 && changed > 0, "both happened");
    }
}
