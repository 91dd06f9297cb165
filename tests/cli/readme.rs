//! The README's shell example and the example configuration work. (The README's Rust example is a documentation test.)

use crate::support::database::{AgnoDatabase, project};
use crate::support::optional::tools;
use crate::support::server::{Setup, command};
use crate::support::token::SECRET;
use delete_learning::{Limits, Wasi};
use delete_learning_server::Config;
use delete_learning_server::http::HttpConfig;
use delete_learning_server::storage::postgres::PostgresOptions;
use delete_learning_server::storage::sqlite::SqliteOptions;
use delete_learning_server::telemetry::LogConfig;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The text of the README's first block in this language.
fn block(language: &str) -> String {
    let readme = fs::read_to_string(project("README.md")).expect("the README");
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("such a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_real_run_deletes_the_record() {
    if !tools(&["bash", "timeout", "curl", "openssl"], "the README's run with curl") {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let database = AgnoDatabase::in_folder(folder.path(), "agno.db");
    database.insert("user_memory_7", Some("alice"));
    // Its port may be taken here.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let script = block("sh").replace("7777", &port.to_string()) + "\nkill %1; wait\n";
    let binaries = Path::new(env!("CARGO_BIN_EXE_delete-learning")).parent().expect("a folder");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").expect("a path"));
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("204 No Content"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!database.has("user_memory_7"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("deleted-as-owner"), "the audit record is in the log");
}

/// The example file with every commented key enabled.
fn every_key() -> String {
    let text = fs::read_to_string(project(EXAMPLE)).expect("the example file");
    let is_key = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).filter(is_key);
    lines.map(|line| format!("{line}\n")).collect()
}

const EXAMPLE: &str = "host/server/delete-learning.example.toml";

#[test]
fn example_configuration_is_valid_and_lists_every_key_with_its_default() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("delete-learning.toml");
    let text = fs::read_to_string(project(EXAMPLE)).expect("the example file").replace("127.0.0.1:7777", "127.0.0.1:0");
    fs::write(&file, &text).expect("the configuration");
    Config::read(&file, &|_| None).expect("the example is a valid configuration");
    fs::write(&file, every_key()).expect("the configuration");
    Config::read(&file, &|_| None).expect("so is the example with every key");
    let all: toml::Table = every_key().parse().expect("TOML");

    assert_defaults::<HttpConfig>(&all, "server");
    assert_defaults::<SqliteOptions>(&all, "sqlite");
    assert_defaults::<PostgresOptions>(&all, "postgres");
    assert_defaults::<Limits>(&all, "sandbox");
    assert_defaults::<Wasi>(&all, "wasi");
    assert_defaults::<LogConfig>(&all, "log");

    fs::write(&file, format!("{text}\nnonsense = 1\n")).expect("the configuration");
    assert!(!command(&file).output().expect("the binary runs").status.success());
}

#[test]
fn configuration_in_the_readme_is_valid() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("delete-learning.toml");
    fs::write(&file, block("toml")).expect("the configuration");
    Config::read(&file, &|_| None).expect("the README's configuration is valid");
}

/// The section has every key, with its default.
fn assert_defaults<T: serde::de::DeserializeOwned + Default + std::fmt::Debug>(all: &toml::Table, section: &str) {
    let section = all[section].as_table().expect("a section");
    let default = format!("{:?}", T::default());
    assert_eq!(format!("{:?}", section.clone().try_into::<T>().expect("its type")), default);
    assert_eq!(section.len(), default.matches(": ").count(), "{section:?}");
}

#[test]
fn default_policy_runs_from_a_file() {
    let policy = project("guest/policy/component/delete-learning.wasm").canonicalize().expect("the component");
    let host = Setup { policy: Some(policy.display().to_string()), ..Setup::jwt() }.start();
    let token = crate::support::token::user("alice");
    host.delete("/learnings/decision_1", Some(&token)).is_deleted();
    assert!(!host.log().contains(SECRET));
}
