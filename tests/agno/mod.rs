//! The real Agno on the same file: it made the database, and after a deletion it no longer finds the record. And the real
//! Agno beside the host, in `differential`.

mod differential;

use crate::support::optional::agno_python;
use crate::support::server::Setup;
use crate::support::token::{admin, user};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Runs `learnings.py` beside this file and returns what it prints.
fn learnings(python: &Path, command: &str, file: &Path) -> String {
    let script = crate::support::database::project("tests/agno/learnings.py");
    let output = Command::new(python).arg(script).arg(command).arg(file).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn ids(python: &Path, file: &Path) -> BTreeSet<String> {
    serde_json::from_str(&learnings(python, "ids", file)).expect("a list of ids")
}

#[test]
fn agno_no_longer_finds_what_was_deleted_and_finds_the_rest() {
    let Some(python) = agno_python("reading a database back with the real Agno") else { return };
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("main.db");
    learnings(&python, "fill", &file);
    let mut expected = ids(&python, &file);
    assert_eq!(expected.len(), crate::support::database::RECORDS);

    let host = Setup::jwt().start_in(folder);
    for (id, encoded, token) in [
        ("user_profile_alice@example.com", "user_profile_alice@example.com", user("alice")),
        ("memory of alice / Zürich 🦀", "memory%20of%20alice%20%2F%20Z%C3%BCrich%20%F0%9F%A6%80", user("alice")),
        ("entity_global_person_ada", "entity_global_person_ada", admin()),
        ("session_context_shared", "session_context_shared", admin()),
    ] {
        host.delete(&format!("/learnings/{encoded}"), Some(&token)).is_deleted();
        assert!(expected.remove(id), "{id} was there");
    }
    // Both have the file open; Agno reads what is in it now.
    assert_eq!(ids(&python, &file), expected);
    assert_eq!(host.database("main").ids(), expected);
}

#[test]
fn agno_writes_into_a_table_that_the_host_made() {
    let Some(python) = agno_python("writing into a table of the host with the real Agno") else { return };
    let host = Setup::jwt().start_in(tempfile::TempDir::new().expect("a folder"));
    let database = host.database("main");
    learnings(&python, "fill", database.path());
    assert_eq!(ids(&python, database.path()).len(), crate::support::database::RECORDS);
    host.delete("/learnings/decision_1", Some(&user("alice"))).is_deleted();
    assert!(!ids(&python, database.path()).contains("decision_1"));
}
