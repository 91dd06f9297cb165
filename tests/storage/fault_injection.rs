//! Fault injection on SQLite: a full disk, files that are read-only, corrupt, deleted or replaced, and other programs that
//! read and write.
//!
//! Every fault gets the right answer and a log line with its cause, deletes nothing that is not answered 204, and requests
//! succeed again after it is repaired.

use super::store::{Records, Store, assert_integrity, table};
use super::{StopOnDrop, token, wait_for_increase};
use crate::support::cluster::OsUser;
use crate::support::database::AgnoDatabase;
use crate::support::disk::Disk;
use crate::support::load::{HttpClient, TimedResponse, median_and_max};
use crate::support::optional::has_tools;
use crate::support::server::{Setup, TestServer};
use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Connection;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Creates a file with this many records of alice and an empty WAL, closed.
fn create_file(directory: &Path, records: usize) -> PathBuf {
    let database = AgnoDatabase::copy_to(directory, "learnings.db");
    let mut connection = database.connect();
    let all: Vec<_> = (0..records).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    connection.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM agno_learnings").expect("the statement runs");
    connection.insert(&all);
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("the statement runs");
    database.path().to_owned()
}

fn setup(file: &Path) -> Setup {
    let further_databases = table("main", &format!("sqlite:{}", file.display()));
    Setup { databases: vec![], further_databases, ..Setup::jwt() }
}

fn client(host: &TestServer) -> HttpClient {
    HttpClient::new(host, &token("alice"))
}

fn delete(client: &mut HttpClient, index: usize) -> TimedResponse {
    client.delete(&format!("/learnings/record_{index}")).expect("an answer")
}

fn assert_failed(reply: &TimedResponse) {
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(reply.body, r#"{"detail":"Failed to delete learning","error_code":"INTERNAL_SERVER_ERROR"}"#);
}

/// Asserts that the log contains this cause and the name of the file.
fn assert_logged(host: &TestServer, cause: &str) {
    let line = host.wait_for_log(&["storage failed", cause]);
    assert!(line["cause"].as_str().expect("a cause").contains("learnings.db"), "{line}");
    println!("  log: {}", line["cause"]);
}

fn health(host: &TestServer) -> u16 {
    host.request("GET", "/health", &[]).status
}

#[test]
fn full_disk_is_answered_500_until_space_is_freed() {
    let Some(disk) = Disk::mount(16 * 1024, "SQLite on a full disk") else { return };
    let file = create_file(disk.path(), 400);
    let host = setup(&file).start();
    let mut client = client(&host);
    // Another connection, as of an AgentOS. Without it, closing the failed connection would checkpoint the WAL.
    let other = Connection::open(&file).expect("the file opens");
    other.query_row("SELECT count(*) FROM agno_learnings", [], |_| Ok(())).expect("the query runs");
    // The disk is full before the first delete in the first round, and after other deletes in the second.
    let (mut next, mut failed) = (0, Vec::new());
    for round in 0..2 {
        disk.fill();
        for _ in 0..40 {
            let reply = delete(&mut client, next);
            match reply.status {
                204 => {}
                _ => {
                    assert_failed(&reply);
                    failed.push(next);
                }
            }
            next += 1;
        }
        assert!(!failed.is_empty(), "round {round}: some deletes fail on a full disk");
        // A checkpoint has space in the database file. After it, deletes reuse the space of the WAL.
        assert!(round == 0 || failed.len() < 10, "deletes fail although the WAL has space: {failed:?}");
        println!("SQLite on a full disk, {} of 40 answered 500", failed.len());
        disk.free();
        for index in failed.drain(..) {
            assert!(
                AgnoDatabase::open(file.clone()).contains(&format!("record_{index}")),
                "answered 500 but deleted: {index}"
            );
            let audit = host.wait_for_log(&["\"target\":\"audit\"", &format!("\"record_{index}\"")]);
            assert_eq!(audit["record"], "not-deleted", "a full disk is detected before the commit: {audit}");
            assert_eq!(delete(&mut client, index).status, 204, "round {round}: space was freed\n{}", host.log());
        }
    }
    assert_logged(&host, "full");
    drop(host);
    assert_integrity(&file);
    let remaining = AgnoDatabase::open(file).ids();
    assert!((0..400).all(|index| remaining.contains(&format!("record_{index}")) == (index >= next)));
    println!("SQLite on a full disk: 500 and nothing deleted; all {next} deleted after space was freed");
}

#[test]
fn file_size_limit_is_answered_500_until_limit_is_raised() {
    if !has_tools(&["prlimit"], "SQLite with a file size limit") {
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let file = create_file(directory.path(), 400);
    // 128 blocks of 512 bytes: enough for the WAL index and a few pages in the WAL.
    let through = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 128; exec \"$@\"", "sh"];
    let host = Setup { wrapper: through.map(str::to_owned).to_vec(), ..setup(&file) }.start();
    let mut client = client(&host);
    let replies: Vec<TimedResponse> = (0..60).map(|index| delete(&mut client, index)).collect();
    let failed: Vec<usize> = (0..60).filter(|index| replies[*index].status != 204).collect();
    assert!(!failed.is_empty() && failed.len() < 60, "{failed:?}");
    for index in &failed {
        assert_failed(&replies[*index]);
        // The commit can be partly written, so its outcome is unknown.
        let record = host.wait_for_log(&["\"target\":\"audit\"", &format!("\"record_{index}\"")]);
        assert_eq!(record["record"], "unknown", "{record}");
    }
    assert_logged(&host, "disk I/O error (extended code ");
    let limit = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &host.process_id().to_string()]).status();
    assert!(limit.expect("prlimit runs").success());
    for index in &failed {
        assert!([204, 404].contains(&delete(&mut client, *index).status), "{}", host.log());
    }
    assert_eq!(delete(&mut client, 60).status, 204);
    drop(host);
    assert_integrity(&file);
    let remaining = AgnoDatabase::open(file).ids();
    assert!((0..400).all(|index| remaining.contains(&format!("record_{index}")) == (index > 60)));
    println!("SQLite with a file size limit: {} of 60 answered 500; all deleted after it was raised", failed.len());
}

