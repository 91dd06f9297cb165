//! Deletes that share a statement on PostgreSQL: each has the outcome that it has alone.

use super::store::{Records, Store};
use super::token;
use super::unchanged::block_on;
use crate::support::cluster::{Cluster, PASSWORD, find_postgres};
use crate::support::exposition::{exposition, value};
use crate::support::optional::is_enabled;
use crate::support::postgres::agno_tables;
use delete_learning::{BoxFuture, Condition, LearningStore, Outcome, StorageError, StorageErrorKind};
use delete_learning_server::storage::postgres::{PostgresOptions, PostgresTarget, PostgresUrl, UrlContext};
use delete_learning_server::storage::{LearningsTable, PostgresStore};
use delete_learning_server::telemetry::metrics::DatabaseSource;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

type Deleted = Result<Outcome, StorageError>;

fn open(url: &str, transaction_pooling: bool, options: &PostgresOptions) -> PostgresStore {
    let context = UrlContext { directory: Path::new("/"), environment: &|_| None, password: None };
    let url = PostgresUrl::parse(url, &context).expect("a URL");
    let target = PostgresTarget { url, schema: "ai".to_owned(), transaction_pooling };
    let table = LearningsTable::existing("agno_learnings");
    block_on(PostgresStore::open(&target, &table, options, 1_000)).expect("the store opens")
}

fn connections(max_connections: usize) -> PostgresOptions {
    // Longer than a busy machine takes.
    let timeout_ms = 60_000;
    PostgresOptions {
        max_connections,
        connect_timeout_ms: timeout_ms,
        acquire_timeout_ms: timeout_ms,
        statement_timeout_ms: timeout_ms,
    }
}

