//! Tests of the audit log: that it is complete after every failure, that each change of it is found, and that it reveals
//! nothing.
//!
//! A verifier of somebody else's (`verifier.py`) checks the same logs, if `AUDIT_PYTHON` names a Python with it.

mod commands;
mod crash;
mod deletions;
mod durability;
mod failures;
mod privacy;
mod progress;
mod strace;
mod tampering;
mod throughput;

use crate::support::database::repository_path;
use crate::support::server::TestServer;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The origin of the logs of these tests.
const ORIGIN: &str = "example.com/deletions";

/// A log and its key, in a temporary directory.
struct Log {
    home: TempDir,
    directory: PathBuf,
}

impl Log {
    fn new() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        let directory = home.path().join("audit");
        Self::in_directory(home, directory)
    }

    /// A log in this directory, with a new key in a temporary directory.
    fn in_directory(home: TempDir, directory: PathBuf) -> Self {
        let log = Self { home, directory };
        let made = run(&["keygen", "--origin", ORIGIN, text(&log.key())]);
        assert!(made.status.success(), "{made:?}");
        log
    }

    fn key(&self) -> PathBuf {
        self.home.path().join("audit.key")
    }

    fn public_key(&self) -> PathBuf {
        self.home.path().join("audit.key.pub")
    }

    /// The settings of a server with this log. Files are small, so that there are several.
    fn settings(&self) -> String {
        let mut settings = String::new();
        for (name, value) in [
            ("directory", Value::from(text(&self.directory))),
            ("signing_key_file", Value::from(text(&self.key()))),
            ("max_segment_bytes", Value::from(100_000)),
            ("max_refusal_bytes", Value::from(50_000)),
            ("checkpoint_interval_seconds", Value::from(1)),
        ] {
            writeln!(settings, "audit.{name} = {value}").expect("text can be written");
        }
        settings
    }

    /// Runs a command of `audit` on this log with its public key.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let log = ["--directory", text(&self.directory), "--public-key"];
        let public_key = self.public_key();
        run(&[&[command], &log[..], &[text(&public_key)], arguments].concat())
    }

    fn verify(&self, arguments: &[&str]) -> Result<String, String> {
        result(&self.run("verify", arguments))
    }

    /// Verifies the log with the verifier of somebody else.
    fn verify_independently(&self, python: &Path, arguments: &[&str]) -> Result<String, String> {
        let (script, key) = (repository_path("tests/audit/verifier.py"), self.public_key());
        let log = [text(&script), "log", text(&self.directory), text(&key)];
        result(&Command::new(python).args([&log, arguments].concat()).output().expect("Python runs"))
    }

    /// Returns the entries with their values.
    fn show(&self, arguments: &[&str]) -> Vec<Value> {
        let shown = run(&[&["show", "--json", "--directory", text(&self.directory)], arguments].concat());
        let shown = result(&shown).unwrap_or_else(|error| panic!("{error}"));
        shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Waits until an entry has these members, and returns it.
    fn wait_for(&self, members: &[(&str, &str)]) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let entries = self.show(&[]);
            if let Some(entry) =
                entries.iter().rev().find(|entry| members.iter().all(|(name, value)| entry[name] == *value))
            {
                return entry.clone();
            }
            assert!(Instant::now() < end, "no entry has {members:?}: {entries:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes a receipt of a request, and returns what its verification prints.
    fn verified_receipt(&self, request_id: &str) -> String {
        let file = self.home.path().join("receipt.json");
        let made = result(&self.run("receipt", &[request_id, "--output", text(&file)]));
        made.unwrap_or_else(|error| panic!("{error}"));
        let verified = run(&["verify-receipt", "--public-key", text(&self.public_key()), text(&file)]);
        result(&verified).unwrap_or_else(|error| panic!("{error}"))
    }

    fn checkpoint(&self) -> String {
        std::fs::read_to_string(self.directory.join("checkpoint")).expect("a checkpoint")
    }
}

/// Ends the server as an operator does, so that it closes its log.
fn stop(mut server: TestServer) {
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.log());
}

/// Runs a command of `audit`.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("audit").args(arguments).output().expect("the binary runs")
}

/// Returns the standard output of a command, or the standard error of one that failed.
fn result(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path of a temporary directory is UTF-8")
}
