//! Sends the same requests to this server and to the real Agno, and compares the responses.

use super::run_script;
use crate::support::database::repository_path;
use crate::support::optional::agno_python;
use crate::support::server::{LONG_TIMEOUTS, Setup};
use crate::support::token::SECRET;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const KEY: &str = "the key of this deployment";

/// A configuration of the server, and its description for `differential.py`.
type Configuration = (Setup, Value);

/// Returns every combination of authorization settings, with one database and with two.
fn authorization_configurations() -> Vec<Configuration> {
    let mut all = Vec::new();
    for databases in [vec!["main"], vec!["main", "second"]] {
        let mut add = |mode: &str, setup: Setup, secret: &str, enforce: bool, isolation: bool, admin_scope: &str| {
            let authorization =
                format!("enforce_scopes = {enforce}\nuser_isolation = {isolation}\nadmin_scope = \"{admin_scope}\"\n");
            // One configuration of each mode, and one without enforced scopes, gets every odd request.
            let is_complete = databases.len() == 1 && isolation && admin_scope == "agent_os:admin";
            let described = json!({ "mode": mode, "algorithm": "HS256", "secret": secret, "enforce": enforce,
                "isolation": isolation, "admin_scope": admin_scope, "accounts": "on", "group": "authorization",
                "complete": if is_complete { vec!["odd requests"] } else { vec![] } });
            let auth = if mode == "none" { setup.auth } else { format!("{}{ACCOUNTS}", setup.auth) };
            all.push((Setup { databases: databases.clone(), authorization, auth, ..setup }, described));
        };
        add("none", Setup::without_auth(), "", true, true, "agent_os:admin");
        add("security-key", Setup::security_key(KEY), KEY, true, true, "agent_os:admin");
        for (enforce, isolation) in [(true, true), (true, false), (false, true), (false, false)] {
            for admin_scope in ["agent_os:admin", "learnings:root"] {
                add("jwt", Setup::jwt(), SECRET, enforce, isolation, admin_scope);
            }
        }
    }
    all
}

/// Enables service accounts, without a cache.
const ACCOUNTS: &str = "[auth.service_accounts]\ndatabase = \"main\"\ncache_seconds = 0\n";

/// Returns configurations with every type of key that `tokens.py` generated in this directory, as a configured key and as
/// a JWKS file. One configuration requires an audience and an issuer, and one has no service accounts.
fn authentication_configurations(directory: &Path) -> Vec<Configuration> {
    let read = |name: String| std::fs::read_to_string(directory.join(name)).expect("a key");
    let mut all = Vec::new();
    let mut add = |algorithm: &str, accounts: &str, keys: String, described: Value| {
        // For each algorithm, one configuration gets every malicious token: the one with a JWKS file, if there are both.
        let is_complete = described.get("public").is_none() || described.get("jwks").is_some();
        let complete = if is_complete { vec!["malicious tokens"] } else { vec![] };
        let mut more = json!({ "mode": "jwt", "algorithm": algorithm, "enforce": true, "isolation": true,
            "admin_scope": "agent_os:admin", "accounts": accounts, "group": "authentication", "complete": complete });
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
        let jwks = directory.join(format!("{algorithm}.jwks")).display().to_string();
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

/// Returns configurations that name other claims than Agno's.
fn claims_configurations() -> Vec<Configuration> {
    let configurations = [
        (
            "user_id_claim = \"email\"\nscopes_claim = \"permissions\"",
            json!({ "user_id_claim": "email", "scopes_claim": "permissions" }),
        ),
        (
            "user_id_claim = \"uid\"\nscopes_claim = \"scope\"",
            json!({ "user_id_claim": "uid", "scopes_claim": "scope" }),
        ),
        (
            "audience_claim = \"client_id\"\naudience = [\"os-1\", \"os-2\"]\nscopes_claim = \"permissions\"",
            json!({ "audience_claim": "client_id", "audience": ["os-1", "os-2"], "scopes_claim": "permissions" }),
        ),
    ];
    let configuration = |(lines, claims): (&str, Value)| {
        let setup = Setup::jwt();
        let described = json!({ "mode": "jwt", "algorithm": "HS256", "secret": SECRET, "enforce": true, "isolation": true,
            "admin_scope": "agent_os:admin", "accounts": "off", "group": "claims", "complete": [], "claims": claims });
        (Setup { auth: format!("{}{lines}\n", setup.auth), ..setup }, described)
    };
    configurations.into_iter().map(configuration).collect()
}

#[test]
fn every_row_of_differences_has_a_rule_or_a_test() {
    // `differential.py` also checks the opposite direction. This test runs on machines without the real Agno.
    let rules = include_str!("rules.py");
    let rows = include_str!("../../host/server/DIFFERENCES.md").lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).filter(|name| *name != "case").collect();
    assert!(rows.len() > 30);
    let unknown: Vec<&str> = rows.into_iter().filter(|name| !rules.contains(&format!("\"{name}\""))).collect();
    assert!(unknown.is_empty(), "tests/agno/rules.py has neither a rule nor a test for these rows: {unknown:#?}");
}

#[test]
fn agno_responses_match_except_for_listed_differences() {
    let Some(python) = agno_python("comparing responses with the real Agno") else { return };
    let mut described = Vec::new();
    let mut servers = Vec::new();
    let keys = tempfile::TempDir::new().expect("a directory");
    let output =
        Command::new(&python).arg(repository_path("tests/agno/tokens.py")).arg("keys").arg(keys.path()).output();
    let output = output.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let configurations =
        [authorization_configurations(), authentication_configurations(keys.path()), claims_configurations()];
    for (setup, mut description) in configurations.into_iter().flatten() {
        let names = setup.databases.clone();
        let server = Setup { settings: setup.settings + LONG_TIMEOUTS, ..setup }.start();
        let file = |name: &str| server.directory.path().join(format!("{name}.db")).display().to_string();
        description["address"] = json!(server.address.to_string());
        description["databases"] = names.iter().map(|name| ((*name).to_owned(), json!(file(name)))).collect();
        description["template"] = json!(repository_path("tests/agno/learnings.db"));
        described.push(description);
        servers.push(server);
    }
    let differences = repository_path("host/server/DIFFERENCES.md");
    println!("{}", run_script(&python, "tests/agno/differential.py", &[&differences], Value::from(described)));
}