/// Begins all deletes in this order before any can end, and returns their results.
async fn delete_all(store: &PostgresStore, deletes: Vec<(String, Condition)>) -> Vec<Deleted> {
    let mut futures: Vec<BoxFuture<'_, Deleted>> =
        deletes.into_iter().map(|(id, condition)| store.delete(id, condition)).collect();
    let mut results: Vec<Option<Deleted>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

fn owned_by(owner: &str) -> Condition {
    Condition::OwnedBy(owner.to_owned())
}

fn by_alice<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<(String, Condition)> {
    ids.into_iter().map(|id| (id.to_owned(), owned_by("alice"))).collect()
}

fn of_alice(ids: &[String]) -> Vec<(String, Option<&'static str>)> {
    ids.iter().map(|id| (id.clone(), Some("alice"))).collect()
}

fn ids(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{name}_{index}")).collect()
}

fn kind(result: &Deleted) -> Result<Outcome, StorageErrorKind> {
    result.as_ref().copied().map_err(|error| error.kind)
}

/// A role that can do what these grants allow, and the URL with which it connects.
fn role(store: &Store, grants: &str) -> String {
    let Store::Postgres { cluster, database } = store else { panic!("the store is SQLite") };
    let role = format!("batch_{database}");
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA ai TO {role}; {grants}");
    store.client().run(&sql.replace("ROLE_NAME", &role));
    format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", cluster.port)
}

const ALL_GRANTS: &str = "GRANT ALL ON ai.agno_learnings TO ROLE_NAME;";

/// Row-level security that calls this function on each record that a statement looks at.
fn policy(body: &str) -> String {
    format!(
        "{ALL_GRANTS} CREATE FUNCTION look_at(id text) RETURNS boolean LANGUAGE plpgsql
         AS $$ BEGIN {body} RETURN true; END $$;
         ALTER TABLE ai.agno_learnings ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON ai.agno_learnings USING (look_at(learning_id))"
    )
}

/// Returns the number of committed transactions in the database, after the sessions of the server ended.
fn commits(store: &Store) -> i64 {
    store.check_after_crash();
    let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    let client = store.client();
    // A session writes its statistics when it ends.
    std::thread::sleep(Duration::from_millis(300));
    client.query(sql, &[])[0].get(0)
}

/// Returns the number of transactions of these deletes and of opening the database.
fn transactions(store: &Store, deletes: &dyn Fn(&PostgresStore)) -> i64 {
    let before = commits(store);
    let opened = open(&store.url(), false, &connections(2));
    deletes(&opened);
    drop(opened);
    commits(store) - before
}

#[test]
fn mixed_deletes_have_the_outcomes_that_they_have_alone() {
    const NUL: &str = "al\0ice";
    for (max_connections, transaction_pooling) in [(1, false), (2, false), (16, false), (2, true)] {
        let Some(store) = Store::postgres("batches of deletes") else { return };
        let opened = open(&store.url(), transaction_pooling, &connections(max_connections));
        let mut records = store.connect();
        let (mut deletes, mut expected, mut remaining) = (Vec::new(), Vec::new(), BTreeSet::new());
        for index in 0..60 {
            let id = |name: &str| format!("{name}_{index}");
            let all = [
                ("right owner", Some("alice"), owned_by("alice"), Outcome::Deleted),
                ("case of the owner", Some("alice"), owned_by("Alice"), Outcome::OwnedByAnother),
                ("wrong owner", Some("bob"), owned_by("alice"), Outcome::OwnedByAnother),
                ("no owner", None, owned_by("alice"), Outcome::Unowned),
                ("NUL in the owner", Some("alice"), owned_by(NUL), Outcome::OwnedByAnother),
                ("NUL, no owner", None, owned_by(NUL), Outcome::Unowned),
                ("any", None, Condition::Any, Outcome::Deleted),
                ("wrong revision", Some("bob"), Condition::Unchanged("other".to_owned()), Outcome::Changed),
                ("NUL in the revision", Some("bob"), Condition::Unchanged(NUL.to_owned()), Outcome::Changed),
            ];
            let owners: Vec<_> = all.iter().map(|(name, owner, ..)| (id(name), *owner)).collect();
            records.insert(&owners);
            records.insert(&[(id("right revision"), Some("bob"))]);
            let revision = block_on(opened.find(id("right revision"))).expect("it is read").expect("a record").revision;
            let absent = [
                ("absent", owned_by("alice"), Outcome::Absent),
                ("absent\0", owned_by("alice"), Outcome::Absent),
                ("absent, any", Condition::Any, Outcome::Absent),
                ("absent, revision", Condition::Unchanged(revision.clone()), Outcome::Absent),
            ];
            let existing = all.into_iter().map(|(name, _, condition, outcome)| (name, condition, outcome));
            let changed = [("right revision", Condition::Unchanged(revision), Outcome::Deleted)];
            for (name, condition, outcome) in existing.chain(absent).chain(changed) {
                deletes.push((id(name), condition));
                expected.push((id(name), Ok(outcome)));
                if !matches!(outcome, Outcome::Deleted | Outcome::Absent) {
                    remaining.insert(id(name));
                }
            }
        }
        let results = block_on(delete_all(&opened, deletes));
        for ((id, expected), result) in expected.iter().zip(&results) {
            assert_eq!(kind(result), *expected, "{id:?}: {result:?}");
        }
        assert_eq!(records.ids(), remaining);
    }
}

#[test]
fn lone_delete_is_one_statement_and_concurrent_deletes_share_them() {
    const COUNT: usize = 1_000;
    let Some(store) = Store::postgres("batches of deletes") else { return };
    let (lone, shared) = (ids("lone", 50), ids("shared", COUNT));
    store.connect().insert(&[of_alice(&lone), of_alice(&shared)].concat());
    let count = |deletes: &dyn Fn(&PostgresStore)| transactions(&store, deletes);
    let of_opening = count(&|_| {});
    let of_lone = count(&|opened| {
        for id in &lone {
            assert_eq!(block_on(opened.delete(id.clone(), owned_by("alice"))).expect("an outcome"), Outcome::Deleted);
        }
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'delete-learning'
                   AND datname = current_database() AND query LIKE '%SKIP LOCKED%'";
        assert_eq!(store.client().query(sql, &[])[0].get::<_, i64>(0), 0);
    }) - of_opening;
    let of_shared = count(&|opened| {
        let results = block_on(delete_all(opened, by_alice(shared.iter().map(String::as_str))));
        assert!(results.iter().all(|result| kind(result) == Ok(Outcome::Deleted)));
    }) - of_opening;
    println!("{} lone deletes: {of_lone} transactions; {COUNT} concurrent deletes: {of_shared}", lone.len());
    // Those that look at the statistics have a few of their own.
    assert!((40..75).contains(&of_lone), "{of_lone}");
    assert!(of_shared < 100, "{of_shared}");
}

/// A trigger function that refuses some records.
const RAISING: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                           IF OLD.learning_id LIKE 'refused%' THEN RAISE 'on hold'; END IF; RETURN OLD; END $$;";

/// Statements that make the table one of partitions whose trigger refuses some records. The triggers of a partition are not
/// those of its table, so that a batch itself fails.
fn trigger_of_a_partition() -> String {
    format!(
        "ALTER TABLE ai.agno_learnings RENAME TO t;
         CREATE TABLE ai.agno_learnings (LIKE ai.t INCLUDING ALL) PARTITION BY HASH (learning_id);
         CREATE TABLE ai.p PARTITION OF ai.agno_learnings FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         INSERT INTO ai.agno_learnings SELECT * FROM ai.t; DROP TABLE ai.t; {RAISING}
         CREATE TRIGGER t AFTER DELETE ON ai.p FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
}

/// A batch that fails costs the deletes in it a statement each. Text that the database cannot store is not part of one, and a
/// record that the database refused is not part of further ones.
#[test]
fn batches_leave_out_what_makes_them_fail() {
    let Some(programs) = find_postgres("batches of deletes that fail") else { return };
    let cluster = Cluster::start(programs, &[]);
    let client = cluster.connect("postgres");
    for (encoding, unstorable) in [("UTF8", "nul\0"), ("LATIN1", "\u{65e5}")] {
        let name = encoding.to_lowercase();
        client.run(&format!("CREATE DATABASE {name} ENCODING {encoding} TEMPLATE template0"));
        let mut records = cluster.connect(&name);
        records.run(&agno_tables());
        let rounds = ["first", "second", "third"].map(|round| ids(round, 60));
        records.insert(&of_alice(&["refused".to_owned()]));
        for round in &rounds {
            records.insert(&of_alice(round));
        }
        records.run(&trigger_of_a_partition());
        let opened = open(&cluster.url(&name), false, &connections(2));
        let failed_before = failed_batches(&cluster);
        for round in &rounds {
            let mut deletes = by_alice(round.iter().map(String::as_str));
            deletes.insert(20, ("refused".to_owned(), owned_by("alice")));
            deletes.insert(30, (unstorable.to_owned(), owned_by("alice")));
            deletes.insert(40, ("refused".to_owned(), owned_by(unstorable)));
            let results = block_on(delete_all(&opened, deletes));
            let count = |expected| results.iter().filter(|result| kind(result) == expected).count();
            assert_eq!(count(Ok(Outcome::Deleted)), 60, "{encoding}: {results:?}");
            assert_eq!(count(Err(StorageErrorKind::Internal)), 1, "{encoding}: {results:?}");
            assert_eq!(count(Ok(Outcome::Absent)), 1, "{encoding}: {results:?}");
            assert_eq!(count(Ok(Outcome::OwnedByAnother)), 1, "{encoding}: {results:?}");
        }
        assert_eq!(failed_batches(&cluster) - failed_before, 1, "{encoding}: {}", cluster.log());
    }
}

/// The number of batches that PostgreSQL reported as failed.
fn failed_batches(cluster: &Cluster) -> usize {
    cluster.log().split("STATEMENT:").skip(1).filter(|statement| statement.contains("SKIP LOCKED")).count()
}

#[test]
fn text_of_every_language_is_batched_in_utf8() {
    let Some(store) = Store::postgres("batches of deletes") else { return };
    let ids = ids("\u{65e5}\u{672c}\u{8a9e}", 500);
    store.connect().insert(&of_alice(&ids));
    let count = |deletes: &dyn Fn(&PostgresStore)| transactions(&store, deletes);
    let of_opening = count(&|_| {});
    let of_deletes = count(&|opened| {
        let results = block_on(delete_all(opened, by_alice(ids.iter().map(String::as_str))));
        assert!(results.iter().all(|result| kind(result) == Ok(Outcome::Deleted)));
    }) - of_opening;
    assert!(of_deletes < 100, "{of_deletes} transactions for {} deletes", ids.len());
}

/// A delete that the database refuses, or that waits, changes no other answer.
#[test]
fn refused_delete_in_a_batch_fails_alone() {
    let trigger = format!(
        "{ALL_GRANTS} {RAISING}
         CREATE TRIGGER t BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    let foreign_key = format!(
        "{ALL_GRANTS} CREATE TABLE ai.child (id text REFERENCES ai.agno_learnings (learning_id));
         INSERT INTO ai.child SELECT learning_id FROM ai.agno_learnings WHERE learning_id LIKE 'refused%'"
    );
    let deferred = foreign_key.replace("(learning_id));", "(learning_id) DEFERRABLE INITIALLY DEFERRED);");
    let partition = format!("{}; {ALL_GRANTS}", trigger_of_a_partition());
    for (what, sql) in [
        ("row-level security", policy("IF id LIKE 'refused%' THEN RAISE 'on hold'; END IF;")),
        ("trigger", trigger),
        ("trigger of a partition", partition),
        ("foreign key", foreign_key),
        ("deferred foreign key", deferred),
    ] {
        let Some(store) = Store::postgres("batches with refused deletes") else { return };
        let mut records = store.connect();
        let (refused, rounds) = (ids("refused", 3), [ids("first", 150), ids("second", 150)]);
        records.insert(&of_alice(&refused));
        for round in &rounds {
            records.insert(&of_alice(round));
        }
        let opened = open(&role(&store, &sql), false, &connections(2));
        for round in &rounds {
            let (first, second) = round.split_at(20);
            let all: Vec<&str> = first.iter().chain(&refused).chain(second).map(String::as_str).collect();
            let results = block_on(delete_all(&opened, by_alice(all.iter().copied())));
            for (id, result) in all.iter().zip(&results) {
                let expected =
                    if id.starts_with("refused") { Err(StorageErrorKind::Internal) } else { Ok(Outcome::Deleted) };
                assert_eq!(kind(result), expected, "{what}, {id}: {result:?}");
            }
        }
        assert_eq!(records.ids(), refused.into_iter().collect(), "{what}");
    }
}

#[test]
fn id_that_is_requested_many_times_is_deleted_once() {
    let Some(store) = Store::postgres("batches with one id") else { return };
    for max_connections in [1, 16] {
        store.connect().insert(&of_alice(&ids("same", 3)));
        let opened = open(&store.url(), false, &connections(max_connections));
        for id in ids("same", 3) {
            let results = block_on(delete_all(&opened, by_alice(vec![id.as_str(); 150])));
            let deleted = results.iter().filter(|result| kind(result) == Ok(Outcome::Deleted)).count();
            let absent = results.iter().filter(|result| kind(result) == Ok(Outcome::Absent)).count();
            assert_eq!((deleted, deleted + absent), (1, 150), "{results:?}");
        }
    }
}

#[test]
fn batches_of_two_servers_delete_each_record_once() {
    let Some(store) = Store::postgres("batches of two servers") else { return };
    let all = ids("both", 2_000);
    store.connect().insert(&of_alice(&all));
    let servers = [(); 2].map(|()| open(&store.url(), false, &connections(4)));
    let backwards: Vec<String> = all.iter().rev().cloned().collect();
    let delete = |server, ids: &[String]| block_on(delete_all(server, by_alice(ids.iter().map(String::as_str))));
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| delete(&servers[0], &all));
        let other = scope.spawn(|| delete(&servers[1], &backwards));
        (one.join().expect("results"), other.join().expect("results"))
    });
    for (id, (one, other)) in all.iter().zip(one.iter().zip(other.iter().rev())) {
        use Outcome::{Absent, Deleted};
        let kinds = (kind(one), kind(other));
        assert!([(Ok(Deleted), Ok(Absent)), (Ok(Absent), Ok(Deleted))].contains(&kinds), "{id}: {kinds:?}");
    }
    assert!(store.connect().ids().is_empty());
}