#[test]
fn read_only_file_is_answered_500_until_writable() {
    let account = OsUser::unprivileged();
    let directory = TempDir::new().expect("a temporary directory");
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode is set");
    set_mode(directory.path(), 0o755);
    let (config, data) = (directory.path().join("config"), directory.path().join("data"));
    for directory in [&config, &data] {
        fs::create_dir(directory).expect("a directory");
    }
    let file = create_file(&data, 10);
    let change_owner = |path: &Path| {
        if let Some(account) = account {
            account.chown(path);
        }
    };
    // Root can write every file, so the server runs as another account, from a path that the account can read.
    let through = account.map_or_else(Vec::new, |account| {
        let program = directory.path().join("delete-learning");
        fs::copy(env!("CARGO_BIN_EXE_delete-learning"), &program).expect("the program is copied");
        let script = format!(
            "shift; exec setpriv --reuid={} --regid={} --clear-groups '{}' \"$@\"",
            account.uid,
            account.gid,
            program.display()
        );
        vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    });
    if account.is_some() && !has_tools(&["setpriv"], "SQLite on a read-only file, as root") {
        return;
    }
    let start = || {
        let config = TempDir::new_in(&config).expect("a temporary directory");
        set_mode(config.path(), 0o755);
        Setup { wrapper: through.clone(), ..setup(&file) }.try_start_in(config)
    };
    set_mode(&config, 0o755);
    set_mode(&file, 0o444);
    set_mode(&data, 0o555);
    change_owner(&file);
    let error = start().err().expect("the server does not start on a read-only file");
    println!("SQLite, a read-only file at start: {}", error.trim());
    assert!(error.contains("learnings.db") && error.contains("read"), "{error}");

    set_mode(&file, 0o644);
    set_mode(&data, 0o755);
    change_owner(&data);
    let host = start().expect("the server starts");
    let mut client = client(&host);
    assert_eq!(delete(&mut client, 0).status, 204);
    // An operator restores a copy that the server cannot write.
    let copy = data.join("copy");
    fs::copy(&file, &copy).expect("a copy");
    set_mode(&copy, 0o444);
    change_owner(&copy);
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    fs::rename(&copy, &file).expect("the file is replaced");
    assert_failed(&delete(&mut client, 1));
    assert_logged(&host, "readonly");
    assert_eq!(health(&host), 503);
    set_mode(&file, 0o644);
    assert_eq!(delete(&mut client, 1).status, 204, "{}", host.log());
    assert_eq!(health(&host), 200);
    println!("SQLite, a file that becomes read-only: 500 and health 503; served again after it is writable");
}

