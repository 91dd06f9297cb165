//! The real Agno on the same database, and differential tests against the real Agno.

mod deployments;
mod differential;

use crate::support::database::repository_path;
use crate::support::optional::agno_python;
use crate::support::server::Setup;
use crate::support::token::{admin, user};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script of the repository with this JSON on its standard input, and returns its output.
///
/// # Panics
/// If the script fails.
fn run_script(python: &Path, script: &str, arguments: &[&Path], input: Value) -> String {
    let mut script = Command::new(python)
        .arg(repository_path(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut stdin = script.stdin.take().expect("a pipe");
    stdin.write_all(input.to_string().as_bytes()).expect("the input can be written");
    drop(stdin);
    let output = script.wait_with_output().expect("the script ends");
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Runs `learnings.py` and returns its output.
fn run_learnings_script(python: &Path, command: &str, file: &Path) -> String {
    let script = repository_path("tests/agno/learnings.py");
    let output = Command::new(python).arg(script).arg(command).arg(file).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn ids(python: &Path, file: &Path) -> BTreeSet<String> {
    serde_json::from_str(&run_learnings_script(python, "ids", file)).expect("a list of ids")
}

#[test]
fn agno_finds_only_the_remaining_records() {
    let Some(python) = agno_python("reading a database with the real Agno") else { return };
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("main.db");
    run_learnings_script(&python, "fill", &file);
    let mut expected = ids(&python, &file);
    assert_eq!(expected.len(), crate::support::database::RECORD_COUNT);

    let server = Setup::jwt().start_in(directory);
    for (id, encoded, token) in [
        ("user_profile_alice@example.com", "user_profile_alice@example.com", user("alice")),
        ("memory of alice / Zürich 🦀", "memory%20of%20alice%20%2F%20Z%C3%BCrich%20%F0%9F%A6%80", user("alice")),
        ("entity_global_person_ada", "entity_global_person_ada", admin()),
        ("session_context_shared", "session_context_shared", admin()),
    ] {
        server.delete(&format!("/learnings/{encoded}"), Some(&token)).assert_deleted();
        assert!(expected.remove(id), "{id} is in the database");
    }
    // Agno reads the file while the server has it open.
    assert_eq!(ids(&python, &file), expected);
    assert_eq!(server.database("main").ids(), expected);
}

#[test]
fn agno_writes_into_a_table_created_by_the_server() {
    let Some(python) = agno_python("writing into a table of the server with the real Agno") else { return };
    let server = Setup::on_created_database().start_in(tempfile::TempDir::new().expect("a directory"));
    let database = server.database("main");
    run_learnings_script(&python, "fill", database.path());
    assert_eq!(ids(&python, database.path()).len(), crate::support::database::RECORD_COUNT);
    server.delete("/learnings/decision_1", Some(&user("alice"))).assert_deleted();
    assert!(!ids(&python, database.path()).contains("decision_1"));
}
