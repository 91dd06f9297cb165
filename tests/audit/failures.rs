//! What happens when the log cannot be written: the stated answer, nothing lost, and service again once it can.

use super::strace::Strace;
use super::{Log, stop, text};
use crate::storage::hang::assert_locked_database_leaves_instances;
use crate::storage::token;
use crate::support::cluster::{PASSWORD, USER};
use crate::support::disk::{Disk, run_as_root};
use crate::support::load::HttpClient;
use crate::support::optional::{audit_python, has_tools, print_skipped};
use crate::support::proxy::Proxy;
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const RECORDS: usize = 6_000;

/// A server with this log, on a database with records of alice.
fn start(log: &Log) -> TestServer {
    start_with(log, Setup { databases: vec!["main"], ..Setup::jwt() })
}

fn start_with(log: &Log, mut setup: Setup) -> TestServer {
    setup.settings += &log.settings();
    let server = setup.start();
    server.database("main").execute("DELETE FROM agno_learnings");
    let mut connection = server.database("main").connect();
    let all: Vec<_> = (0..RECORDS).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    crate::storage::store::Records::insert(&mut connection, &all);
    server
}

/// The request ids of the answers and the records, by the status of the answer.
#[derive(Default)]
struct Answers(BTreeMap<u16, Vec<(String, usize)>>);

/// Deletes one record after another.
struct Deleter {
    client: HttpClient,
    next: usize,
    answers: Answers,
}

impl Deleter {
    fn new(server: &TestServer) -> Self {
        Self { client: HttpClient::new(server, &token("alice")), next: 0, answers: Answers::default() }
    }

    /// Deletes the next record, and returns the status and the body.
    fn delete(&mut self) -> (u16, String) {
        let index = self.next;
        self.next += 1;
        let reply = self.client.delete(&format!("/learnings/record_{index}")).expect("an answer");
        let id = reply.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id").to_owned();
        self.answers.0.entry(reply.status).or_default().push((id, index));
        (reply.status, reply.body)
    }

    fn count(&self, status: u16) -> usize {
        self.answers.0.get(&status).map_or(0, Vec::len)
    }

    /// Asserts that the log has the decision on every request, and that it and the database agree.
    fn assert_recorded(&self, log: &Log, remaining: impl Fn(&str) -> bool) {
        let decisions: BTreeMap<String, (u64, String)> = log
            .show(&[])
            .into_iter()
            .filter(|entry| entry["event"] == "decision")
            .map(|entry| {
                let text = |name: &str| entry[name].as_str().expect("text").to_owned();
                (text("request_id"), (entry["status"].as_u64().expect("a status"), text("outcome")))
            })
            .collect();
        for (status, requests) in &self.answers.0 {
            for (request, index) in requests {
                let (recorded, outcome) =
                    decisions.get(request).unwrap_or_else(|| panic!("{request} ({status}) is missing"));
                assert_eq!(*recorded, u64::from(*status), "{request}");
                let is_deleted = !remaining(&format!("record_{index}"));
                assert_eq!(outcome == "deleted", is_deleted, "{request}: {status}, {outcome}");
                // An answer other than 204 after a deletion is that of a decision that could not be written.
                assert!(*status == 204 || !is_deleted || *status == 500);
            }
        }
    }
}

const UNAVAILABLE: &str = r#""error_code":"SERVICE_UNAVAILABLE""#;

