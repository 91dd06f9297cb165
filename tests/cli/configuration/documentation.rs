//! The examples of `host/server/CONFIGURATION.md`.

use super::serve;
use crate::cli::documentation::code_blocks;
use crate::support::optional::has_tools;
use crate::support::server::server_command;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The block of this language.
fn block(language: &str) -> String {
    let blocks = code_blocks("host/server/CONFIGURATION.md");
    let mut found = blocks.into_iter().filter(|(name, _)| name == language).map(|(_, text)| text);
    found.next().expect("a block")
}

#[test]
fn configuration_example_prints_the_documented_values() {
    if !has_tools(&["bash"], "the example of CONFIGURATION.md") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("security-key"), "a key\n").expect("the key");
    // The server's own command has the environment without variables that it reads.
    let server = server_command();
    let binaries = Path::new(server.get_program()).parent().expect("a directory");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").expect("a path"));
    let output =
        Command::new("bash").args(["-c", &block("sh")]).current_dir(directory.path()).env("PATH", path).output();
    let output = output.expect("bash runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["listen = \"0.0.0.0:7777\"", "max_connections = 1024", "url = \"sqlite:agno.db\""] {
        assert!(stdout.lines().any(|found| found.starts_with(line)), "{line}: {stdout}");
    }
}

#[test]
fn systemd_example_sets_keys_that_exist() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("security-key"), "a key\n").expect("the key");
    fs::write(directory.path().join("database-url"), "sqlite:agno.db\n").expect("the URL");
    let unit = block("ini").replace("%d", &directory.path().display().to_string());
    let variables: Vec<_> =
        unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('=')).collect();
    assert_eq!(variables.len(), 2, "{unit}");
    let file = "[[databases]]\nid = \"main\"\n[auth]\nmode = \"security-key\"\n";
    serve(directory.path(), Some(file), &variables, &["--check"]).assert_valid();
}
