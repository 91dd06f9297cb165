//! The README's shell example and the example configuration. (The README's Rust example is a documentation test.)

use crate::support::database::{AgnoDatabase, repository_path};
use crate::support::optional::has_tools;
use crate::support::server::{Setup, serve_command};
use crate::support::token::SECRET;
use delete_learning::Limits;
use delete_learning_server::audit::SigningKey;
use delete_learning_server::auth::Authorization;
use delete_learning_server::http::HttpConfig;
use delete_learning_server::storage::postgres::PostgresOptions;
use delete_learning_server::storage::sqlite::SqliteOptions;
use delete_learning_server::telemetry::LogConfig;
use delete_learning_server::{Config, Environment};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Returns the README's first code block in this language.
fn code_block(language: &str) -> String {
    let readme = fs::read_to_string(repository_path("README.md")).expect("the README");
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("a code block");
    rest.split_once("```").expect("the end of the block").0.to_owned()
}

#[test]
fn readme_shell_example_deletes_the_record() {
    if !has_tools(&["bash", "timeout", "curl", "openssl"], "the README's shell example") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let database = AgnoDatabase::copy_to(directory.path(), "agno.db");
    database.insert("user_memory_7", Some("alice"));
    // The port of the example can be in use.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let script = code_block("sh").replace("7777", &port.to_string()) + "\nkill %1; wait\n";
    let binaries = Path::new(env!("CARGO_BIN_EXE_delete-learning")).parent().expect("a directory");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").expect("a path"));
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .current_dir(directory.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("204 No Content"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!database.contains("user_memory_7"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("deleted-as-owner"), "the audit event is in the log");
}

/// Returns the example file with every commented key enabled.
pub(super) fn example_with_every_key() -> String {
    let text = fs::read_to_string(repository_path(EXAMPLE)).expect("the example file");
    let is_key = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).filter(is_key);
    lines.map(|line| format!("{line}\n")).collect()
}

const EXAMPLE: &str = "host/server/delete-learning.example.toml";

#[test]
fn example_configuration_is_valid_and_lists_every_key_with_its_default() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("delete-learning.toml");
    let text = fs::read_to_string(repository_path(EXAMPLE))
        .expect("the example file")
        .replace("127.0.0.1:7777", "127.0.0.1:0");
    fs::write(&file, &text).expect("the configuration");
    Config::read(&file, &Environment::default()).expect("the example is a valid configuration");
    let (key, _) = SigningKey::generate("example.com/deletions").expect("a key");
    fs::write(directory.path().join("audit.key"), key).expect("the key");
    fs::write(&file, example_with_every_key()).expect("the configuration");
    let example =
        Config::read(&file, &Environment::default()).expect("the example with every key is a valid configuration");
    let all: toml::Table = example_with_every_key().parse().expect("TOML");
    let required = "[audit]\ndirectory = \"audit\"\nsigning_key_file = \"audit.key\"\n";
    fs::write(&file, format!("{text}\n{required}")).expect("the configuration");
    let default =
        Config::read(&file, &Environment::default()).expect("the example with an audit log is a valid configuration");
    let [example, default] = [example, default].map(|config| config.audit.expect("an audit log"));
    assert_eq!(example, default);
    assert_eq!(all["audit"].as_table().map(toml::Table::len), Some(8));

    assert_defaults::<HttpConfig>(&all, "server");
    assert_defaults::<SqliteOptions>(&all, "sqlite");
    assert_defaults::<PostgresOptions>(&all, "postgres");
    assert_defaults::<Limits>(&all, "sandbox");
    assert_defaults::<Authorization>(&all, "authorization");
    let log: LogConfig = all["log"].clone().try_into().expect("its type");
    assert_eq!(format!("{log:?}"), format!("{:?}", LogConfig::default()));
    assert_eq!(all["log"].as_table().map(toml::Table::len), Some(2));

    fs::write(&file, format!("{text}\nnonsense = 1\n")).expect("the configuration");
    assert!(!serve_command(&file).output().expect("the binary runs").status.success());
}

#[test]
fn readme_configuration_is_valid() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("delete-learning.toml");
    fs::write(&file, code_block("toml")).expect("the configuration");
    Config::read(&file, &Environment::default()).expect("the README's configuration is valid");
}

/// Asserts that the section has every key with its default.
fn assert_defaults<T: serde::de::DeserializeOwned + Default + std::fmt::Debug>(all: &toml::Table, section: &str) {
    let section = all[section].as_table().expect("a section");
    let default = format!("{:?}", T::default());
    assert_eq!(format!("{:?}", section.clone().try_into::<T>().expect("its type")), default);
    assert_eq!(section.len(), default.matches(": ").count(), "{section:?}");
}

#[test]
fn default_policy_runs_from_a_file() {
    let policy = repository_path("guest/policy/component/delete-learning.wasm").canonicalize().expect("the component");
    let server = Setup { policy: Some(policy.display().to_string()), ..Setup::jwt() }.start();
    let token = crate::support::token::user("alice");
    server.delete("/learnings/decision_1", Some(&token)).assert_deleted();
    assert!(!server.log().contains(SECRET));
}