#[test]
fn locked_record_delays_no_other_delete_of_its_batch() {
    let Some(store) = Store::postgres("batches with locked records") else { return };
    let (others, client) = (ids("other", 150), store.client());
    store.connect().insert(&of_alice(&[&others[..], &["locked".to_owned()]].concat()));
    let opened = open(&store.url(), false, &connections(2));
    client.run("BEGIN; SELECT 1 FROM ai.agno_learnings WHERE learning_id = 'locked' FOR UPDATE");
    let (first, second) = others.split_at(20);
    let in_order = first.iter().map(String::as_str).chain(["locked"]).chain(second.iter().map(String::as_str));
    let remaining = store.client();
    let results = std::thread::scope(|scope| {
        let deletes = scope.spawn(|| block_on(delete_all(&opened, by_alice(in_order))));
        remaining.wait_for("SELECT count(*) = 1 FROM ai.agno_learnings");
        remaining.wait_for(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
             AND query NOT LIKE '%SKIP LOCKED%'",
        );
        client.run("ROLLBACK");
        deletes.join().expect("results")
    });
    assert!(results.iter().all(|result| kind(result) == Ok(Outcome::Deleted)), "{results:?}");
    assert!(remaining.query("SELECT FROM ai.agno_learnings", &[]).is_empty());
}

