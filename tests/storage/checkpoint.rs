//! Checkpoints of SQLite's WAL: it does not grow without bound, and no delete is lost, also while another program reads.

use super::store::{Store, assert_integrity};
use super::token;
use crate::support::load::HttpClient;
use crate::support::server::{Setup, TestServer};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The size of the WAL in bytes at which it is checkpointed.
const CHECKPOINT_BYTES: u64 = 256 * 1024;

const CLIENTS: usize = 8;

fn start_server(store: &Store) -> TestServer {
    let Setup { settings, .. } = store.setup();
    Setup { settings: format!("{settings}sqlite.wal_checkpoint_bytes = {CHECKPOINT_BYTES}\n"), ..store.setup() }.start()
}

fn id(index: usize) -> String {
    format!("record_{index}")
}

/// Deletes these records over several connections, and asserts that every answer is 204.
fn delete(host: &TestServer, records: std::ops::Range<usize>) {
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let records = records.clone();
            scope.spawn(move || {
                let mut client = HttpClient::new(host, &token("alice"));
                for index in records.skip(worker).step_by(CLIENTS) {
                    let reply = client.delete(&format!("/learnings/{}", id(index))).expect("an answer");
                    assert_eq!(reply.status, 204, "{reply:?}\n{}", host.log());
                }
            });
        }
    });
}

fn wal_bytes(file: &Path) -> u64 {
    fs::metadata(format!("{}-wal", file.display())).map_or(0, |wal| wal.len())
}

/// Returns the number of frames in the WAL. Its file can be larger.
fn wal_frames(file: &Path) -> i64 {
    let connection = Connection::open(file).expect("the file opens");
    connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).expect("the statement runs")
}

fn store_with(records: usize) -> (Store, std::path::PathBuf) {
    let store = Store::sqlite();
    let Store::Sqlite { file, .. } = &store else { unreachable!("the store is SQLite") };
    let file = file.clone();
    let all: Vec<_> = (0..records).map(|index| (id(index), Some("alice"))).collect();
    store.connect().insert(&all);
    (store, file)
}

#[test]
fn wal_is_checkpointed_and_restarts_under_deletes() {
    const RECORDS: usize = 1_200;
    let (store, file) = store_with(RECORDS);
    let host = start_server(&store);
    let mut largest = 0;
    for part in 0..6 {
        delete(&host, part * RECORDS / 6..(part + 1) * RECORDS / 6);
        largest = largest.max(wal_bytes(&file));
    }
    // Every transaction writes at least ten pages. Without checkpoints, the WAL would contain all of them.
    let without_checkpoints = (RECORDS / CLIENTS * 10 * 4096) as u64;
    assert!(largest < without_checkpoints / 2, "the WAL has grown to {largest} bytes");
    drop(host);
    assert_integrity(&file);
    assert!(store.connect().ids().is_empty(), "every record that was answered 204 is deleted");
    println!(
        "SQLite's WAL, checkpointed at {} kB: at most {} kB during {RECORDS} deletes, which wrote at least {} kB",
        CHECKPOINT_BYTES / 1024,
        largest / 1024,
        without_checkpoints / 1024
    );
}

#[test]
fn long_reader_blocks_no_delete_and_wal_restarts_afterwards() {
    const RECORDS: usize = 1_200;
    let (store, file) = store_with(RECORDS);
    let host = start_server(&store);
    let reader = Connection::open(&file).expect("the file opens");
    let count = || {
        let count: u32 =
            reader.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0)).expect("the query runs");
        count as usize
    };
    reader.execute_batch("BEGIN").expect("the transaction starts");
    assert_eq!(count(), RECORDS);
    // The reader prevents the WAL from restarting until its transaction ends.
    delete(&host, 0..RECORDS / 2);
    assert_eq!(count(), RECORDS, "the reader sees its snapshot");
    reader.execute_batch("COMMIT").expect("the transaction ends");
    assert_eq!(count(), RECORDS / 2);

    let (mut next, end) = (RECORDS / 2, Instant::now() + Duration::from_secs(60));
    let frames_with_reader = wal_frames(&file);
    while wal_frames(&file) >= frames_with_reader {
        assert!(next < RECORDS && Instant::now() < end, "the WAL does not restart");
        delete(&host, next..next + CLIENTS);
        next += CLIENTS;
    }
    drop(host);
    assert_integrity(&file);
    assert_eq!(store.connect().ids().len(), RECORDS - next);
}
