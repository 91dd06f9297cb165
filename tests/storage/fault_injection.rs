//! SQLite in trouble: a disk that is full, files that cannot be written, are corrupt, gone or replaced, and others who read
//! and write. Each time: the right answer, a log line that says what the matter is, nothing deleted that was not answered
//! 204, and service again once it is mended.

use super::store::{Records, Store, passes_integrity_check, table};
use super::{StopAtEnd, token, wait_for_more};
use crate::support::cluster::Account;
use crate::support::database::AgnoDatabase;
use crate::support::load::{Client, Reply, middle_and_longest};
use crate::support::optional::tools;
use crate::support::server::{Host, Setup};
use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Connection;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A file with these many records of alice's, written back from its log, as a database that nobody has open.
fn file_with(folder: &Path, records: usize) -> PathBuf {
    let database = AgnoDatabase::in_folder(folder, "learnings.db");
    let mut connection = database.connect();
    let all: Vec<_> = (0..records).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    connection.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM agno_learnings").expect("it runs");
    connection.insert(&all);
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("it runs");
    database.path().to_owned()
}

fn setup(file: &Path) -> Setup {
    let further_databases = table("main", &format!("sqlite:{}", file.display()));
    Setup { databases: vec![], further_databases, ..Setup::jwt() }
}

fn client(host: &Host) -> Client {
    Client::of(host, &token("alice"))
}

fn delete(client: &mut Client, index: usize) -> Reply {
    client.delete(&format!("/learnings/record_{index}")).expect("an answer")
}

fn is_failure(reply: &Reply) {
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(reply.body, r#"{"detail":"Failed to delete learning","error_code":"INTERNAL_SERVER_ERROR"}"#);
}

/// That the cause of a failure is in the log, with the file's name.
fn log_says(host: &Host, cause: &str) {
    let line = host.logged(&["storage failed", cause]);
    assert!(line["cause"].as_str().expect("a cause").contains("learnings.db"), "{line}");
    println!("  the log says: {}", line["cause"]);
}

fn health(host: &Host) -> u16 {
    host.request("GET", "/health", &[]).status
}

/// A small disk of its own, taken away when dropped.
struct Disk(TempDir);

impl Disk {
    /// None where this program may not mount one.
    fn mount(kibibytes: usize) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let options = format!("size={kibibytes}k");
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "none", path(&folder)];
        as_root(&mount).then(|| Self(folder))
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        use std::io::Write as _;
        let mut filler = fs::File::create(self.0.path().join("filler")).expect("a file");
        for size in [4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "-l", path(&self.0)]);
    }
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().expect("a temporary folder's path is text")
}