/// A function that waits while this advisory lock is taken, in a statement that has its snapshot and no row lock yet.
const WAIT: &str = "IF id LIKE 'slow%' THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;";
const IS_WAITING: &str = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'
                          AND datname = current_database() AND query LIKE '%SKIP LOCKED%'";
const BATCH: [&str; 6] = ["slow", "given", "changed", "recreated", "deleted", "same"];

/// Deletes a record, and then those of `BATCH` in one statement, during which it calls `meanwhile`.
fn delete_batch_while(options: &PostgresOptions, meanwhile: impl FnOnce(&Store)) -> (Store, Vec<Deleted>) {
    let store = Store::postgres("batches that take long").expect("a PostgreSQL cluster");
    let all = [&["lone"][..], &BATCH].concat();
    store.connect().insert(&all.iter().map(|id| ((*id).to_owned(), Some("alice"))).collect::<Vec<_>>());
    let opened = open(&role(&store, &policy(WAIT)), false, options);
    let locker = store.client();
    locker.run("SELECT pg_advisory_lock(1)");
    let mut results = std::thread::scope(|scope| {
        let deletes = scope.spawn(|| block_on(delete_all(&opened, by_alice(all))));
        store.client().wait_for(IS_WAITING);
        meanwhile(&store);
        locker.run("SELECT pg_advisory_unlock(1)");
        deletes.join().expect("results")
    });
    assert_eq!(kind(&results.remove(0)), Ok(Outcome::Deleted), "it was deleted alone");
    (store, results)
}

