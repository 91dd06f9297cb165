//! Every change of a log is found, by `audit verify` and by the verifier of somebody else.
//!
//! Each manipulation is made twice: in the entries only, and by an attacker who also computes every file of the tree anew, so
//! that only the signed checkpoint is left.

use super::privacy::files;
use super::{Log, stop, text};
use crate::support::load::HttpClient;
use crate::support::optional::audit_python;
use crate::support::server::Setup;
use crate::support::token::user;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use tempfile::TempDir;

pub(super) type Hash = [u8; 32];

/// A log with three files of the journal and a full tile, its entries' lines, and a copy of its checkpoint at an earlier size.
struct Fixture {
    log: Log,
    lines: Vec<Vec<u8>>,
    earlier: PathBuf,
}

impl Fixture {
    /// One for all tests that run at the same time, because making it is mostly waiting for checkpoints. They change copies.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Fixture>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().expect("no test panics while it makes a log");
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::new());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    fn new() -> Self {
        Self::with_log(Log::new())
    }

    fn with_log(log: Log) -> Self {
        let mut setup = Setup::jwt();
        setup.settings = log.settings();
        let server = setup.start();
        for index in 0..160 {
            server.database("main").insert(&format!("note_{index}"), Some("alice"));
        }
        let mut client = HttpClient::new(&server, &user("alice"));
        let mut delete = |index: usize| {
            assert_eq!(client.delete(&format!("/learnings/note_{index}")).expect("an answer").status, 204);
        };
        (0..40).for_each(&mut delete);
        let first = log.wait_for(&[("event", "started")]);
        assert_eq!(first["entry"], 0);
        thread::sleep(std::time::Duration::from_millis(2200));
        let earlier = log.home.path().join("earlier");
        fs::write(&earlier, log.checkpoint()).expect("a copy");
        (40..160).for_each(&mut delete);
        stop(server);
        let files = segments(&log.directory);
        assert!(files.len() > 2, "the journal was rotated");
        let lines = files.iter().flat_map(|file| lines(&fs::read(file).expect("a file"))).collect();
        Self { log, lines, earlier }
    }

    /// Copies the log, to be changed.
    fn copy(&self) -> Log {
        let home = TempDir::new().expect("a directory");
        for (from, to) in [(&self.log.directory, "audit"), (&self.log.public_key(), "audit.key.pub")] {
            let copied = Command::new("cp").args(["-a", text(from), text(&home.path().join(to))]).status();
            assert!(copied.expect("cp runs").success());
        }
        let directory = home.path().join("audit");
        Log { home, directory }
    }
}

/// The number of entries that a checkpoint has.
fn size(checkpoint: &str) -> usize {
    checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).expect("a size")
}

/// Changes the kind of the credential in an entry of a request.
fn flip(lines: &mut [Vec<u8>], index: usize) {
    let line = String::from_utf8(lines[index].clone()).expect("text");
    assert!(line.contains("\"jwt\""), "{line}");
    lines[index] = line.replacen("\"jwt\"", "\"jwu\"", 1).into_bytes();
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory.join("journal"))
        .expect("the journal")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

fn entry(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'\t').next().expect("an entry")
}

/// Writes these lines in place of the journal, with the bundles of their entries.
pub(super) fn write_entries(log: &Log, lines: &[Vec<u8>]) {
    let files = segments(&log.directory);
    files[1..].iter().for_each(|file| fs::remove_file(file).expect("it is removed"));
    fs::write(&files[0], lines.concat()).expect("the journal is written");
    let bundles = log.directory.join("tile/entries");
    fs::remove_dir_all(&bundles).expect("the bundles are removed");
    for (index, chunk) in lines.chunks(256).enumerate() {
        let bundle: Vec<u8> = chunk
            .iter()
            .flat_map(|line| {
                let entry = entry(line);
                [&u16::try_from(entry.len()).expect("short").to_be_bytes(), entry].concat()
            })
            .collect();
        write_tile(&bundles, index, chunk.len(), &bundle);
    }
}

fn write_tile(directory: &Path, index: usize, width: usize, bytes: &[u8]) {
    let mut path = directory.join(format!("{index:03}"));
    if width < 256 {
        path = directory.join(format!("{index:03}.p")).join(width.to_string());
    }
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, bytes).expect("a tile");
}

/// Writes the hashes of these lines in place of the tiles.
pub(super) fn write_hashes(log: &Log, lines: &[Vec<u8>]) {
    let mut level: Vec<Hash> = lines.iter().map(|line| sha256(&[&[0], entry(line)])).collect();
    for name in 0.. {
        let directory = log.directory.join(format!("tile/{name}"));
        let _ = fs::remove_dir_all(&directory);
        if level.is_empty() {
            break;
        }
        for (index, hashes) in level.chunks(256).enumerate() {
            write_tile(&directory, index, hashes.len(), hashes.as_flattened());
        }
        level = level.chunks_exact(256).map(root_of_full_tile).collect();
    }
}

