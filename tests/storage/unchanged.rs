//! `delete-if-unchanged`: a policy that reads a record deletes only the state that it read.

use super::store::Store;
use super::{StopOnDrop, shortened_or_full};
use delete_learning::{Condition, LearningStore, Outcome};
use delete_learning_server::storage::postgres::{PostgresOptions, PostgresTarget, PostgresUrl, UrlContext};
use delete_learning_server::storage::sqlite::SqliteOptions;
use delete_learning_server::storage::{LearningsTable, PostgresStore, SqliteStore};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The number of deletes of a record that changes all the time, shortened and in full.
const ATTEMPTS: [usize; 2] = [200, 4_000];

/// Every column except the key, and whether it is nullable.
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

/// SQL values that are set one after another. Each differs from the previous one.
const TEXT_VALUES: [&str; 7] = ["'one'", "'One'", "'one '", "''", "'null'", "'1'", "'{}'"];
const JSON_VALUES: [&str; 7] =
    [r#"'{"a": 1}'"#, r#"'{"a": "1"}'"#, r#"'{"a": null}'"#, "'{}'", "'[]'", "'null'", "'1'"];
const TIME_VALUES: [&str; 3] = ["1", "0", "-1"];

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    // One runtime for all tests, because the connections of a store need the runtime that created them.
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(|| build().expect("a runtime")).block_on(future)
}

/// Opens the store as the server does.
pub fn open(store: &Store) -> Box<dyn LearningStore> {
    let (url, table) = (store.url(), LearningsTable::existing("agno_learnings"));
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let opened = SqliteStore::open(Path::new(path), &table, &SqliteOptions::default(), 16);
            Box::new(opened.expect("the store opens"))
        }
        None => {
            let context = UrlContext { directory: Path::new("/"), environment: &|_| None, password: None };
            let url = PostgresUrl::parse(&url, &context).expect("a URL");
            let target = PostgresTarget { url, schema: "ai".to_owned(), transaction_pooling: false };
            let opened = block_on(PostgresStore::open(&target, &table, &PostgresOptions::default(), 16));
            Box::new(opened.expect("the store opens"))
        }
    }
}

fn revision(table: &dyn LearningStore, id: &str) -> String {
    block_on(table.find(id.to_owned())).expect("the record is read").expect("the record exists").revision
}

fn delete(table: &dyn LearningStore, id: &str, revision: &str) -> Outcome {
    block_on(table.delete(id.to_owned(), Condition::Unchanged(revision.to_owned()))).expect("an outcome")
}

#[test]
fn change_of_any_column_prevents_delete() {
    for store in Store::all("delete if unchanged on PostgreSQL") {
        let (table, mut records) = (open(&store), store.connect());
        records.insert(&[("r".to_owned(), Some("alice"))]);
        let mut changes = 0;
        let columns = TEXTS.iter().map(|column| (column, &TEXT_VALUES[..]));
        let columns = columns.chain(JSON.iter().map(|column| (column, &JSON_VALUES[..])));
        let columns = columns.chain(TIMES.iter().map(|column| (column, &TIME_VALUES[..])));
        for ((column, is_nullable), values) in columns {
            let null = is_nullable.then_some("NULL");
            // Every value, NULL, and back to the first value.
            for value in values.iter().copied().chain(null).chain([values[0]]) {
                let seen = revision(&*table, "r");
                assert_eq!(seen, revision(&*table, "r"), "equal states have equal revisions");
                assert!(seen.len() <= 256);
                assert!(records.set("r", column, value));
                assert_eq!(delete(&*table, "r", &seen), Outcome::Changed, "{}: {column} = {value}", store.name());
                assert!(records.has("r"));
                changes += 1;
            }
        }
        // A value that moves to the adjacent column is a change too.
        assert!(records.set("r", "agent_id", "'moved'") && records.set("r", "team_id", "NULL"));
        let seen = revision(&*table, "r");
        assert!(records.set("r", "agent_id", "NULL") && records.set("r", "team_id", "'moved'"));
        assert_eq!(delete(&*table, "r", &seen), Outcome::Changed);
        let seen = revision(&*table, "r");
        assert!(records.set("r", "learning_id", "'s'"));
        assert_eq!(delete(&*table, "r", &seen), Outcome::Absent, "the record has another id");
        assert_eq!(delete(&*table, "s", "unknown revision"), Outcome::Changed);
        assert_eq!(delete(&*table, "s", &revision(&*table, "s")), Outcome::Deleted);
        assert_eq!(delete(&*table, "s", "unknown revision"), Outcome::Absent);
        println!(
            "{}: {changes} changes to 13 columns between find and delete, each prevented the delete",
            store.name()
        );
    }
}

