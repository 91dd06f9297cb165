//! The server is killed under load, repeatedly, and its log is complete afterwards.

use super::{Log, stop};
use crate::storage::store::Store;
use crate::storage::{shortened_or_full, token};
use crate::support::load::{HttpClient, RequestError};
use crate::support::optional::audit_python;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// The number of kills on each database, shortened and in full.
const KILLS: [usize; 2] = [4, 100];

const CLIENTS: usize = 16;

/// Records at each start of the server: more than it can delete before it is killed.
const RECORDS: usize = 4_000;

/// The number of answers after which the server is under load from every client.
const WARM_UP_ANSWERS: usize = 50;

/// The requests that were answered 204, by their ids, and the learning ids that they deleted.
type Deleted = BTreeMap<String, String>;

#[test]
fn kill_on_sqlite_leaves_a_complete_log() {
    kill_repeatedly(&Store::sqlite(), shortened_or_full(KILLS[0], KILLS[1]));
}

#[test]
fn kill_on_postgres_leaves_a_complete_log() {
    let Some(store) = Store::postgres("killing the server with an audit log on PostgreSQL") else { return };
    kill_repeatedly(&store, shortened_or_full(KILLS[0], KILLS[1]));
}

fn delete_until_killed(mut client: HttpClient, ids: &[String], next: &AtomicUsize, answered: &AtomicUsize) -> Deleted {
    let mut deleted = Deleted::new();
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        match client.delete(&format!("/learnings/{id}")) {
            Ok(reply) => {
                assert_eq!(reply.status, 204, "{id}: {reply:?}");
                let request_id = reply.head.lines().find_map(|line| line.strip_prefix("x-request-id: "));
                deleted.insert(request_id.expect("a request id").to_owned(), id.clone());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(RequestError::OutcomeUnknown | RequestError::NotSent) => break,
        }
    }
    deleted
}

fn kill_repeatedly(store: &Store, kills: usize) {
    let log = Log::new();
    let start = || {
        let mut setup = store.setup();
        // What PostgreSQL still executes after a kill ends within this time, so a start waits as long.
        setup.settings = setup.settings.replace("statement_timeout_ms = 8000", "statement_timeout_ms = 1000");
        setup.settings += &log.settings();
        setup.start()
    };
    let mut records = store.connect();
    let (mut ids, mut all): (Vec<String>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    let (mut answered, mut torn) = (Deleted::new(), 0);
    for kill in 0..kills {
        let added: Vec<_> = (ids.len()..RECORDS).map(|index| format!("record_{kill}_{index}")).collect();
        records.insert(&added.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        all.extend(added.iter().cloned());
        ids.extend(added);
        let mut host = start();
        let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let deleted: Vec<Deleted> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|_| {
                let (client, ids, next, count) = (HttpClient::new(&host, &token("alice")), &ids, &next, &count);
                scope.spawn(move || delete_until_killed(client, ids, next, count))
            });
            let clients: Vec<_> = clients.collect();
            while count.load(Ordering::Relaxed) < WARM_UP_ANSWERS && !clients.iter().any(ScopedJoinHandle::is_finished)
            {
                thread::sleep(Duration::from_micros(200));
            }
            thread::sleep(Duration::from_micros(10_000 + 7_919 * u64::try_from(kill).expect("small") % 200_000));
            host.signal("KILL");
            host.wait();
            clients.into_iter().map(|client| client.join().expect("every answer is right")).collect()
        });
        store.check_after_crash();
        answered.extend(deleted.into_iter().flatten());
        if kill % 3 == 2 {
            // What a power failure can leave behind: a part of a line.
            let last = fs::read_dir(log.directory.join("journal"))
                .expect("the journal")
                .map(|entry| entry.expect("a file").path());
            let last = last.max().expect("a file");
            // Zeros follow the last line.
            let end = fs::read(&last).expect("the file").iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let file = fs::OpenOptions::new().write(true).open(last).expect("the file opens");
            file.write_all_at(b"{\"client\":\"0", end as u64).expect("the file is written");
            torn += 1;
        }
        let remaining = records.ids();
        ids.retain(|id| remaining.contains(id));
    }
    // The last start closes what the last kill left open.
    let host = start();
    wait_until_closed(&log);
    stop(host);

    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains(" 0 open"), "{verified}");
    if let Some(python) = audit_python("verifying the log of a killed server with another verifier") {
        log.verify_independently(&python, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
    let remaining = records.ids();
    let (mut deletions, mut interrupted) = (BTreeMap::new(), [0, 0]);
    let (mut accounted, mut repaired) = (BTreeSet::new(), 0);
    for entry in log.show(&[]) {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        match (text("event").as_str(), text("outcome").as_str()) {
            ("decision", "deleted") => {
                accounted.insert(text("learning_id"));
                assert!(deletions.insert(text("request_id"), text("learning_id")).is_none(), "{entry}");
                assert_eq!((text("rule").as_str(), text("owner").as_str()), ("deleted-as-owner", "alice"), "{entry}");
            }
            ("decision", _) => panic!("no request was refused: {entry}"),
            ("interrupted", "absent") => {
                accounted.insert(text("learning_id"));
                interrupted[0] += 1;
            }
            ("interrupted", "present") => interrupted[1] += 1,
            ("interrupted", _) => panic!("the database could be read: {entry}"),
            ("repaired", _) => repaired += 1,
            _ => {}
        }
    }
    assert_eq!(repaired, torn, "each repair is recorded");
    for (request, id) in &answered {
        assert_eq!(deletions.get(request), Some(id), "a request was answered 204, and its event is missing");
    }
    let undone: Vec<_> = accounted.intersection(&remaining).collect();
    assert!(undone.is_empty(), "records with the event of a deletion exist: {undone:?}");
    let unaccounted: Vec<_> = all.iter().filter(|id| !remaining.contains(*id) && !accounted.contains(*id)).collect();
    assert!(unaccounted.is_empty(), "records were deleted without an event: {unaccounted:?}");
    println!(
        "{}: {kills} kills under load of {CLIENTS} clients: {} answered 204, each with its event; {} events of deletions, each \
         record deleted; interrupted: {} absent, {} present; {}",
        store.name(),
        answered.len(),
        deletions.len(),
        interrupted[0],
        interrupted[1],
        verified.lines().next().unwrap_or_default()
    );
}

fn wait_until_closed(log: &Log) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let mut open = BTreeSet::new();
        for entry in log.show(&[]) {
            let request = entry["request_id"].as_str().unwrap_or_default().to_owned();
            match entry["event"].as_str() {
                Some("intent") => open.insert(request),
                Some("decision" | "interrupted") => open.remove(&request),
                _ => false,
            };
        }
        if open.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < end, "intents stay open: {open:?}");
        thread::sleep(Duration::from_millis(200));
    }
}