#[test]
fn corrupt_file_is_answered_500_until_restored() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = create_file(directory.path(), 2_000);
    let host = setup(&file).start();
    let mut client = client(&host);
    let intact = fs::read(&file).expect("the file is read");
    let corrupt = |from: usize, bytes: usize| {
        let mut bytes_with_damage = intact.clone();
        bytes_with_damage[from..].iter_mut().take(bytes).for_each(|byte| *byte = 0xa5);
        fs::write(&file, bytes_with_damage).expect("the file is written");
    };
    // From the third page on, so that SQLite can still read the schema.
    corrupt(8192, usize::MAX);
    assert_failed(&delete(&mut client, 1_000));
    assert_logged(&host, "malformed");
    assert_eq!(health(&host), 503);
    fs::write(&file, &intact).expect("the file is written");
    assert_eq!(delete(&mut client, 1_000).status, 204, "{}", host.log());
    assert_eq!(health(&host), 200);
    drop(host);
    assert_integrity(&file);

    fs::write(&file, "This is not a database, but a text of some length. ".repeat(100)).expect("the file is written");
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(directory.path().join(name));
    }
    let error =
        setup(&file).try_start_in(TempDir::new().expect("a temporary directory")).err().expect("a startup error");
    assert!(error.contains("learnings.db") && error.contains("not a database"), "{error}");
    println!(
        "SQLite, a corrupt file: 500 and health 503; served again after it is restored; another file at start: {error}"
    );
}

#[test]
fn table_dropped_under_load_is_answered_500_until_recreated() {
    let directory = TempDir::new().expect("a temporary directory");
    // One more than is requested under load, however fast the server is.
    let file = create_file(directory.path(), 1_001);
    let host = setup(&file).start();
    let database = AgnoDatabase::open(file.clone());
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let statuses: Vec<Vec<u16>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|worker| {
                let (mut client, stop, answered) = (client(&host), &stop, &answered);
                scope.spawn(move || {
                    let indices = (worker..).step_by(4).take_while(|_| !stop.load(Ordering::Relaxed));
                    let send = |index: usize| {
                        answered.fetch_add(1, Ordering::Relaxed);
                        delete(&mut client, index % 1_000).status
                    };
                    indices.map(send).collect()
                })
            })
            .collect();
        let _stop = StopOnDrop(&stop);
        wait_for_increase(&answered, 60);
        database.execute("CREATE TABLE copy AS SELECT * FROM agno_learnings; DROP TABLE agno_learnings");
        wait_for_increase(&answered, 60);
        drop(start_second_server(&file));
        database.execute("INSERT INTO agno_learnings SELECT * FROM copy");
        wait_for_increase(&answered, 60);
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("every request is answered")).collect()
    });
    let all: Vec<u16> = statuses.into_iter().flatten().collect();
    let count = |status| all.iter().filter(|other| **other == status).count();
    assert_logged(&host, "no such table");
    println!("SQLite, a table dropped under load: {} answered 204, {} 500, {} 404", count(204), count(500), count(404));
    assert_eq!(count(204) + count(500) + count(404), all.len(), "no other statuses: {all:?}");
    assert!(count(500) > 0 && count(204) > 0);
    assert_eq!(delete(&mut client(&host), 1_000).status, 204);
}

/// Starts a second server, which creates the table.
fn start_second_server(file: &Path) -> TestServer {
    let setup = setup(file);
    Setup { further_databases: setup.further_databases.clone() + "create = true\n", ..setup }.start()
}

#[test]
fn deleted_file_is_answered_500_until_replaced() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = create_file(directory.path(), 10);
    let host = setup(&file).start();
    let mut client = client(&host);
    assert_eq!(delete(&mut client, 0).status, 204);
    assert_eq!(health(&host), 200);
    let remove = || {
        for name in ["learnings.db", "learnings.db-wal", "learnings.db-shm"] {
            let _ = fs::remove_file(directory.path().join(name));
        }
    };
    remove();
    // The open file still has the records, but no other program could see a delete in it.
    assert_failed(&delete(&mut client, 1));
    assert_logged(&host, "learnings.db does not exist");
    assert!(!file.exists(), "the server must not create an empty file, which would hide the deletion");
    assert_eq!(health(&host), 503);

    create_file(directory.path(), 10);
    assert_eq!(health(&host), 200);
    assert_eq!(delete(&mut client, 1).status, 204, "{}", host.log());
    assert!(!AgnoDatabase::open(file.clone()).contains("record_1"));

    // Replaced atomically between two requests.
    let other_directory = TempDir::new_in(directory.path()).expect("a temporary directory");
    let other = create_file(other_directory.path(), 10);
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(directory.path().join(name));
    }
    fs::rename(other, &file).expect("the file is replaced");
    assert_eq!(delete(&mut client, 1).status, 204, "the record is in the new file");
    let remaining = AgnoDatabase::open(file.clone()).ids();
    assert!(!remaining.contains("record_1") && remaining.contains("record_0"), "{remaining:?}");
    assert_integrity(&file);
    println!("SQLite, a deleted file: 500 and health 503; a new file in its place is served immediately");
}