/// Whether this command succeeds, as who this program runs as, or as root where that takes no password.
fn as_root(command: &[&str]) -> bool {
    let succeeds = |arguments: &[&str]| {
        let status = Command::new(arguments[0]).args(&arguments[1..]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    succeeds(command) || succeeds(&[&["sudo", "-n"], command].concat())
}

#[test]
fn a_full_disk_is_500_and_served_again_when_there_is_room() {
    let Some(disk) = Disk::mount(16 * 1024) else {
        assert!(std::env::var_os("CI").is_none(), "no small disk can be mounted, and CI leaves nothing out");
        eprintln!("left out, as this account may not mount a small disk: SQLite on a full disk");
        return;
    };
    let file = file_with(disk.0.path(), 400);
    let host = setup(&file).start();
    let mut client = client(&host);
    // Somebody else has the file open, as an AgentOS has. Otherwise SQLite would carry the log over by itself when the
    // connection that failed is closed.
    let other = Connection::open(&file).expect("it opens");
    other.query_row("SELECT count(*) FROM agno_learnings", [], |_| Ok(())).expect("it reads");
    // Full before the first deletion, and full while it works.
    let (mut next, mut failed) = (0, Vec::new());
    for round in 0..2 {
        disk.fill();
        for _ in 0..40 {
            let reply = delete(&mut client, next);
            match reply.status {
                204 => {}
                _ => {
                    is_failure(&reply);
                    failed.push(next);
                }
            }
            next += 1;
        }
        assert!(!failed.is_empty(), "round {round}: the disk is full");
        // What is in the log by then was carried over into the file, which has the room for it, and the log begins anew.
        assert!(round == 0 || failed.len() < 10, "a full disk takes no more while the log has room: {failed:?}");
        println!("SQLite on a full disk, {} of 40 answered 500", failed.len());
        disk.empty();
        for index in failed.drain(..) {
            assert!(AgnoDatabase::open(file.clone()).has(&format!("record_{index}")), "it was answered 500: {index}");
            assert_eq!(delete(&mut client, index).status, 204, "round {round}: there is room again\n{}", host.log());
        }
    }
    log_says(&host, "full");
    drop(host);
    passes_integrity_check(&file);
    let left = AgnoDatabase::open(file).ids();
    assert!((0..400).all(|index| left.contains(&format!("record_{index}")) == (index >= next)));
    println!("SQLite on a full disk: 500 and nothing deleted; all {next} deleted once there was room");
}

#[test]
fn a_file_that_cannot_grow_is_500_and_served_again_when_it_can() {
    if !tools(&["prlimit"], "SQLite on files that cannot grow") {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let file = file_with(folder.path(), 400);
    // 128 blocks of 512 bytes: room for the index of the log, and for a few pages in it.
    let through = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 128; exec \"$@\"", "sh"];
    let host = Setup { through: through.map(str::to_owned).to_vec(), ..setup(&file) }.start();
    let mut client = client(&host);
    let replies: Vec<Reply> = (0..60).map(|index| delete(&mut client, index)).collect();
    let failed: Vec<usize> = (0..60).filter(|index| replies[*index].status != 204).collect();
    assert!(!failed.is_empty() && failed.len() < 60, "{failed:?}");
    for index in &failed {
        is_failure(&replies[*index]);
        // Written in part, so that nobody can say whether it would be there after the next start.
        let record = host.logged(&["\"target\":\"audit\"", &format!("\"record_{index}\"")]);
        assert!(record["record"] != "deleted", "{record}");
    }
    log_says(&host, "disk I/O error");
    let limit = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &host.process().to_string()]).status();
    assert!(limit.expect("it runs").success());
    for index in &failed {
        assert!([204, 404].contains(&delete(&mut client, *index).status), "{}", host.log());
    }
    assert_eq!(delete(&mut client, 60).status, 204);
    drop(host);
    passes_integrity_check(&file);
    let left = AgnoDatabase::open(file).ids();
    assert!((0..400).all(|index| left.contains(&format!("record_{index}")) == (index > 60)));
    println!("SQLite on files that cannot grow: {} of 60 answered 500; all deleted once they could", failed.len());
}

#[test]
fn a_read_only_file_is_500_and_served_again_when_it_can_be_written() {
    let account = Account::without_rights();
    let folder = TempDir::new().expect("a folder");
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("they can be set");
    set(folder.path(), 0o755);
    let (config, data) = (folder.path().join("config"), folder.path().join("data"));
    for folder in [&config, &data] {
        fs::create_dir(folder).expect("a folder");
    }
    let file = file_with(&data, 10);
    let own = |path: &Path| {
        if let Some(account) = account {
            account.own(path);
        }
    };
    // Root may write everything, so the host runs as somebody else, from where that account can read it.
    let through = account.map_or_else(Vec::new, |account| {
        let program = folder.path().join("delete-learning");
        fs::copy(env!("CARGO_BIN_EXE_delete-learning"), &program).expect("it can be copied");
        let script = format!(
            "shift; exec setpriv --reuid={} --regid={} --clear-groups '{}' \"$@\"",
            account.user,
            account.group,
            program.display()
        );
        vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    });
    if account.is_some() && !tools(&["setpriv"], "SQLite on a read-only file, as root") {
        return;
    }
    let start = || {
        let config = TempDir::new_in(&config).expect("a folder");
        set(config.path(), 0o755);
        Setup { through: through.clone(), ..setup(&file) }.try_start_in(config)
    };
    set(&config, 0o755);
    set(&file, 0o444);
    set(&data, 0o555);
    own(&file);
    let said = start().err().expect("it does not start where it could delete nothing");
    println!("SQLite, a read-only file at start: {}", said.trim());
    assert!(said.contains("learnings.db") && said.contains("read"), "{said}");

    set(&file, 0o644);
    set(&data, 0o755);
    own(&data);
    let host = start().expect("it starts");
    let mut client = client(&host);
    assert_eq!(delete(&mut client, 0).status, 204);
    // Somebody restores a copy which the host may not write.
    let copy = data.join("copy");
    fs::copy(&file, &copy).expect("a copy");
    set(&copy, 0o444);
    own(&copy);
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    fs::rename(&copy, &file).expect("it can be put in its place");
    is_failure(&delete(&mut client, 1));
    log_says(&host, "readonly");
    assert_eq!(health(&host), 503);
    set(&file, 0o644);
    assert_eq!(delete(&mut client, 1).status, 204, "{}", host.log());
    assert_eq!(health(&host), 200);
    println!("SQLite, a file that becomes read-only: 500 and health 503; served again when it can be written");
}