#[test]
fn full_disk_refuses_deletions_until_space_is_freed() {
    let Some(disk) = Disk::mount(16 * 1024, "an audit log on a full disk") else { return };
    let log = Log::in_directory(TempDir::new().expect("a directory"), disk.path().join("audit"));
    let server = start(&log);
    let mut deleter = Deleter::new(&server);
    assert_eq!(deleter.delete().0, 204);
    // The last page of the file has room for an intent and not for its decision in some rounds.
    for round in 0..60 {
        disk.fill();
        // The file has zeros at its end, which deletions use up first.
        let mut last = 204;
        for _ in 0..200 {
            let (status, body) = deleter.delete();
            last = status;
            assert!(
                matches!(status, 204)
                    || (status == 503 && body.contains(UNAVAILABLE))
                    || (status == 500 && body.contains("Internal server error")),
                "{status} {body}"
            );
            if status == 503 {
                break;
            }
        }
        assert_eq!(last, 503, "round {round}: the disk is full");
        disk.free();
        assert_eq!(deleter.delete().0, 204, "round {round}: space was freed\n{}", server.log());
        if deleter.count(500) >= 3 {
            break;
        }
    }
    assert!(deleter.count(500) > 0, "no decision met a full disk");
    server.wait_for_log(&["the audit log cannot be written", "No space left on device"]);
    server.wait_for_log(&["the audit log can be written again"]);
    let audit_failed = server.wait_for_log(&["\"target\":\"audit\"", "audit-failed"]);
    assert_eq!((audit_failed["record"].as_str(), audit_failed["status"].as_u64()), (Some("deleted"), Some(500)));
    log.wait_for(&[("rule", "audit-failed"), ("outcome", "deleted")]);
    thread::sleep(Duration::from_millis(1200));
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains(" 0 open"), "{verified}");
    if let Some(python) = audit_python("verifying a log whose disk was full with another verifier") {
        log.verify_independently(&python, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
    println!(
        "audit log on a full disk: {} answered 204, {} answered 503 and not deleted, {} answered 500 (audit-failed) and deleted; \
         the log has all of them",
        deleter.count(204),
        deleter.count(503),
        deleter.count(500)
    );
}

#[test]
fn kill_on_a_full_disk_closes_the_intent_at_the_next_start() {
    let Some(disk) = Disk::mount(16 * 1024, "a server that is killed while the disk of its audit log is full") else {
        return;
    };
    let log = Log::in_directory(TempDir::new().expect("a directory"), disk.path().join("audit"));
    let mut server = start(&log);
    let mut deleter = Deleter::new(&server);
    for _ in 0..60 {
        disk.fill();
        while matches!(deleter.delete().0, 204) {}
        if deleter.count(500) > 0 {
            break;
        }
        disk.free();
        assert_eq!(deleter.delete().0, 204);
    }
    let (request, index) = deleter.answers.0.get(&500).expect("a decision that met a full disk")[0].clone();
    server.signal("KILL");
    server.wait();
    disk.free();
    let directory = std::mem::replace(&mut server.directory, TempDir::new().expect("a directory"));
    let mut setup = Setup::jwt();
    setup.settings += &log.settings();
    let server = setup.start_in(directory);
    let interrupted = log.wait_for(&[("event", "interrupted"), ("request_id", &request)]);
    assert_eq!(interrupted["outcome"], "absent", "{interrupted}");
    assert_eq!(interrupted["learning_id"], format!("record_{index}"));
    assert!(!server.database("main").contains(&format!("record_{index}")));
    stop(server);
    let receipt = log.verified_receipt(&request);
    assert!(receipt.contains("\nthe request was interrupted; afterwards the record was absent\n"), "{receipt}");
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    let entries = log.show(&[]);
    let intent = entries.iter().find(|entry| entry["event"] == "intent" && entry["request_id"] == *request);
    let time = |entry: &Value| entry["time"].as_str().expect("a time").to_owned();
    assert!(time(&interrupted) > time(intent.expect("an intent")), "{interrupted}");
    let count = entries.iter().filter(|entry| entry["event"] == "interrupted").count();
    assert!(verified.contains(&format!(" {count} interrupted, 0 open")), "{verified}");
}

#[test]
fn removed_directory_refuses_deletions_until_it_is_back() {
    let log = Log::new();
    let server = start(&log);
    let mut deleter = Deleter::new(&server);
    assert_eq!(deleter.delete().0, 204);
    let moved = log.home.path().join("moved");
    fs::rename(&log.directory, &moved).expect("the directory is moved");
    for _ in 0..3 {
        let (status, body) = deleter.delete();
        assert!(status == 503 && body.contains(UNAVAILABLE), "{status} {body}");
    }
    fs::rename(&moved, &log.directory).expect("the directory is moved back");
    assert_eq!(deleter.delete().0, 204, "{}", server.log());

    // A copy in its place has the same content and is another file.
    fs::rename(&log.directory, &moved).expect("the directory is moved");
    assert_eq!(deleter.delete().0, 503);
    let copied = Command::new("cp").args(["-a", text(&moved), text(&log.directory)]).status().expect("cp runs");
    assert!(copied.success());
    fs::remove_dir_all(&moved).expect("the original is removed");
    assert_eq!(deleter.delete().0, 204, "{}", server.log());

    // A directory without the log is not that of this server.
    fs::rename(&log.directory, &moved).expect("the directory is moved");
    fs::create_dir_all(log.directory.join("journal")).expect("an empty directory");
    assert_eq!(deleter.delete().0, 503);
    fs::remove_dir_all(&log.directory).expect("the empty directory is removed");
    fs::rename(&moved, &log.directory).expect("the directory is moved back");
    assert_eq!(deleter.delete().0, 204, "{}", server.log());

    thread::sleep(Duration::from_millis(1200));
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

/// Makes the syncs of the log's file fail or hang, until it is detached.
fn inject_into_syncs(log: &Log, server: &TestServer, fault: &str) -> Strace {
    let journal = log.directory.join("journal").join(format!("{:020}.log", 0));
    let inject = format!("inject=fdatasync:{fault}");
    let arguments = ["-P", text(&journal), "-e", "trace=fdatasync", "-e", &inject];
    Strace::attach(server, &log.home.path().join("trace"), &arguments)
}

#[test]
fn log_whose_sync_failed_works_again_only_after_a_sync() {
    if !has_tools(&["strace"], "a disk that cannot write the audit log") {
        return;
    }
    let log = Log::new();
    let server = start(&log);
    let mut deleter = Deleter::new(&server);
    assert_eq!(deleter.delete().0, 204);
    // Until a checkpoint contains it.
    thread::sleep(Duration::from_millis(2200));
    let checkpoint = log.checkpoint();
    let strace = inject_into_syncs(&log, &server, "error=EIO");
    for _ in 0..5 {
        let (status, body) = deleter.delete();
        assert!(status == 503 && body.contains(UNAVAILABLE), "{status} {body}");
        assert_eq!(server.request("GET", "/readyz", &[]).status, 503);
        assert_eq!(log.checkpoint(), checkpoint, "what is not on disk is in no checkpoint");
        // Lines that nobody waits for are written meanwhile.
        thread::sleep(Duration::from_millis(300));
    }
    strace.detach();
    assert_eq!(deleter.delete().0, 204, "{}", server.log());
    let lines = |text: &str| server.log().lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("the audit log cannot be written"), 1, "{}", server.log());
    assert_eq!(lines("the audit log can be written again"), 1, "{}", server.log());
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn disk_of_the_log_that_hangs_does_not_lock_the_database() {
    if !has_tools(&["strace"], "a disk of the audit log that hangs") {
        return;
    }
    let log = Log::new();
    let server = start(&log);
    let mut deleter = Deleter::new(&server);
    assert_eq!(deleter.delete().0, 204);
    let strace = inject_into_syncs(&log, &server, "delay_enter=20s");
    let database = server.database("main").connect();
    database.busy_timeout(Duration::ZERO).expect("no timeout");
    thread::scope(|scope| {
        let deletes: Vec<_> = (1..9)
            .map(|index| {
                let mut client = HttpClient::new(&server, &token("alice"));
                scope.spawn(move || client.delete(&format!("/learnings/record_{index}")).expect("an answer").status)
            })
            .collect();
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(100));
            database.execute_batch("BEGIN IMMEDIATE; ROLLBACK").expect("nobody holds the write lock");
        }
        assert!(deletes.iter().all(|delete| !delete.is_finished()), "an intent is on disk already");
        strace.detach();
        for delete in deletes {
            assert_eq!(delete.join().expect("an answer"), 204);
        }
    });
    stop(server);
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn locked_database_leaves_instances_to_other_databases_with_a_log() {
    assert_locked_database_leaves_instances(&Log::new().settings());
}

#[test]
fn deletes_go_on_after_the_database_was_locked() {
    let log = Log::new();
    let mut setup = Setup { databases: vec!["main"], ..Setup::jwt() };
    setup.settings = "sqlite.busy_timeout_ms = 100\n".to_owned();
    let server = start_with(&log, setup);
    let mut deleter = Deleter::new(&server);
    for _ in 0..3 {
        let other = server.database("main").connect();
        other.execute_batch("BEGIN IMMEDIATE").expect("SQLite is locked");
        for _ in 0..3 {
            assert_eq!(deleter.delete().0, 503);
        }
        drop(other);
        for _ in 0..3 {
            assert_eq!(deleter.delete().0, 204, "{}", server.log());
        }
    }
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

/// Mounts a directory over itself, read-only. Unmounted when it is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(path: &Path) -> Option<Self> {
        let is_mounted = run_as_root(&["mount", "--bind", text(path), text(path)])
            && run_as_root(&["mount", "-o", "remount,ro,bind", text(path)]);
        is_mounted.then(|| Self(path.to_owned()))
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        run_as_root(&["umount", "-l", text(&self.0)]);
    }
}