pub(super) fn root_of_full_tile(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| sha256(&[&[1], &pair[0], &pair[1]])).collect();
    }
    level[0]
}

/// Asserts that both verifiers find that the log was changed. Returns what ours reports.
fn assert_found(log: &Log, name: &str, python: Option<&Path>, arguments: &[&str]) -> String {
    let found = log.verify(arguments).expect_err(name);
    assert!(found.contains("does not verify"), "{name}: {found}");
    if let Some(python) = python {
        let stored: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--checkpoint").collect();
        let other = log.verify_independently(python, &stored);
        assert!(other.is_err(), "{name}: another verifier accepts the log: {other:?}");
    }
    found
}

#[test]
fn every_manipulation_is_found_by_both_verifiers() {
    let fixture = Fixture::shared();
    let python = audit_python("finding manipulations with another verifier");
    let python = python.as_deref();
    let accepted =
        fixture.log.verify(&["--checkpoint", text(&fixture.earlier)]).unwrap_or_else(|error| panic!("{error}"));
    assert!(accepted.contains("160 deletions"), "{accepted}");
    if let Some(python) = python {
        let accepted = fixture.log.verify_independently(python, &[text(&fixture.earlier)]);
        println!("another verifier: {}", accepted.unwrap_or_else(|error| panic!("{error}")).trim_end());
    }
    // The helpers of this test write what the server writes.
    let copy = fixture.copy();
    write_entries(&copy, &fixture.lines);
    write_hashes(&copy, &fixture.lines);
    copy.verify(&[]).unwrap_or_else(|error| panic!("{error}"));

    let changed = 100;
    let change = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = fixture.lines.clone();
        change(&mut lines);
        assert_ne!(lines, fixture.lines);
        lines
    };
    let manipulations: [(&str, Vec<Vec<u8>>); 5] = [
        ("a byte flipped", change(&|lines| flip(lines, changed))),
        ("an entry removed", change(&|lines| drop(lines.remove(changed)))),
        ("two entries swapped", change(&|lines| lines.swap(changed, changed + 1))),
        ("an entry repeated", change(&|lines| lines.insert(changed, lines[changed].clone()))),
        ("the end cut off", change(&|lines| lines.truncate(changed))),
    ];
    for (name, lines) in &manipulations {
        let copy = fixture.copy();
        write_entries(&copy, lines);
        let found = assert_found(&copy, name, python, &[]);
        // The repeated entry itself is as it was; the one after it is not.
        let first = if *name == "an entry repeated" { changed + 1 } else { changed };
        assert!(found.contains(&format!("entry {first}:")), "{name}: {found}");
        println!(
            "{name}, in the entries: {}",
            found.lines().next().unwrap_or_default().rsplit_once("verify: ").map_or("", |(_, found)| found)
        );

        let copy = fixture.copy();
        write_entries(&copy, lines);
        write_hashes(&copy, lines);
        let found = assert_found(&copy, name, python, &[]);
        println!(
            "{name}, in every file: {}",
            found.lines().next().unwrap_or_default().rsplit_once("verify: ").map_or("", |(_, found)| found)
        );
    }
}

/// Files that were changed alike agree with each other, so only checkpoints that were stored elsewhere tell where.
#[test]
fn change_of_every_file_is_located_by_stored_checkpoints() {
    let fixture = Fixture::shared();
    let latest = fixture.log.home.path().join("latest");
    fs::write(&latest, fixture.log.checkpoint()).expect("a copy");
    let sizes = [&fixture.earlier, &latest].map(|file| size(&fs::read_to_string(file).expect("a checkpoint")));
    let [earlier, all] = sizes;
    let stored = ["--checkpoint", text(&fixture.earlier), "--checkpoint", text(&latest)];
    let cannot = |end: usize, needed: &str| {
        format!(
            "before entry {end} and cannot be located, because all files of the log agree with each other: {needed} narrow it"
        )
    };
    for (changed, arguments, expected) in [
        (100, &[][..], cannot(all, "checkpoints that were stored elsewhere")),
        (100, &stored, format!("between entry {earlier} and entry {}", all - 1)),
        (10, &stored, cannot(earlier, "earlier checkpoints")),
    ] {
        let (copy, mut lines) = (fixture.copy(), fixture.lines.clone());
        flip(&mut lines, changed);
        write_entries(&copy, &lines);
        write_hashes(&copy, &lines);
        let found = assert_found(&copy, "a byte flipped in every file", None, arguments);
        assert!(found.contains(&format!("the first changed entry is {expected}")), "{changed}: {found}");
    }
}