/// A row that changes between the snapshot of a batch and its lock is deleted only if the condition still holds.
#[test]
fn record_that_changes_during_a_batch_is_tested_again() {
    if Cluster::shared("batches that take long").is_none() {
        return;
    }
    let (store, results) = delete_batch_while(&connections(1), |store| {
        let mut records = store.connect();
        assert!(records.set_owner("given", Some("bob")));
        assert!(records.set("changed", "namespace", "'other'"));
        assert!(records.recreate("recreated", Some("alice")));
        assert!(records.remove("deleted"));
    });
    let kinds: Vec<_> = results.iter().map(kind).collect();
    use Outcome::{Absent, Deleted, OwnedByAnother};
    assert_eq!(kinds, [Deleted, OwnedByAnother, Deleted, Deleted, Absent, Deleted].map(Ok), "{BATCH:?}");
    assert_eq!(store.connect().ids(), BTreeSet::from(["given".to_owned()]));
}

/// A batch that takes long gives its lane away. A delete that it leaves undecided gets another lane although no request
/// follows; otherwise it would be refused after the timeout for connections.
#[test]
fn only_record_that_a_slow_batch_leaves_is_deleted_at_once() {
    if Cluster::shared("batches that take long").is_none() {
        return;
    }
    let (store, results) = delete_batch_while(&connections(1), |store| {
        assert!(store.connect().recreate("recreated", Some("alice")));
        std::thread::sleep(Duration::from_millis(100));
    });
    assert!(results.iter().all(|result| kind(result) == Ok(Outcome::Deleted)), "{BATCH:?}: {results:?}");
    assert!(store.connect().ids().is_empty());
}