#[test]
fn every_delete_succeeds_while_another_program_writes() {
    const CLIENTS: usize = 8;
    const DELETES_PER_CLIENT: usize = 60;
    let directory = TempDir::new().expect("a temporary directory");
    let file = create_file(directory.path(), CLIENTS * DELETES_PER_CLIENT);
    let host = Setup { settings: "sqlite.busy_timeout_ms = 4000".to_owned(), ..setup(&file) }.start();
    let other = AgnoDatabase::open(file).connect();
    other.busy_timeout(Duration::from_secs(60)).expect("the busy timeout is set");
    let stop = AtomicBool::new(false);
    let (start, mut writes) = (Instant::now(), 0);
    let times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|worker| {
                let mut client = client(&host);
                scope.spawn(move || {
                    let send = |index| {
                        let reply = delete(&mut client, index);
                        assert_eq!(reply.status, 204, "{reply:?}");
                        reply.elapsed
                    };
                    (worker..CLIENTS * DELETES_PER_CLIENT).step_by(CLIENTS).map(send).collect::<Vec<_>>()
                })
            })
            .collect();
        let (stop, writes) = (&stop, &mut writes);
        // Each commit is synced, and the next transaction starts immediately.
        let writing = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let sql = "INSERT INTO agno_learnings (learning_id, learning_type, content, created_at)
                           VALUES ('noise_' || hex(randomblob(8)), 'user_memory', '{}', 1)";
                other.execute(sql, []).expect("the insert runs within the busy timeout");
                *writes += 1;
            }
        });
        let stop = StopOnDrop(stop);
        let times = clients.into_iter().flat_map(|client| client.join().expect("every delete succeeds")).collect();
        drop(stop);
        writing.join().expect("every insert succeeds");
        times
    });
    let (median, longest) = median_and_max(times);
    println!(
        "SQLite while another program wrote {writes} times without a pause in {:.1?}: {} deletes, all 204; median {median:.1?}, \
         longest {longest:.1?}",
        start.elapsed(),
        CLIENTS * DELETES_PER_CLIENT
    );
    assert!(writes > 0);
}

#[test]
fn long_reader_and_deletes_do_not_block_each_other() {
    let store = Store::sqlite();
    let mut records = store.connect();
    let all: Vec<_> = (0..300).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    records.insert(&all);
    let host = store.setup().start();
    let Store::Sqlite { file, .. } = &store else { panic!("the store is SQLite") };
    let reader = AgnoDatabase::open(file.clone()).connect();
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0)).expect("the file is read")
    };
    reader.execute_batch("BEGIN").expect("a transaction");
    assert_eq!(count(), 300);
    let mut client = client(&host);
    let times = (0..300).map(|index| {
        let reply = delete(&mut client, index);
        assert_eq!(reply.status, 204, "{reply:?}");
        reply.elapsed
    });
    let (median, longest) = median_and_max(times.collect());
    assert_eq!(count(), 300, "the reader sees its snapshot");
    reader.execute_batch("COMMIT").expect("a transaction");
    assert_eq!(count(), 0);
    println!("SQLite with a long reader: 300 deletes, median {median:.1?}, longest {longest:.1?}");
}

#[test]
fn account_revoked_in_replaced_file_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let create = |directory: &Path, revoked_at: &str| {
        let file = create_file(directory, 1);
        let token: String =
            digest(&SHA256, b"agno_pat_of_a_bot").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        AgnoDatabase::open(file.clone()).execute(&format!(
            "CREATE TABLE agno_service_accounts (id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, user_id VARCHAR,
             token_hash VARCHAR NOT NULL UNIQUE, token_prefix VARCHAR NOT NULL, scopes JSON NOT NULL,
             created_at BIGINT NOT NULL, expires_at BIGINT, last_used_at BIGINT, revoked_at BIGINT, created_by VARCHAR);
             INSERT INTO agno_service_accounts (id, name, token_hash, token_prefix, scopes, created_at, revoked_at)
             VALUES ('bot', 'bot', '{token}', 'agno_pat_', '[\"agent_os:admin\"]', 1, {revoked_at});
             PRAGMA wal_checkpoint(TRUNCATE)"
        ));
        file
    };
    let file = create(directory.path(), "NULL");
    let auth = Setup::jwt().auth + "[auth.service_accounts]\ndatabase = \"main\"\ncache_seconds = 0\n";
    let host = Setup { auth, ..setup(&file) }.start();
    let send = || HttpClient::new(&host, "agno_pat_of_a_bot").delete("/learnings/none").expect("an answer").status;
    assert_eq!(send(), 404);
    let other_directory = TempDir::new_in(directory.path()).expect("a temporary directory");
    let other = create(other_directory.path(), "2");
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(directory.path().join(name));
    }
    fs::rename(other, &file).expect("the file is replaced");
    assert_eq!(send(), 401, "{}", host.log());
}