#[test]
fn each_file_of_a_log_is_checked() {
    let fixture = Fixture::shared();
    let python = audit_python("finding changed files with another verifier");
    let last_tile = format!("tile/0/001.p/{}", size(&fixture.log.checkpoint()) - 256);
    for file in ["tile/0/000", &last_tile, "tile/entries/000", "tile/1/000.p/1", "checkpoint"] {
        for flip in [0, 40] {
            let copy = fixture.copy();
            let path = copy.directory.join(file);
            let mut bytes = fs::read(&path).expect("a file");
            let position = flip % bytes.len();
            bytes[position] ^= 1;
            fs::write(&path, bytes).expect("the file is written");
            let found = assert_found(&copy, file, python.as_deref(), &[]);
            assert!(found.contains(&format!("{file}: ")), "{file}: {found}");
            println!("{file}, byte {position}: {}", found.lines().next().unwrap_or_default());
        }
        let copy = fixture.copy();
        fs::remove_file(copy.directory.join(file)).expect("it is removed");
        let found = copy.verify(&[]).expect_err(file);
        println!("{file} removed: {}", found.lines().next().unwrap_or_default());
    }
    // Every file of the journal, in the entry and in the values.
    for (index, file) in segments(&fixture.log.directory).iter().enumerate() {
        let name = file.file_name().expect("a name");
        for (from, to) in
            [("\"time\":\"2", "\"time\":\"3"), ("\"value\":\"", "\"value\":\"x"), ("\"salt\":\"", "\"salt\":\"f")]
        {
            let copy = fixture.copy();
            let path = copy.directory.join("journal").join(name);
            let before = fs::read_to_string(&path).expect("text");
            let after = before.replacen(from, to, 1);
            assert_ne!(before, after);
            fs::write(&path, after).expect("the file is written");
            let found = copy.verify(&[]).expect_err(from);
            assert!(found.contains("entry ") && found.contains(name.to_str().expect("text")), "file {index}: {found}");
        }
        let copy = fixture.copy();
        fs::remove_file(copy.directory.join("journal").join(name)).expect("it is removed");
        let verified = copy.verify(&[]);
        // Entries whose file was moved away are still in the bundles.
        assert_eq!(verified.is_ok(), index == 0, "file {index}: {verified:?}");
    }
    // A full tile has replaced the narrower ones.
    let exists = |file: &str| fixture.log.directory.join(file).exists();
    assert!(exists("tile/0/000") && !exists("tile/0/000.p"));
    // Only the bundles have these entries.
    let last = format!("tile/entries/001.p/{}", size(&fixture.log.checkpoint()) - 256);
    for bundle in ["tile/entries/000", &last] {
        let copy = fixture.copy();
        fs::remove_dir_all(copy.directory.join("journal")).expect("it is removed");
        let path = copy.directory.join(bundle);
        let mut bytes = fs::read(&path).expect("a bundle");
        let time = bytes.windows(8).position(|text| text == b"\"time\":\"").expect("an entry with a time");
        bytes[time + 8] = b'3';
        fs::write(&path, bytes).expect("the file is written");
        let found = copy.verify(&[]).expect_err("it was changed");
        assert!(found.contains("entry ") && found.contains(bundle), "{found}");
    }
}

#[test]
fn replaced_checkpoint_is_found() {
    let fixture = Fixture::shared();
    // A log of another key, and one of the same key. They are made at once, because that is mostly waiting.
    let log = Log::new();
    for (from, to) in [(fixture.log.key(), log.key()), (fixture.log.public_key(), log.public_key())] {
        fs::copy(from, to).expect("the key is copied");
    }
    let (other, of_same_key) = thread::scope(|scope| {
        let other = scope.spawn(Fixture::new);
        let of_same_key = Fixture::with_log(log);
        (other.join().expect("a log"), of_same_key)
    });
    let python = audit_python("finding a replaced checkpoint with another verifier");
    let python = python.as_deref();
    let latest = fixture.log.home.path().join("latest");
    fs::write(&latest, fixture.log.checkpoint()).expect("a copy");

    // By one of another key with the same name.
    let copy = fixture.copy();
    fs::write(copy.directory.join("checkpoint"), other.log.checkpoint()).expect("it is replaced");
    let found = assert_found(&copy, "another key", python, &[]);
    assert!(found.contains("no signature is of the key"), "{found}");

    // By an earlier one of this log, with everything after it cut off: a log that verifies by itself.
    let copy = fixture.copy();
    let earlier = fs::read_to_string(&fixture.earlier).expect("a checkpoint");
    let size = size(&earlier);
    fs::write(copy.directory.join("checkpoint"), &earlier).expect("it is replaced");
    write_entries(&copy, &fixture.lines[..size]);
    write_hashes(&copy, &fixture.lines[..size]);
    copy.verify(&["--checkpoint", text(&fixture.earlier)]).unwrap_or_else(|error| panic!("{error}"));
    let found = assert_found(&copy, "cut off with its checkpoint", python, &["--checkpoint", text(&latest)]);
    assert!(found.contains("the end of the log was cut off") && found.contains(&format!("entry {size}:")), "{found}");

    // By an earlier one alone.
    let copy = fixture.copy();
    fs::write(copy.directory.join("checkpoint"), &earlier).expect("it is replaced");
    let found = copy.verify(&["--checkpoint", text(&latest)]).expect_err("an earlier checkpoint");
    assert!(found.contains("was replaced by one of"), "{found}");

    // Another log with the same key and as many entries does not contain the stored checkpoint.
    let found = assert_found(&of_same_key.log, "another log", python, &["--checkpoint", text(&fixture.earlier)]);
    assert!(found.contains(&format!("the first {size} entries of the log are not those that it has")), "{found}");

    let removed = fixture.copy();
    fs::remove_file(removed.directory.join("checkpoint")).expect("it is removed");
    let found = removed.verify(&[]).expect_err("no checkpoint");
    assert!(found.contains("there is no checkpoint"), "{found}");
}