#[test]
fn read_only_directory_is_refused_at_start_and_delays_only_checkpoints_later() {
    let log = Log::new();
    let server = start(&log);
    let mut deleter = Deleter::new(&server);
    assert_eq!(deleter.delete().0, 204);
    let Some(read_only) = ReadOnly::mount(&log.directory) else {
        assert!(std::env::var_os("CI").is_none(), "cannot mount a directory, and CI skips nothing");
        print_skipped(
            "skipped, because this account cannot mount a directory read-only: an audit log that is read-only",
        );
        return;
    };
    // The open file can be written, so every intent is on disk before its deletion.
    for _ in 0..200 {
        assert_eq!(deleter.delete().0, 204, "{}", server.log());
    }
    server.wait_for_log(&["cannot write a checkpoint of the audit log", "Read-only file system"]);
    server.wait_for_log(&["cannot begin a new file of the audit log", "Read-only file system"]);
    let mut second = Setup::jwt();
    second.settings += &log.settings();
    let directory = TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    let output = second.try_start_in(directory).err().expect("a server needs a log that it can write");
    assert!(output.contains("the audit log cannot be opened") && output.contains("Read-only file system"), "{output}");
    drop(read_only);
    assert_eq!(deleter.delete().0, 204);
    thread::sleep(Duration::from_millis(2500));
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    assert!(
        fs::read_dir(log.directory.join("journal")).expect("the journal").count() > 1,
        "files were rotated afterwards"
    );
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn second_server_on_the_same_log_does_not_start() {
    let log = Log::new();
    let server = start(&log);
    let mut second = Setup::jwt();
    second.settings += &log.settings();
    let directory = TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    let output = second.try_start_in(directory).err().expect("the log is in use");
    assert!(output.contains("in use by another server"), "{output}");
    stop(server);
}

#[test]
fn clock_that_jumps_loses_nothing() {
    let library = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok).find_map(|entry| {
        let file = entry.path().join("faketime/libfaketimeMT.so.1");
        file.is_file().then_some(file)
    });
    let Some(library) = library else {
        has_tools(&["faketime"], "an audit log while the clock jumps");
        return;
    };
    let log = Log::new();
    let clock = log.home.path().join("clock");
    fs::write(&clock, "+0").expect("the clock is set");
    let environment = [
        ("LD_PRELOAD", text(&library).to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", text(&clock).to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let setup = Setup { environment: environment.to_vec(), ..Setup::without_auth() };
    let server = start_with(&log, Setup { settings: "audit.max_segment_age_seconds = 86400\n".to_owned(), ..setup });
    let mut deleter = Deleter::new(&server);
    // A day and more forward, back to before 1970, and to the present.
    for time in ["+0", "+3d", "-3d", "@1969-12-31 20:00:00", "@2099-01-01 00:00:00", "+0"] {
        fs::write(&clock, time).expect("the clock is set");
        for _ in 0..20 {
            assert_eq!(deleter.delete().0, 204, "{time}: {}", server.log());
        }
        thread::sleep(Duration::from_millis(1500));
    }
    let remaining = server.database("main").ids();
    stop(server);
    deleter.assert_recorded(&log, |id| remaining.contains(id));
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains(" 0 open"), "{verified}");
    let years = log.show(&[]).into_iter().map(|entry| entry["time"].as_str().expect("a time")[..4].to_owned());
    let years: std::collections::BTreeSet<_> = years.collect();
    assert!(years.contains("2099") && years.contains("1970"), "the clock of the server jumped: {years:?}");
}

#[test]
fn flood_of_refusals_is_capped_and_counted() {
    let log = Log::new();
    let server = start(&log);
    let mut anonymous = HttpClient::with_timeout(server.address, "not-a-token", Duration::from_secs(30));
    for _ in 0..2_000 {
        let status = anonymous.delete("/learnings/record_1").expect("an answer").status;
        assert!(status == 401 || status == 429, "{status}");
    }
    let mut deleter = Deleter::new(&server);
    for _ in 0..20 {
        assert_eq!(deleter.delete().0, 204);
    }
    // Half of the space is for callers that authenticated.
    let unknown = HttpClient::new(&server, &token("alice")).delete("/learnings/absent").expect("an answer");
    assert_eq!(unknown.status, 404);
    log.wait_for(&[("rule", "learning-absent")]);
    stop(server);
    let entries = log.show(&[]);
    let refused = entries.iter().filter(|entry| entry["event"] == "decision" && entry["status"] != 204);
    let bytes: usize = fs::read_dir(log.directory.join("journal"))
        .expect("the journal")
        .map(|entry| usize::try_from(entry.expect("a file").metadata().expect("a file").len()).expect("small"))
        .sum();
    let dropped: u64 = entries.iter().filter_map(|entry| entry["count"].as_u64()).sum();
    let recorded = refused.count() as u64;
    assert_eq!(recorded + dropped, 2_001, "every refusal is recorded or counted");
    assert!(bytes < 300_000, "{bytes} bytes");
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains(&format!("\n{dropped} refusals were not recorded")), "{verified}");
    println!("2,001 refusals: {recorded} recorded, {dropped} counted, {bytes} bytes");
}

