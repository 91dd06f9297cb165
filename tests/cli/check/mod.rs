//! `delete-learning check`.

mod explain;
mod fixtures;
mod groups;
mod own_cases;
mod refusals;
mod with_config;

use crate::support::database::repository_path;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("check").args(arguments).output().expect("the binary runs")
}

/// The exit code and the standard output.
fn check_text(arguments: &[&str]) -> (Option<i32>, String) {
    let output = check(arguments);
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

/// The exit code and the report.
fn check_json(arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--format", "json"]).collect();
    let output = check(&arguments);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), report)
}

/// Why a component cannot be loaded, and the counts of a report.
fn summary(report: &Value) -> String {
    let components = report["components"].as_array().expect("components");
    let reasons: Vec<&Value> = components.iter().map(|component| &component["reason"]).collect();
    format!("{reasons:?}, {}", report["counts"])
}

fn default_policy() -> String {
    text(&repository_path("guest/policy/component/delete-learning.wasm"))
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path that is text").to_owned()
}

/// A directory with files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("the file is written");
        text(&path)
    }

    /// A configuration file that begins with these lines.
    fn config(&self, lines: &str) -> String {
        let text =
            format!("{lines}\n[[databases]]\nid = \"main\"\nurl = \"sqlite:agno.db\"\n[auth]\nmode = \"none\"\n");
        self.write("delete-learning.toml", text)
    }

    fn directory(&self) -> String {
        text(self.0.path())
    }
}