#[test]
fn server_does_not_continue_a_log_that_was_cut_off_or_changed() {
    let fixture = Fixture::shared();
    let start = |log: &Log| {
        let mut setup = Setup::jwt();
        setup.settings = log.settings();
        let directory = TempDir::new().expect("a directory");
        crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
        setup.try_start_in(directory)
    };
    let with_key = |copy: &Log| assert!(fs::copy(fixture.log.key(), copy.key()).is_ok());
    let copy = fixture.copy();
    with_key(&copy);
    write_entries(&copy, &fixture.lines[..100]);
    let output = start(&copy).err().expect("it was cut off");
    assert!(output.contains("entry 100 of the journal") && output.contains("audit verify"), "{output}");

    // Without its tiles, the journal is compared with the checkpoint, and the tiles are written again.
    let copy = fixture.copy();
    with_key(&copy);
    fs::remove_dir_all(copy.directory.join("tile")).expect("the tiles are removed");
    stop(start(&copy).unwrap_or_else(|output| panic!("{output}")));
    copy.verify(&["--checkpoint", text(&fixture.earlier)]).unwrap_or_else(|error| panic!("{error}"));
    // So they are if they were changed.
    let copy = fixture.copy();
    with_key(&copy);
    for tile in files(&copy.directory.join("tile/0")) {
        let mut hashes = fs::read(&tile).expect("a tile");
        *hashes.last_mut().expect("a hash") ^= 1;
        fs::write(&tile, hashes).expect("the tile is changed");
    }
    assert!(copy.verify(&[]).is_err());
    stop(start(&copy).unwrap_or_else(|output| panic!("{output}")));
    copy.verify(&["--checkpoint", text(&fixture.earlier)]).unwrap_or_else(|error| panic!("{error}"));
    let copy = fixture.copy();
    with_key(&copy);
    fs::remove_dir_all(copy.directory.join("tile")).expect("the tiles are removed");
    let first = segments(&copy.directory)[0].clone();
    let changed = fs::read_to_string(&first).expect("text").replacen("\"time\":\"2", "\"time\":\"3", 1);
    fs::write(&first, changed).expect("the journal is changed");
    let output = start(&copy).err().expect("it was changed");
    assert!(output.contains("does not match the checkpoint"), "{output}");

    // A checkpoint that cannot be read is not treated as a missing one.
    let copy = fixture.copy();
    with_key(&copy);
    fs::remove_file(copy.directory.join("checkpoint")).expect("it is removed");
    fs::create_dir(copy.directory.join("checkpoint")).expect("a directory in its place");
    let output = start(&copy).err().expect("it cannot be read");
    assert!(output.contains("audit/checkpoint"), "{output}");
}

#[test]
fn last_line_can_be_incomplete_only_after_the_checkpoint() {
    let fixture = Fixture::shared();
    let last = |log: &Log| segments(&log.directory).pop().expect("a file");
    let copy = fixture.copy();
    let mut bytes = fs::read(last(&copy)).expect("the journal");
    bytes.extend_from_slice(b"{\"event\":");
    fs::write(last(&copy), bytes).expect("the file is written");
    let verified = copy.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains("the last line is incomplete"), "{verified}");
    let copy = fixture.copy();
    let bytes = fs::read(last(&copy)).expect("the journal");
    fs::write(last(&copy), &bytes[..bytes.len() - 1]).expect("the file is written");
    let found = copy.verify(&[]).expect_err("the checkpoint covers the line");
    assert!(found.contains("the line has no end"), "{found}");
}
