//! SQLite's write-ahead log: carried over into the file beside the deletes, so that it does not grow without end and no
//! delete is lost on the way, also while somebody reads what is in it.

use super::store::{Store, passes_integrity_check};
use super::token;
use crate::support::load::Client;
use crate::support::server::{Host, Setup};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// From so many bytes on it is carried over.
const BYTES: u64 = 256 * 1024;

const CLIENTS: usize = 8;

fn host_on(store: &Store) -> Host {
    let Setup { settings, .. } = store.setup();
    Setup { settings: format!("{settings}sqlite.wal_checkpoint_bytes = {BYTES}\n"), ..store.setup() }.start()
}

fn id(index: usize) -> String {
    format!("record_{index}")
}

/// Deletes these records over several connections; every answer is 204.
fn delete(host: &Host, records: std::ops::Range<usize>) {
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let records = records.clone();
            scope.spawn(move || {
                let mut client = Client::of(host, &token("alice"));
                for index in records.skip(worker).step_by(CLIENTS) {
                    let reply = client.delete(&format!("/learnings/{}", id(index))).expect("an answer");
                    assert_eq!(reply.status, 204, "{reply:?}\n{}", host.log());
                }
            });
        }
    });
}

fn log_bytes(file: &Path) -> u64 {
    fs::metadata(format!("{}-wal", file.display())).map_or(0, |log| log.len())
}

/// Pages that are in the log now, of all that its file has room for.
fn pages_in_log(file: &Path) -> i64 {
    let connection = Connection::open(file).expect("it opens");
    connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).expect("it runs")
}

fn store_with(records: usize) -> (Store, std::path::PathBuf) {
    let store = Store::sqlite();
    let Store::Sqlite { file, .. } = &store else { unreachable!("it is SQLite") };
    let file = file.clone();
    let all: Vec<_> = (0..records).map(|index| (id(index), Some("alice"))).collect();
    store.connect().insert(&all);
    (store, file)
}

#[test]
fn a_long_log_is_carried_over_beside_the_deletes_and_begins_anew() {
    const RECORDS: usize = 2_400;
    let (store, file) = store_with(RECORDS);
    let host = host_on(&store);
    let mut longest = 0;
    for part in 0..6 {
        delete(&host, part * RECORDS / 6..(part + 1) * RECORDS / 6);
        longest = longest.max(log_bytes(&file));
    }
    // Every transaction writes ten pages at the least. Never carried over, the log would have them all.
    let never = (RECORDS / CLIENTS * 10 * 4096) as u64;
    assert!(longest < never / 2, "the log has grown to {longest} bytes");
    drop(host);
    passes_integrity_check(&file);
    assert!(store.connect().ids().is_empty(), "every 204 is a deletion");
    println!(
        "SQLite's log, carried over from {} kB on: {} kB at its longest after {RECORDS} deletes; all together wrote {} kB at the \
         least",
        BYTES / 1024,
        longest / 1024,
        never / 1024
    );
}

#[test]
fn somebody_who_reads_for_long_holds_up_no_delete_and_the_log_is_carried_over_afterwards() {
    const RECORDS: usize = 1_200;
    let (store, file) = store_with(RECORDS);
    let host = host_on(&store);
    let reader = Connection::open(&file).expect("it opens");
    let count = || {
        let count: u32 =
            reader.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0)).expect("it reads");
        count as usize
    };
    reader.execute_batch("BEGIN").expect("it begins");
    assert_eq!(count(), RECORDS);
    // What the reader sees stays in the log until it ends.
    delete(&host, 0..RECORDS / 2);
    assert_eq!(count(), RECORDS, "it still reads what was there when it began");
    reader.execute_batch("COMMIT").expect("it ends");
    assert_eq!(count(), RECORDS / 2);

    let (mut next, end) = (RECORDS / 2, Instant::now() + Duration::from_secs(60));
    let many = pages_in_log(&file);
    while pages_in_log(&file) >= many {
        assert!(next < RECORDS && Instant::now() < end, "the log does not begin anew");
        delete(&host, next..next + CLIENTS);
        next += CLIENTS;
    }
    drop(host);
    passes_integrity_check(&file);
    assert_eq!(store.connect().ids().len(), RECORDS - next);
}
