//! The real Agno beside this host, request by request.

use crate::support::database::project;
use crate::support::optional::agno_python;
use crate::support::server::Setup;
use crate::support::token::SECRET;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const KEY: &str = "the key of this deployment";

/// A configuration: its host, and how it is configured, for the script beside this file.
type Configuration = (Setup, Value);

/// Every way to weigh what callers hold, with one database and with two.
fn weighing() -> Vec<Configuration> {
    let mut all = Vec::new();
    for databases in [vec!["main"], vec!["main", "second"]] {
        let mut add = |mode: &str, setup: Setup, secret: &str, enforce: bool, isolation: bool, admin_scope: &str| {
            let authorization =
                format!("enforce_scopes = {enforce}\nuser_isolation = {isolation}\nadmin_scope = \"{admin_scope}\"\n");
            // Asked about every oddity: one of each mode, and one that does not ask for scopes.
            let is_whole = databases.len() == 1 && isolation && admin_scope == "agent_os:admin";
            let described = json!({ "mode": mode, "algorithm": "HS256", "secret": secret, "enforce": enforce,
                "isolation": isolation, "admin_scope": admin_scope, "accounts": "on", "about": "weighing",
                "whole": if is_whole { vec!["oddities"] } else { vec![] } });
            let auth = if mode == "none" { setup.auth } else { format!("{}{ACCOUNTS}", setup.auth) };
            all.push((Setup { databases: databases.clone(), authorization, auth, ..setup }, described));
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

/// Service accounts, asked for at every request.
const ACCOUNTS: &str = "[auth.service_accounts]\ndatabase = \"main\"\ncache_seconds = 0\n";

/// Every kind of key, as `tokens.py` made them in this folder: one of the configuration, or a set in a file. One
/// configuration pins audience and issuer, one knows no service accounts.
fn verifying(folder: &Path) -> Vec<Configuration> {
    let read = |name: String| std::fs::read_to_string(folder.join(name)).expect("a key");
    let mut all = Vec::new();
    let mut add = |algorithm: &str, accounts: &str, keys: String, described: Value| {
        // Asked about every token: of each algorithm that has both, the configuration whose key is one of a set.
        let is_whole = described.get("public").is_none() || described.get("jwks").is_some();
        let whole = if is_whole { vec!["tokens"] } else { vec![] };
        let mut more = json!({ "mode": "jwt", "algorithm": algorithm, "enforce": true, "isolation": true,
            "admin_scope": "agent_os:admin", "accounts": accounts, "about": "verifying", "whole": whole });
        more.as_object_mut().expect("an object").extend(described.as_object().expect("an object").clone());
        let accounts = if accounts == "on" { ACCOUNTS } else { "" };
        let auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\n{keys}\n{accounts}");
        all.push((Setup::with_auth(&auth), more));
    };
    for algorithm in ["RS256", "PS384", "ES256", "ES512", "EdDSA"] {
        let (secret, other) = (read(format!("{algorithm}.pem")), read(format!("{algorithm}.other.pem")));
        let public = read(format!("{algorithm}.pub"));
        let keys = format!("verification_keys = [{}]", Value::from(public.as_str()));
        add(algorithm, "on", keys, json!({ "secret": secret, "public": public }));
        let jwks = folder.join(format!("{algorithm}.jwks")).display().to_string();
        let keys = format!("jwks_file = {}", Value::from(jwks.as_str()));
        add(algorithm, "on", keys, json!({ "secret": secret, "public": public, "other": other, "jwks": jwks }));
    }
    let secret = "another secret, as long as the longest of these algorithms wants to have it";
    let keys = format!("verification_keys = [\"{secret}\"]");
    add("HS512", "off", keys.clone(), json!({ "secret": secret }));
    let pinned = json!({ "secret": secret, "audience": "os-1", "issuer": "https://issuer.example" });
    add("HS256", "on", format!("{keys}\naudience = \"os-1\"\nissuer = \"https://issuer.example\""), pinned);
    all
}

#[test]
fn every_row_of_the_differences_is_a_rule_or_has_a_test() {
    // The script holds the two against each other the other way round, too; this is for machines without the real Agno.
    let rules = include_str!("rules.py");
    let rows = include_str!("../../host/server/DIFFERENCES.md").lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).filter(|name| *name != "what").collect();
    assert!(rows.len() > 30);
    let unknown: Vec<&str> = rows.into_iter().filter(|name| !rules.contains(&format!("\"{name}\""))).collect();
    assert!(
        unknown.is_empty(),
        "tests/agno/rules.py has neither a rule for these, nor a test that shows them: {unknown:#?}"
    );
}

#[test]
fn agno_answers_the_same_but_for_the_differences_that_are_listed() {
    let Some(python) = agno_python("comparing answers with the real Agno's") else { return };
    let mut described = Vec::new();
    let mut hosts = Vec::new();
    let keys = tempfile::TempDir::new().expect("a folder");
    let made = Command::new(&python).arg(project("tests/agno/tokens.py")).arg("keys").arg(keys.path()).output();
    let made = made.expect("Python runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (setup, mut description) in weighing().into_iter().chain(verifying(keys.path())) {
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
        .arg(project("host/server/DIFFERENCES.md"))
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
