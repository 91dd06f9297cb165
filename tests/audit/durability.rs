//! A record is deleted only after the intent is on disk, on each database, also in a batch.

use super::strace::Strace;
use super::{Log, stop};
use crate::storage::store::Store;
use crate::storage::token;
use crate::support::load::HttpClient;
use crate::support::optional::has_tools;
use crate::support::server::{Setup, TestServer};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 16;

#[test]
fn nothing_is_deleted_without_its_intent() {
    for store in Store::all("deletions without an intent on PostgreSQL") {
        let log = Log::new();
        let ids: BTreeSet<String> = (0..=CLIENTS).map(|number| format!("record_{number}")).collect();
        store.connect().insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        let mut setup = store.setup();
        setup.settings += &log.settings();
        let server = setup.start();
        let delete = |id: &str| {
            let reply = HttpClient::new(&server, &token("alice")).delete(&format!("/learnings/{id}"));
            reply.expect("an answer").status
        };
        // The first request finds out whether the table has batches.
        assert_eq!(delete("record_0"), 204);
        let ids: BTreeSet<String> = ids.into_iter().filter(|id| id != "record_0").collect();
        let moved = log.home.path().join("moved");
        fs::rename(&log.directory, &moved).expect("the directory is moved");
        let statuses = || -> Vec<u16> {
            thread::scope(|scope| {
                let requests: Vec<_> = ids.iter().map(|id| scope.spawn(|| delete(id))).collect();
                requests.into_iter().map(|request| request.join().expect("an answer")).collect()
            })
        };
        assert_eq!(statuses(), [503; CLIENTS], "{}", store.name());
        assert_eq!(store.connect().ids(), ids, "{}", store.name());
        fs::rename(&moved, &log.directory).expect("the directory is moved back");
        assert_eq!(statuses(), [204; CLIENTS], "{}", store.name());
        stop(server);
        log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Starts a server on SQLite whose writes and syncs are written to the returned file.
fn traced(log: &Log, settings: String) -> (TestServer, Strace, PathBuf) {
    let server = Setup { databases: vec!["main"], settings, ..Setup::jwt() }.start();
    let file = log.home.path().join("trace");
    let strace = Strace::attach(&server, &file, &["-e", "trace=pwrite64,fdatasync,fsync"]);
    (server, strace, file)
}

#[test]
fn intent_is_synced_before_the_database_is_written() {
    if !has_tools(&["strace"], "the order of the system calls of a deletion") {
        return;
    }
    let log = Log::new();
    let (server, strace, file) = traced(&log, log.settings());
    server.database("main").insert("mine", Some("alice"));
    server.delete("/learnings/mine", Some(&token("alice"))).assert_deleted();
    stop(server);
    strace.wait();
    let trace = fs::read_to_string(&file).expect("the trace");
    let calls: Vec<&str> = trace.lines().collect();
    let is_call = |line: &str, call: &str, path: &str| line.contains(call) && line.contains(path);
    let delete = calls.iter().position(|line| is_call(line, "pwrite64(", "main.db-wal>")).expect("a write of the WAL");
    let intent = calls[..delete].iter().rposition(|line| is_call(line, "pwrite64(", "/journal/"));
    let between = &calls[intent.unwrap_or_else(|| panic!("no intent is written before: {trace}"))..delete];
    // Another thread can have waited for the disk. Its call is in two lines then.
    let sync = between.iter().position(|line| is_call(line, "fdatasync(", "/journal/"));
    let sync = sync.unwrap_or_else(|| panic!("the intent is not synced before: {trace}"));
    let thread = between[sync].split(' ').next().expect("a thread");
    let is_end = |line: &&str| line.starts_with(thread) && line.contains("fdatasync") && line.ends_with("= 0");
    assert!(between[sync..].iter().any(is_end), "the sync has not ended before: {trace}");
}

#[test]
fn decision_is_on_disk_within_a_second_without_a_checkpoint() {
    if !has_tools(&["strace"], "the sync of a decision") {
        return;
    }
    let log = Log::new();
    let settings = log.settings().replace("checkpoint_interval_seconds = 1", "checkpoint_interval_seconds = 3600");
    let (server, strace, file) = traced(&log, settings);
    server.database("main").insert("mine", Some("alice"));
    server.delete("/learnings/mine", Some(&token("alice"))).assert_deleted();
    thread::sleep(Duration::from_secs(2));
    strace.detach();
    let trace = fs::read_to_string(&file).expect("the trace");
    let calls: Vec<&str> = trace.lines().collect();
    let last = |call: &str| calls.iter().rposition(|line| line.contains(call) && line.contains("/journal/"));
    let (written, synced) = (last(" pwrite64("), last(" fdatasync("));
    assert!(written.is_some() && written < synced, "{trace}");
}

#[test]
fn new_file_of_the_journal_and_its_name_are_on_disk_before_an_intent_is_in_it() {
    if !has_tools(&["strace"], "the order of the system calls of a rotation") {
        return;
    }
    let log = Log::new();
    let (server, strace, file) = traced(&log, log.settings());
    let journal = log.directory.join("journal");
    let second = || {
        let entries = fs::read_dir(&journal).expect("the journal").map(|entry| entry.expect("a file").file_name());
        entries.collect::<BTreeSet<_>>().into_iter().nth(1)
    };
    let mut client = HttpClient::new(&server, &token("alice"));
    let mut delete = || {
        server.database("main").insert("mine", Some("alice"));
        assert_eq!(client.delete("/learnings/mine").expect("an answer").status, 204);
    };
    let end = Instant::now() + Duration::from_secs(60);
    let second = loop {
        delete();
        if let Some(second) = second() {
            break second.into_string().expect("a name");
        }
        assert!(Instant::now() < end, "no second file");
    };
    delete();
    stop(server);
    strace.wait();
    let trace = fs::read_to_string(&file).expect("the trace");
    let first = |call: &str, path: &str| trace.lines().position(|line| line.contains(call) && line.contains(path));
    let positions = [
        first(" fsync(", &format!("/journal/{second}>")),
        first(" fsync(", "/journal>"),
        first(" fdatasync(", &format!("/journal/{second}>")),
    ];
    assert!(positions[0].is_some() && positions.is_sorted(), "{positions:?} of {trace}");
    // So are the tiles and their names, at the latest when the server has stopped.
    for path in ["/tile/0/", "/tile/entries/", "/tile/0>", "/tile>"] {
        assert!(first(" fsync(", path).is_some(), "{path} of {trace}");
    }
}
