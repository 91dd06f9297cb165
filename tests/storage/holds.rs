//! Deletes through a guard for legal holds, while another program places and releases holds.
//!
//! A hold is an `UPDATE` of the metadata. Whether it changed a row tells the other program whether the record still
//! existed when the hold was committed, so it knows about every deletion in which state the record was deleted.

use super::store::{Records, Store};
use super::unchanged::{block_on, open};
use super::{StopOnDrop, shortened_or_full, token};
use crate::support::guards::LEGAL_HOLD;
use crate::support::load::HttpClient;
use crate::support::sandbox::sandbox;
use crate::support::server::{Setup, TestServer};
use delete_learning::storage::{Database, Databases};
use delete_learning::{
    Access, BoxFuture, Caller, Condition, Credential, DEFAULT_POLICY, DeleteRequest, HostCall, Learning, LearningStore,
    Limits, Outcome, Policy, StorageError,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The number of records of [`hold_prevents_the_delete_or_comes_after_it`] on each kind of database, and of deletes of
/// [`record_is_never_deleted_while_held`], shortened and in full.
const ROUNDS: [usize; 2] = [120, 5_000];

/// Records that race at the same time.
const PAIRS: usize = 2;

const HELD: &str = r#"'{"legal_hold": true}'"#;
const RELEASED: &str = r#"'{"legal_hold": false}'"#;

/// Starts a server with the guard on this store. The directory contains the guard and must outlive the start.
fn start(store: &Store) -> TestServer {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("legal-hold.wasm");
    std::fs::write(&file, LEGAL_HOLD).expect("the file is written");
    let setup = store.setup();
    let guards = format!("[[guards]]\nname = \"legal-hold\"\ncomponent = \"{}\"\n", file.display());
    Setup { further_databases: setup.further_databases + &guards, ..setup }.start()
}

/// Pseudorandom microseconds below this number, from a state.
fn random_below(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end.max(1)
}

/// Deletes each record once and places a hold on it at the same time. Returns the number of rounds by status and by
/// whether the hold changed a row.
fn race_pair(server: &TestServer, store: &Store, pair: usize, rounds: usize) -> BTreeMap<(u16, bool), usize> {
    let ids: Vec<String> = (0..rounds).map(|round| format!("pair-{pair}-{round}")).collect();
    let mut records = store.connect();
    records.insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
    let (barrier, microseconds) = (Barrier::new(2), AtomicUsize::new(1_000));
    let (statuses, holds) = thread::scope(|scope| {
        let (ids, barrier, microseconds) = (&ids, &barrier, &microseconds);
        let deleter = scope.spawn(move || {
            let mut client = HttpClient::new(server, &token("alice"));
            ids.iter()
                .map(|id| {
                    barrier.wait();
                    let response = client.delete(&format!("/learnings/{id}")).expect("an answer");
                    let elapsed = usize::try_from(response.elapsed.as_micros()).unwrap_or(10_000).min(10_000);
                    microseconds.store(elapsed, Ordering::Relaxed);
                    response.status
                })
                .collect::<Vec<_>>()
        });
        let mut state = pair as u64;
        let mut holds = Vec::new();
        for id in ids {
            barrier.wait();
            // At any time of the request, judging by the previous one.
            let end = microseconds.load(Ordering::Relaxed) as u64;
            thread::sleep(Duration::from_micros(random_below(&mut state, end)));
            holds.push(records.set(id, "metadata", HELD));
        }
        (deleter.join().expect("every request is answered"), holds)
    });
    let mut counts = BTreeMap::new();
    let remaining = records.ids();
    for ((id, status), is_held) in ids.iter().zip(statuses).zip(holds) {
        assert_eq!(remaining.contains(id), status != 204, "{id}: {status}");
        *counts.entry((status, is_held)).or_default() += 1;
    }
    counts
}

#[test]
fn hold_prevents_the_delete_or_comes_after_it() {
    let rounds = shortened_or_full(ROUNDS[0], ROUNDS[1]);
    for store in Store::all("races for legal holds on PostgreSQL") {
        let server = start(&store);
        let mut counts: BTreeMap<(u16, bool), usize> = BTreeMap::new();
        thread::scope(|scope| {
            let pairs: Vec<_> = (0..PAIRS)
                .map(|pair| {
                    let (server, store) = (&server, &store);
                    scope.spawn(move || race_pair(server, store, pair, rounds / PAIRS))
                })
                .collect();
            for pair in pairs {
                for (key, count) in pair.join().expect("the rounds are consistent") {
                    *counts.entry(key).or_default() += count;
                }
            }
        });
        let count = |status, is_held| counts.get(&(status, is_held)).copied().unwrap_or_default();
        println!(
            "{}: {rounds} records: {} deleted before the hold, {} retained by the hold",
            store.name(),
            count(204, false),
            count(403, true)
        );
        // No record was deleted although a hold was committed before, and none was denied without one.
        assert_eq!(count(204, false) + count(403, true), rounds, "{counts:?}\n{}", server.log());
        assert!(count(204, false) > 0 && count(403, true) > 0, "both occur: {counts:?}");
    }
}

/// Places and releases a hold on one record until stopped, and creates the record again after each deletion. Returns the
/// number of deletions while the record was held, of other deletions, and of changes.
fn toggle(mut records: Box<dyn Records>, stop: &AtomicBool) -> (usize, usize, usize) {
    let _stop = StopOnDrop(stop);
    let (mut while_held, mut while_released, mut changes) = (0, 0, 0);
    let mut is_held = false;
    while !stop.load(Ordering::Relaxed) {
        if records.set("r", "metadata", if is_held { RELEASED } else { HELD }) {
            is_held = !is_held;
        } else {
            *(if is_held { &mut while_held } else { &mut while_released }) += 1;
            records.insert(&[("r".to_owned(), Some("alice"))]);
            is_held = false;
        }
        changes += 1;
    }
    (while_held, while_released, changes)
}

#[test]
fn record_is_never_deleted_while_held() {
    let requests = shortened_or_full(ROUNDS[0], ROUNDS[1]);
    for store in Store::all("legal holds that come and go on PostgreSQL") {
        let server = start(&store);
        store.connect().insert(&[("r".to_owned(), Some("alice"))]);
        let stop = AtomicBool::new(false);
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        let (while_held, while_released, changes) = thread::scope(|scope| {
            let (records, stop) = (store.connect(), &stop);
            let toggler = scope.spawn(move || toggle(records, stop));
            let clients: Vec<_> = (0..PAIRS)
                .map(|_| {
                    let mut client = HttpClient::new(&server, &token("alice"));
                    scope.spawn(move || {
                        let send = |_| client.delete("/learnings/r").expect("an answer").status;
                        (0..requests / PAIRS).map(send).collect::<Vec<_>>()
                    })
                })
                .collect();
            for client in clients {
                for status in client.join().expect("every request is answered") {
                    *statuses.entry(status).or_default() += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            toggler.join().expect("every change succeeds")
        });
        // The last deletion can be one that the toggler has not noticed.
        let unnoticed = usize::from(!store.connect().has("r"));
        let deleted = statuses.get(&204).copied().unwrap_or_default();
        println!(
            "{}: {requests} requests against {changes} changes: {statuses:?}; {while_released} noticed deletions of the \
             released record, {while_held} of the held record",
            store.name()
        );
        assert_eq!(while_held, 0, "{statuses:?}");
        assert_eq!(deleted, while_released + unnoticed, "{statuses:?}");
        assert!(deleted > 0, "some requests succeed: {statuses:?}");
        // 503 after the record changed during each of four attempts.
        assert!(statuses.keys().all(|status| [204, 403, 404, 503].contains(status)), "{statuses:?}\n{}", server.log());
    }
}

/// A store whose record another program changes before each delete, so often.
struct ChangingStore {
    inner: Box<dyn LearningStore>,
    records: Arc<Mutex<Box<dyn Records>>>,
    changes: AtomicUsize,
}

impl LearningStore for ChangingStore {
    fn find(&self, id: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.inner.find(id)
    }

    fn delete(&self, id: String, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        let decrement = |changes: usize| changes.checked_sub(1);
        if self.changes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement).is_ok() {
            let (records, id) = (Arc::clone(&self.records), id.clone());
            // On a thread of its own, because the client of PostgreSQL runs a runtime.
            let change = thread::spawn(move || {
                let mut records = records.lock().expect("no panic while locked");
                assert!(records.set(&id, "updated_at", "COALESCE(updated_at, 0) + 1"));
            });
            change.join().expect("the record is changed");
        }
        self.inner.delete(id, condition)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.inner.check()
    }
}

#[test]
fn guard_deletes_after_three_changes_and_is_unavailable_after_four() {
    let sandbox = sandbox(&Limits::default().max_concurrent_instances(1));
    let guard = sandbox.load_guard("legal-hold", LEGAL_HOLD, &Access::default()).expect("the guard loads");
    let stores: Vec<Store> = Store::all("changes before each delete on PostgreSQL").collect();
    // As many guards as the default limit allows: their retries together stay within `max_host_calls`.
    for guards in [1, 2, 4] {
        let guards = vec![guard.clone(); guards];
        let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards).expect("the policy loads");
        for store in &stores {
            for changes in 0..=5 {
                assert_retried(store, &policy, changes);
            }
        }
    }
}

/// Deletes a record that changes so often, each time just before its delete.
fn assert_retried(store: &Store, policy: &Policy, changes: usize) {
    let mut records = store.connect();
    records.remove("r");
    records.insert(&[("r".to_owned(), Some("alice"))]);
    let (inner, records) = (open(store), Arc::new(Mutex::new(records)));
    let changing = Arc::new(ChangingStore { inner, records, changes: changes.into() });
    let databases =
        Databases(vec![Database { id: "main".to_owned(), table: "agno_learnings".to_owned(), store: changing }]);
    let request = DeleteRequest { learning_id: "r".to_owned(), db_id: None, table: None };
    let record = databases.record(&request);
    let alice = Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    };
    let decision = block_on(policy.decide(request, Ok(alice), record));
    let is_changed = |call: &&HostCall| matches!(call, HostCall::Delete { result: Some(Ok(Outcome::Changed)), .. });
    let changed = decision.guards[0].calls.iter().filter(is_changed).count();
    let status = decision.answer.as_ref().err().map_or(204, |rejection| rejection.status);
    assert!(decision.error.is_none(), "{} guards: {:?}", decision.guards.len(), decision.error);
    assert_eq!((status, changed), (if changes <= 3 { 204 } else { 503 }, changes.min(4)), "{decision:?}");
    assert_eq!(store.connect().has("r"), changes > 3, "{}: {changes}", store.name());
}