#[test]
fn a_corrupt_file_is_500_and_served_again_when_it_is_restored() {
    let folder = TempDir::new().expect("a folder");
    let file = file_with(folder.path(), 2_000);
    let host = setup(&file).start();
    let mut client = client(&host);
    let good = fs::read(&file).expect("it can be read");
    let damage = |from: usize, bytes: usize| {
        let mut bad = good.clone();
        let middle = &mut bad[from..];
        middle.iter_mut().take(bytes).for_each(|byte| *byte = 0xa5);
        fs::write(&file, bad).expect("it can be written");
    };
    // From the third page on, so that the schema can still be read.
    damage(8192, usize::MAX);
    is_failure(&delete(&mut client, 1_000));
    log_says(&host, "malformed");
    assert_eq!(health(&host), 503);
    fs::write(&file, &good).expect("it can be written");
    assert_eq!(delete(&mut client, 1_000).status, 204, "{}", host.log());
    assert_eq!(health(&host), 200);
    drop(host);
    passes_integrity_check(&file);

    fs::write(&file, "This is no database, but a text of some length. ".repeat(100)).expect("it can be written");
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let said = setup(&file).try_start_in(TempDir::new().expect("a folder")).err().expect("it does not start");
    assert!(said.contains("learnings.db") && said.contains("not a database"), "{said}");
    println!(
        "SQLite, a corrupt file: 500 and health 503; served again when it is restored; another file at start: {said}"
    );
}

#[test]
fn a_table_that_is_dropped_under_load_is_500_and_served_again_when_it_is_there() {
    let folder = TempDir::new().expect("a folder");
    // One more than is asked for under load, however fast that is.
    let file = file_with(folder.path(), 1_001);
    let host = setup(&file).start();
    let database = AgnoDatabase::open(file.clone());
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let statuses: Vec<Vec<u16>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|worker| {
                let (mut client, stop, answered) = (client(&host), &stop, &answered);
                scope.spawn(move || {
                    let indices = (worker..).step_by(4).take_while(|_| !stop.load(Ordering::Relaxed));
                    let ask = |index: usize| {
                        answered.fetch_add(1, Ordering::Relaxed);
                        delete(&mut client, index % 1_000).status
                    };
                    indices.map(ask).collect()
                })
            })
            .collect();
        let _stop = StopAtEnd(&stop);
        wait_for_more(&answered, 60);
        database.execute("CREATE TABLE kept AS SELECT * FROM agno_learnings; DROP TABLE agno_learnings");
        wait_for_more(&answered, 60);
        drop(host_makes_it_again(&file));
        database.execute("INSERT INTO agno_learnings SELECT * FROM kept");
        wait_for_more(&answered, 60);
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("every request is answered")).collect()
    });
    let all: Vec<u16> = statuses.into_iter().flatten().collect();
    let count = |status| all.iter().filter(|its| **its == status).count();
    log_says(&host, "no such table");
    println!("SQLite, a table dropped under load: {} answered 204, {} 500, {} 404", count(204), count(500), count(404));
    assert_eq!(count(204) + count(500) + count(404), all.len(), "nothing else: {all:?}");
    assert!(count(500) > 0 && count(204) > 0);
    assert_eq!(delete(&mut client(&host), 1_000).status, 204);
}

/// Another host, which makes the table where there is none.
fn host_makes_it_again(file: &Path) -> Host {
    setup(file).start()
}

#[test]
fn a_file_that_is_deleted_is_500_and_one_in_its_place_is_served() {
    let folder = TempDir::new().expect("a folder");
    let file = file_with(folder.path(), 10);
    let host = setup(&file).start();
    let mut client = client(&host);
    assert_eq!(delete(&mut client, 0).status, 204);
    assert_eq!(health(&host), 200);
    let remove = || {
        for name in ["learnings.db", "learnings.db-wal", "learnings.db-shm"] {
            let _ = fs::remove_file(folder.path().join(name));
        }
    };
    remove();
    // What is still open has the records, and nobody else will ever see what is deleted there.
    is_failure(&delete(&mut client, 1));
    log_says(&host, "unable to open");
    assert!(!file.exists(), "an empty one in its place would hide that it is gone");
    assert_eq!(health(&host), 503);

    file_with(folder.path(), 10);
    assert_eq!(health(&host), 200);
    assert_eq!(delete(&mut client, 1).status, 204, "{}", host.log());
    assert!(!AgnoDatabase::open(file.clone()).has("record_1"));

    // Replaced in one step, between two requests.
    let aside = TempDir::new_in(folder.path()).expect("a folder");
    let other = file_with(aside.path(), 10);
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    fs::rename(other, &file).expect("it can be put in its place");
    assert_eq!(delete(&mut client, 1).status, 204, "it is in the other file");
    let left = AgnoDatabase::open(file.clone()).ids();
    assert!(!left.contains("record_1") && left.contains("record_0"), "{left:?}");
    passes_integrity_check(&file);
    println!("SQLite, a file that is deleted: 500 and health 503; one in its place is served at once");
}

