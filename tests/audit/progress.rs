//! A command that reads a large log shows how far it is.

use super::tampering::{root_of_full_tile, sha256, write_entries, write_hashes};
use super::{Log, ORIGIN, text};
use crate::support::optional::has_tools;
use delete_learning_server::audit::{Checkpoint, SigningKey};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// The time between two updates, and before the first.
const UPDATE_INTERVAL: Duration = Duration::from_millis(200);

/// A full tile of the second level. Verifying it takes longer than the time between two updates.
const ENTRIES: usize = 256 * 256;

/// Writes a log of entries that are all alike, as a server would.
fn write_large_log(log: &Log) {
    let line = b"{\"count\":1,\"event\":\"dropped\",\"time\":\"2026-01-01T00:00:00.000Z\"}\t{}\n";
    let journal = log.directory.join("journal");
    fs::create_dir_all(log.directory.join("tile/entries")).expect("a directory");
    fs::create_dir_all(&journal).expect("a directory");
    fs::write(journal.join(format!("{:020}.log", 0)), b"").expect("the journal");
    let lines = vec![line.to_vec(); ENTRIES];
    write_entries(log, &lines);
    write_hashes(log, &lines);
    let entry = line.split(|byte| *byte == b'\t').next().expect("an entry");
    let full_tile = root_of_full_tile(&[sha256(&[&[0], entry]); 256]);
    let key = SigningKey::parse(fs::read_to_string(log.key()).expect("the key").trim()).expect("a key");
    let root = root_of_full_tile(&[full_tile; 256]);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: ENTRIES as u64, root };
    fs::write(log.directory.join("checkpoint"), checkpoint.sign(&key)).expect("the checkpoint");
}

#[test]
fn verify_shows_its_progress_on_a_terminal_only() {
    if !has_tools(&["script"], "the progress of `audit verify` on a terminal") {
        return;
    }
    let log = Log::new();
    write_large_log(&log);
    let quiet = log.run("verify", &[]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");

    let verify = format!(
        "'{}' audit verify --directory '{}' --public-key '{}'",
        env!("CARGO_BIN_EXE_delete-learning"),
        text(&log.directory),
        text(&log.public_key())
    );
    let start = Instant::now();
    let shown = Command::new("script").args(["-qec", &verify, "/dev/null"]).output().expect("script runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let progress = format!(" of {ENTRIES} entries");
    let updates = u128::try_from(shown.matches(&progress).count()).expect("a count");
    let max = start.elapsed().as_millis() / UPDATE_INTERVAL.as_millis();
    assert!((1..=max).contains(&updates), "{updates} updates, at most {max}: {shown}");
    let (_, result) = shown.rsplit_once("\u{1b}[K").expect("the line is erased at the end");
    assert!(result.starts_with("the log ") && result.contains(&format!("verifies: {ENTRIES} entries")), "{shown}");
}