#[test]
fn new_file_of_the_journal_has_space_for_refusals_again() {
    let log = Log::new();
    let mut setup = Setup { databases: vec!["main"], ..Setup::jwt() };
    setup.settings = log.settings().replace("max_refusal_bytes = 50000", "max_refusal_bytes = 4096");
    let server = setup.start();
    let refuse = |count: usize| {
        let mut anonymous = HttpClient::new(&server, "not-a-token");
        for _ in 0..count {
            assert_eq!(anonymous.delete("/learnings/record").expect("an answer").status, 401);
        }
    };
    let refused = || log.show(&["--outcome", "not-deleted"]).len();
    refuse(9);
    log.wait_for(&[("event", "decision")]);
    thread::sleep(Duration::from_millis(1200));
    let recorded = refused();
    assert!(recorded < 9, "{recorded} refusals fit");
    let database = server.database("main");
    let mut client = HttpClient::new(&server, &token("alice"));
    for number in 0..100 {
        database.insert(&format!("record_{number}"), Some("alice"));
        assert_eq!(client.delete(&format!("/learnings/record_{number}")).expect("an answer").status, 204);
    }
    log.wait_for(&[("event", "rotated")]);
    refuse(1);
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while refused() == recorded {
        assert!(std::time::Instant::now() < end, "no refusal is recorded in the new file");
        thread::sleep(Duration::from_millis(100));
    }
    stop(server);
}

