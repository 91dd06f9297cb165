//! How long the commands of the project's README take on a machine that has nothing of it, and a release build.

use crate::report::Line;
use crate::server::root;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// The README's two commands, one after the other as a newcomer calls them.
const README: [&[&str]; 2] = [&["run", "--", "demo"], &["test"]];
const RELEASE: &[&str] = &["build", "--release"];

/// What is set for the builds of this workspace, or makes tests ask for more than stable Rust and a C compiler.
const NOT_THEIRS: [&str; 7] =
    ["CARGO_TARGET_DIR", "RUSTFLAGS", "CI", "EXHAUSTIVE", "AGNO_PYTHON", "AGNO_DATABASE", "SCHEMATHESIS_PYTHON"];

/// Times them on a fresh clone of what is committed, with no crate downloaded and nothing built. The release build has a
/// clone of its own: it is not to find what the others left.
pub fn measure(folder: &Path, say: impl Fn(&str)) -> Result<Vec<Line>> {
    let mut took = Vec::new();
    let newcomer = Newcomer::new(folder)?;
    for arguments in README {
        say(&format!("from nothing: cargo {}", arguments.join(" ")));
        took.push(newcomer.minutes(arguments)?);
    }
    drop(newcomer);
    let newcomer = Newcomer::new(folder)?;
    say("from nothing: cargo build --release");
    let release = newcomer.minutes(RELEASE)?;
    let parts: Vec<String> =
        README.iter().zip(&took).map(|(each, took)| format!("cargo {} {took:.2} min", each.join(" "))).collect();
    let whole = "crates downloaded and all built; once".to_owned();
    Ok(vec![
        Line::at_most(
            "the README's two commands, from nothing",
            took.iter().sum(),
            6.0,
            "min",
            format!("{}; {whole}", parts.join(", ")),
        ),
        Line::at_most("a release build, from nothing", release, 8.0, "min", whole),
    ])
}

/// A clone and a home of cargo's that nobody has used.
struct Newcomer {
    folder: TempDir,
}

impl Newcomer {
    fn new(folder: &Path) -> Result<Self> {
        let folder = TempDir::new_in(folder)?;
        let cloned =
            Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(folder.path().join("clone")).status()?;
        if !cloned.success() {
            bail!("git clone of {} failed", root().display());
        }
        // The registry that this machine asks, if it is another than the usual one.
        let home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        fs::create_dir(folder.path().join("cargo"))?;
        if let Some(config) = home.map(|home| home.join("config.toml")).filter(|file| file.is_file()) {
            fs::copy(config, folder.path().join("cargo/config.toml"))?;
        }
        Ok(Self { folder })
    }

    /// Minutes that cargo takes with these arguments.
    fn minutes(&self, arguments: &[&str]) -> Result<f64> {
        let log = self.folder.path().join("log");
        let output = File::create(&log)?;
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(self.folder.path().join("clone"));
        cargo.env("CARGO_HOME", self.folder.path().join("cargo")).stdout(output.try_clone()?).stderr(output);
        for name in NOT_THEIRS {
            cargo.env_remove(name);
        }
        let begun = Instant::now();
        let ended = cargo.status().context("cargo cannot be called")?;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        if !ended.success() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            bail!("{cargo:?} failed: {}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        Ok(minutes)
    }
}
