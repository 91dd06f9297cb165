//! The server is killed under load, repeatedly, and its log is complete afterwards.

use super::{Log, stop};
use crate::storage::shortened_or_full;
use crate::storage::store::Store;
use crate::support::kill::{CLIENTS, Kill, add_records};
use crate::support::optional::audit_python;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

/// The number of kills on each database, shortened and in full.
const KILLS: [usize; 2] = [4, 100];

/// Records at each start of the server: more than it can delete before it is killed.
const RECORDS: usize = 4_000;

const KILL: Kill = Kill { warm_up_answers: 50, max_delay: Duration::from_millis(200) };

#[test]
fn kill_on_sqlite_leaves_a_complete_log() {
    kill_repeatedly(&Store::sqlite(), shortened_or_full(KILLS[0], KILLS[1]));
}

#[test]
fn kill_on_postgres_leaves_a_complete_log() {
    let Some(store) = Store::postgres("killing the server with an audit log on PostgreSQL") else { return };
    kill_repeatedly(&store, shortened_or_full(KILLS[0], KILLS[1]));
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
    let (mut answered, mut torn) = (BTreeMap::new(), 0);
    for kill in 0..kills {
        all.extend(add_records(&mut *records, &mut ids, RECORDS, kill));
        answered.extend(KILL.run(start(), &ids, kill).deleted);
        store.check_after_crash();
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
    for (id, request) in &answered {
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