#[test]
fn database_that_is_down_at_start_delays_only_its_own_intents() {
    use crate::storage::store::{Store, table};
    let Some(postgres) = Store::postgres("an interrupted deletion in a database that is down") else { return };
    let Store::Postgres { cluster, database } = &postgres else { panic!("the store is PostgreSQL") };
    let proxy = Proxy::new(cluster.port);
    let log = Log::new();
    let setup = || {
        let mut setup = Setup::jwt();
        let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
        setup.further_databases = table("shared", &url);
        setup.settings = log.settings()
            + &LONG_TIMEOUTS
                .replace("statement_timeout_ms = 8000", "statement_timeout_ms = 1000")
                .replace("connect_timeout_ms = 8000", "connect_timeout_ms = 1000");
        setup
    };
    // An intent in each database: the server is killed while another program locks the records.
    let mut records = postgres.connect();
    records.insert(&["in_postgres", "later"].map(|id| (id.to_owned(), Some("alice"))));
    let mut server = setup().start();
    for id in ["in_sqlite", "meanwhile"] {
        server.database("main").insert(id, Some("alice"));
    }
    let sqlite = server.database("main").connect();
    sqlite.execute_batch("BEGIN IMMEDIATE").expect("SQLite is locked");
    records.begin();
    records.set_owner("in_postgres", Some("alice"));
    thread::scope(|scope| {
        for target in ["in_sqlite?db_id=main", "in_postgres?db_id=shared"] {
            let mut client = HttpClient::new(&server, &token("alice"));
            scope.spawn(move || drop(client.delete(&format!("/learnings/{target}"))));
        }
        for id in ["in_sqlite", "in_postgres"] {
            log.wait_for(&[("event", "intent"), ("learning_id", id)]);
        }
        server.signal("KILL");
    });
    server.wait();
    drop(sqlite);
    // PostgreSQL gives up the statement that waits for the record.
    postgres.check_after_crash();
    records.commit();
    proxy.hang();
    proxy.disconnect();

    let directory = std::mem::replace(&mut server.directory, TempDir::new().expect("a directory"));
    let server = setup().start_in(directory);
    let delete = |target: &str| server.delete(&format!("/learnings/{target}"), Some(&token("alice"))).status;
    assert_eq!(delete("meanwhile?db_id=main"), 204, "the other database is served");
    assert_eq!(delete("later?db_id=shared"), 503);
    let closed = log.wait_for(&[("event", "interrupted"), ("learning_id", "in_sqlite")]);
    assert_eq!(closed["outcome"], "present", "{closed}");
    let is_open = |entry: &Value| entry["event"] != "interrupted" || entry["learning_id"] != "in_postgres";
    assert!(log.show(&[]).iter().all(is_open), "nobody knows what became of it");
    assert_eq!(delete("in_sqlite?db_id=main"), 204, "a record with a closed intent can be deleted");

    proxy.resume();
    let closed = log.wait_for(&[("event", "interrupted"), ("learning_id", "in_postgres")]);
    assert_eq!(closed["outcome"], "present", "{closed}");
    assert_eq!(delete("in_postgres?db_id=shared"), 204);
    stop(server);
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains("2 interrupted, 0 open"), "{verified}");
    let receipt = log.verified_receipt(closed["request_id"].as_str().expect("an id"));
    assert!(receipt.contains("\nthe request was interrupted; afterwards the record was present\n"), "{receipt}");
}