#[test]
fn beside_another_program_that_writes_all_the_time_every_delete_is_done() {
    const CLIENTS: usize = 8;
    const EACH: usize = 60;
    let folder = TempDir::new().expect("a folder");
    let file = file_with(folder.path(), CLIENTS * EACH);
    let host = Setup { settings: "sqlite.busy_timeout_ms = 4000".to_owned(), ..setup(&file) }.start();
    let other = AgnoDatabase::open(file).connect();
    other.busy_timeout(Duration::from_secs(60)).expect("a timeout can be set");
    let stop = AtomicBool::new(false);
    let (begun, mut writes) = (Instant::now(), 0);
    let times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|worker| {
                let mut client = client(&host);
                scope.spawn(move || {
                    let ask = |index| {
                        let reply = delete(&mut client, index);
                        assert_eq!(reply.status, 204, "{reply:?}");
                        reply.after
                    };
                    (worker..CLIENTS * EACH).step_by(CLIENTS).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        let (stop, writes) = (&stop, &mut writes);
        // Each commit is synced, and the next one begins at once.
        let writing = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let sql = "INSERT INTO agno_learnings (learning_id, learning_type, content, created_at)
                           VALUES ('noise_' || hex(randomblob(8)), 'user_memory', '{}', 1)";
                other.execute(sql, []).expect("it waits its turn");
                *writes += 1;
            }
        });
        let stop = StopAtEnd(stop);
        let times = clients.into_iter().flat_map(|client| client.join().expect("every delete is done")).collect();
        drop(stop);
        writing.join().expect("the other program can write");
        times
    });
    let (middle, longest) = middle_and_longest(times);
    println!(
        "SQLite beside a program that wrote {writes} times without a pause in {:.1?}: {} deletes, all 204; middle {middle:.1?}, \
         longest {longest:.1?}",
        begun.elapsed(),
        CLIENTS * EACH
    );
    assert!(writes > 0);
}

#[test]
fn a_reader_that_stays_does_not_keep_the_host_from_writing_nor_the_other_way_round() {
    let store = Store::sqlite();
    let mut records = store.connect();
    let all: Vec<_> = (0..300).map(|index| (format!("record_{index}"), Some("alice"))).collect();
    records.insert(&all);
    let host = store.setup().start();
    let Store::Sqlite { file, .. } = &store else { panic!("it is SQLite") };
    let reader = AgnoDatabase::open(file.clone()).connect();
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0)).expect("it can be read")
    };
    reader.execute_batch("BEGIN").expect("a transaction");
    assert_eq!(count(), 300);
    let mut client = client(&host);
    let times = (0..300).map(|index| {
        let reply = delete(&mut client, index);
        assert_eq!(reply.status, 204, "{reply:?}");
        reply.after
    });
    let (middle, longest) = middle_and_longest(times.collect());
    assert_eq!(count(), 300, "the reader sees what was there when it began");
    reader.execute_batch("COMMIT").expect("a transaction");
    assert_eq!(count(), 0);
    println!("SQLite under a reader that stays: 300 deletes, middle {middle:.1?}, longest {longest:.1?}");
}

#[test]
fn a_service_account_that_is_revoked_in_the_file_put_in_its_place_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let make = |folder: &Path, revoked_at: &str| {
        let file = file_with(folder, 1);
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
    let file = make(folder.path(), "NULL");
    let auth = Setup::jwt().auth + "[auth.service_accounts]\ndatabase = \"main\"\ncache_seconds = 0\n";
    let host = Setup { auth, ..setup(&file) }.start();
    let ask = || Client::of(&host, "agno_pat_of_a_bot").delete("/learnings/none").expect("an answer").status;
    assert_eq!(ask(), 404);
    let aside = TempDir::new_in(folder.path()).expect("a folder");
    let other = make(aside.path(), "2");
    for name in ["learnings.db-wal", "learnings.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    fs::rename(other, &file).expect("it can be put in its place");
    assert_eq!(ask(), 401, "{}", host.log());
}
