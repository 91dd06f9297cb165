//! The real Agno beside this host, request by request.

use crate::harness::database::project;
use crate::harness::host::Setup;
use crate::harness::optional::agno_python;
use crate::harness::token::SECRET;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const KEY: &str = "the key of this deployment";

/// Every configuration: its host, and how it is configured, for the script beside this file.
fn configurations() -> Vec<(Setup, Value)> {
    let mut all = Vec::new();
    for databases in [vec!["main"], vec!["main", "second"]] {
        let mut add = |mode: &str, setup: Setup, secret: &str, enforce: bool, isolation: bool, admin_scope: &str| {
            let authorization =
                format!("enforce_scopes = {enforce}\nuser_isolation = {isolation}\nadmin_scope = \"{admin_scope}\"\n");
            let described = json!({ "mode": mode, "secret": secret, "enforce": enforce, "isolation": isolation,
                "admin_scope": admin_scope });
            all.push((Setup { databases: databases.clone(), authorization, ..setup }, described));
        };
        add("none", Setup::open(), "", true, true, "agent_os:admin");
        add("security-key", Setup::security_key(KEY), KEY, true, true, "agent_os:admin");
        for (enforce, isolation) in [(true, true), (true, false), (false, true), (false, false)] {
            for admin_scope in ["agent_os:admin", "learnings:root"] {
                add("jwt", Setup::jwt(), SECRET, enforce, isolation, admin_scope);
            }
        }
    }
    all
}

#[test]
fn agno_answers_the_same_but_for_the_differences_that_are_listed() {
    let Some(python) = agno_python("comparing answers with the real Agno's") else { return };
    let mut described = Vec::new();
    let mut hosts = Vec::new();
    for (setup, mut description) in configurations() {
        let names = setup.databases.clone();
        let host = setup.start();
        let file = |name: &str| host.folder.path().join(format!("{name}.db")).display().to_string();
        description["address"] = json!(host.address.to_string());
        description["databases"] = names.iter().map(|name| ((*name).to_owned(), json!(file(name)))).collect();
        description["fresh"] = json!(project("tests/agno/learnings.db"));
        described.push(description);
        hosts.push(host);
    }
    let mut script = Command::new(python)
        .arg(project("tests/agno/differential.py"))
        .arg(project("host/DIFFERENCES.md"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut stdin = script.stdin.take().expect("a pipe");
    stdin.write_all(Value::from(described).to_string().as_bytes()).expect("it can be written");
    drop(stdin);
    let output = script.wait_with_output().expect("it ends");
    println!("{}", String::from_utf8_lossy(&output.stdout).trim_end());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