#[test]
fn outcome_of_every_delete_of_a_lost_batch_is_unknown() {
    if Cluster::shared("batches whose session ends").is_none() {
        return;
    }
    let (_, results) = delete_batch_while(&connections(1), |store| {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'
                   AND datname = current_database()";
        store.client().run(sql);
        store.client().wait_for(&format!("SELECT NOT ({IS_WAITING})"));
    });
    for (id, result) in BATCH.iter().zip(&results) {
        assert_eq!(kind(result), Err(StorageErrorKind::OutcomeUnknown), "{id}: {result:?}");
    }
}

#[test]
fn batch_that_times_out_is_executed_one_by_one() {
    if Cluster::shared("batches that time out").is_none() {
        return;
    }
    let options = PostgresOptions { statement_timeout_ms: 2_000, ..connections(1) };
    let (store, results) = delete_batch_while(&options, |store| {
        store.client().wait_for("SELECT count(*) = 1 FROM ai.agno_learnings");
        std::thread::sleep(Duration::from_millis(2_500));
    });
    for (id, result) in BATCH.iter().zip(&results) {
        let expected = if *id == "slow" { Err(StorageErrorKind::Unavailable) } else { Ok(Outcome::Deleted) };
        assert_eq!(kind(result), expected, "{id}: {result:?}");
    }
    assert_eq!(store.connect().ids(), BTreeSet::from(["slow".to_owned()]));
}

/// The first delete waits for a lock, and the second for the only connection.
#[test]
fn request_that_no_longer_waits_is_not_deleted() {
    let Some(store) = Store::postgres("batches with requests that end") else { return };
    let (client, mut records) = (store.client(), store.connect());
    records.insert(&of_alice(&["given up".to_owned()]));
    let opened = Arc::new(open(&store.url(), false, &connections(1)));
    let delete = |id: &str| {
        let (opened, id) = (Arc::clone(&opened), id.to_owned());
        async move { opened.delete(id, owned_by("alice")).await }
    };
    // The second time it has a lane, and waits for the connection.
    for pause in [0, 300] {
        records.insert(&of_alice(&["first".to_owned(), "last".to_owned()]));
        client.run("BEGIN; SELECT 1 FROM ai.agno_learnings WHERE learning_id = 'first' FOR UPDATE");
        let (first, given_up) = block_on(async {
            let first = tokio::spawn(delete("first"));
            tokio::time::sleep(Duration::from_millis(50)).await;
            let given_up = tokio::time::timeout(Duration::from_millis(pause), delete("given up")).await;
            (first, given_up)
        });
        assert!(given_up.is_err(), "{given_up:?}");
        client.run("ROLLBACK");
        assert_eq!(kind(&block_on(first).expect("a task")), Ok(Outcome::Deleted));
        assert_eq!(kind(&block_on(delete("last"))), Ok(Outcome::Deleted));
        assert_eq!(records.ids(), BTreeSet::from(["given up".to_owned()]));
    }
}

