//! The README's examples do what it says. (Its Rust example is a documentation test of the library.)

use crate::harness::database::{AgnoDatabase, project};
use crate::harness::host::{Setup, command};
use crate::harness::optional::tools;
use crate::harness::token::SECRET;
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
    if !tools(&["bash", "curl", "openssl"], "the README's run with curl") {
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
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("204 No Content"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!database.has("user_memory_7"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("deleted-as-owner"), "the audit record is in the log");
}

#[test]
fn every_key_of_the_configuration_is_there_and_its_defaults_are_the_defaults() {
    let text = block("toml");
    // What the example names must be there.
    let folder = TempDir::new().expect("a folder");
    fs::copy(project("guest/component/delete-learning.wasm"), folder.path().join("policy.wasm")).expect("the policy");
    let set = r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
    fs::write(folder.path().join("jwks.json"), set).expect("a key set");
    let file = folder.path().join("host.toml");
    let free = text.replace("127.0.0.1:7777", "127.0.0.1:0");
    fs::write(&file, &free).expect("the configuration");
    delete_learning::Config::read(&file, &|_| None).expect("the example is a configuration");

    // The sections that are all defaults say what the defaults are: without them nothing changes.
    let example: toml::Table = text.parse().expect("TOML");
    let limits: delete_learning::Limits = example["limits"].clone().try_into().expect("limits");
    assert_eq!(format!("{limits:?}"), format!("{:?}", delete_learning::Limits::default()));
    let wasi: delete_learning::Wasi = example["wasi"].clone().try_into().expect("what is granted of WASI");
    assert_eq!(wasi, delete_learning::Wasi::default());
    assert_eq!(example["wasi"].as_table().map(toml::Table::len), Some(format!("{wasi:?}").matches(": ").count()));
    let count = format!("{limits:?}").matches(": ").count();
    assert_eq!(example["limits"].as_table().map(toml::Table::len), Some(count), "every limit is listed");

    fs::write(&file, format!("{free}\nnonsense = 1\n")).expect("the configuration");
    assert!(!command(&file).output().expect("the binary runs").status.success());
}

#[test]
fn the_shipped_policy_runs_from_a_file_too() {
    let plugin = project("guest/component/delete-learning.wasm").canonicalize().expect("the component");
    let host = Setup { plugin: Some(plugin.display().to_string()), ..Setup::jwt() }.start();
    let token = crate::harness::token::user("alice");
    host.delete("/learnings/decision_1", Some(&token)).is_deleted();
    assert!(!host.log().contains(SECRET));
}