/// A writer counts `updated_at` up, and two threads delete the record in even states only.
///
/// The writer notices a deletion at its next step, and knows the state that was deleted.
#[test]
fn changing_record_is_deleted_only_in_the_state_that_was_read() {
    let attempts = shortened_or_full(ATTEMPTS[0], ATTEMPTS[1]);
    for store in Store::all("delete if unchanged against changes on PostgreSQL") {
        let (table, mut records) = (open(&store), store.connect());
        let table = &*table;
        let (stop, deleted, changed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        records.insert(&[("r".to_owned(), Some("alice"))]);
        let (mut deleted_even, mut deleted_odd) = (0, 0);
        thread::scope(|scope| {
            let deleters: Vec<_> = (0..2)
                .map(|_| {
                    let (stop, deleted, changed) = (&stop, &deleted, &changed);
                    scope.spawn(move || {
                        let stop = StopOnDrop(stop);
                        let mut attempted = 0;
                        while attempted < attempts / 2 {
                            let found = block_on(table.find("r".to_owned())).expect("the record is read");
                            let Some(found) = found.filter(|found| found.updated_at.unwrap_or_default() % 2 == 0)
                            else {
                                continue;
                            };
                            attempted += 1;
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
            let writer = scope.spawn(|| {
                let _stop = StopOnDrop(&stop);
                let mut state = 0;
                while !stop.load(Ordering::Relaxed) {
                    if !records.set("r", "updated_at", &(state + 1).to_string()) {
                        *(if state % 2 == 0 { &mut deleted_even } else { &mut deleted_odd }) += 1;
                        records.insert(&[("r".to_owned(), Some("alice"))]);
                        state = 0;
                        continue;
                    }
                    state += 1;
                    thread::sleep(Duration::from_micros(300));
                }
                if !records.has("r") {
                    *(if state % 2 == 0 { &mut deleted_even } else { &mut deleted_odd }) += 1;
                }
            });
            for deleter in deleters {
                deleter.join().expect("every outcome is right");
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().expect("every change is made");
        });
        let (deleted, changed) = (deleted.into_inner(), changed.into_inner());
        println!(
            "{}: {attempts} deletes of a record that changes all the time: {deleted} in the state that was read, {changed} \
             refused as changed; {deleted_even} deleted in an even state, {deleted_odd} in an odd state",
            store.name()
        );
        assert_eq!((deleted_even, deleted_odd), (deleted, 0));
        assert!(deleted > 0 && changed > 0, "some deletes succeed and some are refused");
    }
}

#[test]
fn id_that_a_database_cannot_store_is_absent_and_an_error_is_not() {
    for store in Store::all("ids that PostgreSQL cannot store") {
        let table = open(&store);
        assert_eq!(block_on(table.find("a\0b".to_owned())), Ok(None), "{}", store.name());
        let renamed = match &store {
            Store::Sqlite { .. } => "ALTER TABLE agno_learnings RENAME TO moved",
            Store::Postgres { .. } => "ALTER TABLE ai.agno_learnings RENAME TO moved",
        };
        store.run(renamed);
        assert!(block_on(table.find("a".to_owned())).is_err(), "{}", store.name());
    }
}