#[test]
fn role_that_cannot_lock_rows_deletes_one_by_one() {
    let Some(store) = Store::postgres("roles without the privilege UPDATE") else { return };
    let mut records = store.connect();
    let rounds = [ids("never", 150), ids("granted", 150), ids("revoked", 150), ids("later", 150), ids("last", 150)];
    rounds.iter().for_each(|round| records.insert(&of_alice(round)));
    let url = role(&store, "GRANT SELECT, DELETE ON ai.agno_learnings TO ROLE_NAME");
    let Store::Postgres { database, .. } = &store else { return };
    let delete = |opened: &PostgresStore, ids: &[String]| {
        let results = block_on(delete_all(opened, by_alice(ids.iter().map(String::as_str))));
        assert!(results.iter().all(|result| kind(result) == Ok(Outcome::Deleted)), "{results:?}");
    };
    delete(&open(&url, false, &connections(2)), &rounds[0]);
    store.client().run(&format!("GRANT UPDATE (namespace) ON ai.agno_learnings TO batch_{database}"));
    let opened = Arc::new(open(&url, false, &connections(10)));
    delete(&opened, &rounds[1]);
    store.client().run(&format!("REVOKE UPDATE (namespace) ON ai.agno_learnings FROM batch_{database}"));
    delete(&opened, &rounds[2]);
    // Another batch would be refused too.
    let statements = || metric(&opened, "storage_batch_deletes_count").parse::<u64>().expect("a number");
    let before = statements();
    delete(&opened, &rounds[3]);
    assert_eq!(statements(), before + 150);
    if is_enabled("FULL_STORAGE_TESTS") {
        // A batch is tried again.
        std::thread::sleep(Duration::from_secs(61));
        let before = statements();
        delete(&opened, &rounds[4]);
        assert!(statements() > before + 150);
    }
    assert_eq!(records.ids().len(), if is_enabled("FULL_STORAGE_TESTS") { 0 } else { 150 });
}

/// The value of a metric of the table.
fn metric(store: &Arc<PostgresStore>, name: &str) -> String {
    let (db_id, table) = ("main".to_owned(), "agno_learnings".to_owned());
    let database = DatabaseSource { db_id, table, store: Arc::<PostgresStore>::clone(store) };
    value(&exposition(&Arc::default(), vec![database]), &format!("delete_learning_{name}{{"))
}

/// The number of requests that got no connection in time.
fn acquire_timeouts(store: &Arc<PostgresStore>) -> String {
    metric(store, "postgres_acquire_timeouts_total")
}

#[test]
fn delete_that_gets_no_connection_in_time_is_unavailable_and_counted() {
    let Some(store) = Store::postgres("deletes without a connection") else { return };
    let client = store.client();
    let observer = store.client();
    let locked = ids("locked", 2);
    let kinds = |results: &[Deleted]| results.iter().map(kind).collect::<Vec<_>>();
    // Shorter and longer than the time after which a delete that waits for a record gives its lane away: the others wait for
    // a lane, or are a batch that waits for a connection.
    for acquire_timeout_ms in [4, 100] {
        store.connect().insert(&of_alice(&[&locked[..], &ids("waits", 5)].concat()));
        let options = PostgresOptions { acquire_timeout_ms, ..connections(2) };
        let opened = Arc::new(open(&store.url(), false, &options));
        client.run("BEGIN; SELECT 1 FROM ai.agno_learnings WHERE learning_id LIKE 'locked%' FOR UPDATE");
        let results = std::thread::scope(|scope| {
            let all = locked.iter().map(String::as_str).chain(["waits_0", "waits_1", "waits_2"]);
            let deletes = by_alice(all);
            let deletes = scope.spawn(|| block_on(delete_all(&opened, deletes)));
            observer.wait_for(
                "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
            );
            // All connections are used, and lanes are free.
            let later = block_on(delete_all(&opened, by_alice(["waits_3"])));
            assert_eq!(kinds(&later), [Err(StorageErrorKind::Unavailable)], "{later:?}");
            let end = Instant::now() + Duration::from_secs(20);
            while acquire_timeouts(&opened) != "4" && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            client.run("ROLLBACK");
            deletes.join().expect("results")
        });
        let unavailable = Err(StorageErrorKind::Unavailable);
        let expected = [Ok(Outcome::Deleted), Ok(Outcome::Deleted), unavailable, unavailable, unavailable];
        assert_eq!(kinds(&results), expected, "{results:?}");
        assert_eq!(acquire_timeouts(&opened), "4", "each request is counted once");
        assert_eq!(observer.query("SELECT FROM ai.agno_learnings", &[]).len(), 5);
        client.run("DELETE FROM ai.agno_learnings");
    }
}

