//! The duration of the README's commands and of a release build, on a fresh clone.

use crate::report::Line;
use crate::server::root;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// The README's two commands, in order.
const README: [&[&str]; 2] = [&["run", "--", "demo"], &["test"]];
const RELEASE: &[&str] = &["build", "--release"];

/// Variables that affect the build, or that make tests need more than stable Rust and a C compiler.
const REMOVED_VARIABLES: [&str; 7] =
    ["CARGO_TARGET_DIR", "RUSTFLAGS", "CI", "EXHAUSTIVE", "AGNO_PYTHON", "AGNO_DATABASE", "SCHEMATHESIS_PYTHON"];

/// Times the commands on a fresh clone of the committed files, with no crate downloaded and nothing built. The release
/// build has its own clone, so that it does not reuse anything.
pub fn measure(folder: &Path, print_progress: impl Fn(&str)) -> Result<Vec<Line>> {
    let mut took = Vec::new();
    let fresh_clone = FreshClone::new(folder)?;
    for arguments in README {
        print_progress(&format!("from nothing: cargo {}", arguments.join(" ")));
        took.push(fresh_clone.minutes(arguments)?);
    }
    drop(fresh_clone);
    let fresh_clone = FreshClone::new(folder)?;
    print_progress("from nothing: cargo build --release");
    let release = fresh_clone.minutes(RELEASE)?;
    let parts: Vec<String> =
        README.iter().zip(&took).map(|(each, took)| format!("cargo {} {took:.2} min", each.join(" "))).collect();
    let whole = "crates downloaded and all built; once".to_owned();
    Ok(vec![
        Line::at_most(
            "the README's two commands, from nothing",
            "",
            took.iter().sum(),
            6.0,
            "min",
            format!("{}; {whole}", parts.join(", ")),
        ),
        Line::at_most("a release build, from nothing", "", release, 8.0, "min", whole),
    ])
}

/// A fresh clone with an empty cargo home.
struct FreshClone {
    folder: TempDir,
}

impl FreshClone {
    fn new(folder: &Path) -> Result<Self> {
        let folder = TempDir::new_in(folder)?;
        let cloned =
            Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(folder.path().join("clone")).status()?;
        if !cloned.success() {
            bail!("git clone of {} failed", root().display());
        }
        // The configuration of cargo, which can name another registry.
        let home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        fs::create_dir(folder.path().join("cargo"))?;
        if let Some(config) = home.map(|home| home.join("config.toml")).filter(|file| file.is_file()) {
            fs::copy(config, folder.path().join("cargo/config.toml"))?;
        }
        Ok(Self { folder })
    }

    /// Runs cargo with these arguments, and returns the duration in minutes.
    fn minutes(&self, arguments: &[&str]) -> Result<f64> {
        let log = self.folder.path().join("log");
        let output = File::create(&log)?;
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(self.folder.path().join("clone"));
        cargo.env("CARGO_HOME", self.folder.path().join("cargo")).stdout(output.try_clone()?).stderr(output);
        for name in REMOVED_VARIABLES {
            cargo.env_remove(name);
        }
        let begun = Instant::now();
        let ended = cargo.status().context("cannot run cargo")?;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        if !ended.success() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            bail!("{cargo:?} failed: {}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        Ok(minutes)
    }
}