#[test]
fn storm_of_updates_never_causes_a_wrong_answer() {
    let requests = shortened_or_full(ROUNDS[0], ROUNDS[1]) / 3;
    for store in Store::all("a storm of updates on PostgreSQL") {
        let server = start(&store);
        let ids: Vec<String> = (0..requests).map(|at| format!("s{at}")).collect();
        store.connect().insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        let (stop, current) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        let updates = thread::scope(|scope| {
            let (ids, stop, current) = (&ids, &stop, &current);
            let updaters: Vec<_> = (0..3)
                .map(|_| {
                    let mut records = store.connect();
                    scope.spawn(move || {
                        let _stop = StopOnDrop(stop);
                        let mut updates = 0;
                        while !stop.load(Ordering::Relaxed) {
                            let id = &ids[current.load(Ordering::Relaxed)];
                            updates += usize::from(records.set(id, "updated_at", "COALESCE(updated_at, 0) + 1"));
                        }
                        updates
                    })
                })
                .collect();
            let mut client = HttpClient::new(&server, &token("alice"));
            let mut records = store.connect();
            for (at, id) in ids.iter().enumerate() {
                current.store(at, Ordering::Relaxed);
                let status = client.delete(&format!("/learnings/{id}")).expect("an answer").status;
                assert_eq!(records.has(id), status == 503, "{id}: {status}");
                *statuses.entry(status).or_default() += 1;
            }
            stop.store(true, Ordering::Relaxed);
            updaters.into_iter().map(|updater| updater.join().expect("every update succeeds")).sum::<usize>()
        });
        println!("{}: {requests} deletes against {updates} updates: {statuses:?}", store.name());
        assert!(statuses.keys().all(|status| [204, 503].contains(status)), "{statuses:?}\n{}", server.log());
    }
}