/// Deletes of one id are never a batch, so each waits for a lane of its own.
#[test]
fn deletes_that_wait_for_a_lane_get_no_connection_in_time_together() {
    const COUNT: usize = 300;
    let Some(store) = Store::postgres("deletes that wait for a lane") else { return };
    let client = store.client();
    let observer = store.client();
    store.connect().insert(&of_alice(&ids("locked", 1)));
    let opened = Arc::new(open(&store.url(), false, &PostgresOptions { acquire_timeout_ms: 100, ..connections(1) }));
    client.run("BEGIN; SELECT 1 FROM ai.agno_learnings WHERE learning_id = 'locked_0' FOR UPDATE");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| block_on(delete_all(&opened, by_alice(["locked_0"]))));
        observer.wait_for(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        let begin = Instant::now();
        let results = block_on(delete_all(&opened, by_alice(["absent"; COUNT])));
        let elapsed = begin.elapsed();
        assert!(results.iter().all(|result| kind(result) == Err(StorageErrorKind::Unavailable)), "{results:?}");
        // Each uses its lane for 10 ms, so that 300 of them need 3 s if they wait for each other.
        assert!(elapsed < Duration::from_millis(1_500), "{elapsed:?}");
        assert_eq!(acquire_timeouts(&opened), COUNT.to_string());
        client.run("ROLLBACK");
        assert_eq!(first.join().expect("results"), [Ok(Outcome::Deleted)]);
    });
}

#[test]
fn idle_server_uses_no_processor_time() {
    for store in Store::all("an idle server") {
        let server = store.setup().start();
        let delete = |_| server.delete("/learnings/absent", Some(&token("alice"))).status;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let requests: Vec<_> = (0..8).map(|index| scope.spawn(move || delete(index))).collect();
            requests.into_iter().map(|request| request.join().expect("a status")).collect()
        });
        assert_eq!(statuses, [404; 8]);
        server.assert_idle();
    }
}

#[test]
fn time_to_acquire_a_connection_is_measured_for_each_statement() {
    let Some(store) = Store::postgres("the time to acquire a connection") else { return };
    let opened = Arc::new(open(&store.url(), false, &connections(1)));
    let count = || metric(&opened, "postgres_acquire_duration_seconds_count").parse::<u64>().expect("a number");
    let before = count();
    for _ in 0..3 {
        assert_eq!(block_on(opened.delete("absent".to_owned(), owned_by("alice"))), Ok(Outcome::Absent));
    }
    assert_eq!(count(), before + 3);
}

#[test]
fn statement_that_nobody_waits_for_is_canceled() {
    let Some(store) = Store::postgres("deletes that nobody waits for") else { return };
    let client = store.client();
    store.connect().insert(&of_alice(&ids("locked", 1)));
    let opened = open(&store.url(), false, &connections(2));
    client.run("BEGIN; SELECT 1 FROM ai.agno_learnings WHERE learning_id = 'locked_0' FOR UPDATE");
    let observer = store.client();
    let waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    std::thread::scope(|scope| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let opened = &opened;
        let delete = scope.spawn(move || {
            block_on(async {
                tokio::select! {
                    result = opened.delete("locked_0".to_owned(), owned_by("alice")) => Some(result),
                    _ = stopped => None,
                }
            })
        });
        observer.wait_for(&format!("SELECT count(*) = 1 {waiting}"));
        stop.send(()).expect("it waits");
        assert_eq!(delete.join().expect("no panic"), None);
    });
    let begin = Instant::now();
    observer.wait_for(&format!("SELECT count(*) = 0 {waiting}"));
    // Without a cancellation it would wait for the record until its timeout.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    client.run("ROLLBACK");
    assert_eq!(observer.query("SELECT FROM ai.agno_learnings", &[]).len(), 1, "it was not deleted");
}

#[test]
fn notice_of_a_trigger_does_not_change_the_outcome() {
    let Some(store) = Store::postgres("deletes with notices") else { return };
    store.connect().insert(&of_alice(&ids("noted", 3)));
    store.client().run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'deleting'; RETURN OLD; END $$;
         CREATE TRIGGER t BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let opened = open(&store.url(), false, &connections(1));
    for id in ids("noted", 3) {
        let result = block_on(opened.delete(id, owned_by("alice")));
        assert_eq!(kind(&result), Ok(Outcome::Deleted), "{result:?}");
    }
    assert!(store.connect().ids().is_empty());
}
