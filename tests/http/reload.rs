//! Policy and guards are loaded again while the server serves requests.

use crate::malicious_policies::text;
use crate::support::guards::LEGAL_HOLD;
use crate::support::load::{HttpClient, median_and_max};
use crate::support::optional::is_enabled;
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use crate::support::token::user;
use delete_learning::{DEFAULT_POLICY, Digest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a reload can take on a busy machine.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// A component that behaves like another one and has another digest: with a custom section behind it.
fn variant(component: &[u8], number: usize) -> Vec<u8> {
    let section = format!("\x04test{number:08}");
    let size = u8::try_from(section.len()).expect("less than 128 bytes");
    [component, &[0, size], section.as_bytes()].concat()
}

fn sha256(component: &[u8]) -> String {
    Digest::of(component).to_string()
}

/// The text of a guard with these users under legal hold.
fn legal_hold(held_users: &str) -> String {
    format!(
        "[[guards]]\nname = \"legal-hold\"\ncomponent = \"guard.wasm\"\n[guards.settings]\nheld_users = [{held_users}]\n"
    )
}

/// Starts a server with `policy.wasm` and `guard.wasm` in its directory. `setup` has the settings as its parameter.
fn start(setup: impl Fn(&str) -> Setup, settings: &str) -> TestServer {
    let directory = TempDir::new().expect("a temporary directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    fs::write(directory.path().join("policy.wasm"), DEFAULT_POLICY).expect("the policy can be written");
    fs::write(directory.path().join("guard.wasm"), LEGAL_HOLD).expect("the guard can be written");
    setup(settings).start_in(directory)
}

fn with_jwt(settings: &str) -> Setup {
    Setup { policy: Some("policy.wasm".to_owned()), settings: settings.to_owned(), ..Setup::jwt() }
}

impl TestServer {
    /// Replaces a file in the server's directory at once.
    fn replace(&self, name: &str, contents: impl AsRef<[u8]>) {
        let new = self.directory.path().join("new");
        fs::write(&new, contents).expect("the file can be written");
        fs::rename(new, self.directory.path().join(name)).expect("the file can be renamed");
    }

    /// Replaces the configuration and requests a reload.
    fn reload_with(&self, setup: &Setup) {
        self.replace("delete-learning.toml", setup.config_text());
        self.signal("HUP");
    }

    /// What `/health` reports of the policy.
    fn policy(&self) -> Value {
        let health = self.request("GET", "/health", &[]);
        assert_eq!(health.status, 200, "{health:?}");
        let health: Value = serde_json::from_str(&health.body).expect("JSON");
        assert_eq!(health["status"], "ok", "{health}");
        health["policy"].clone()
    }

    /// Waits until `/health` reports a policy that meets this condition.
    fn wait_for_policy(&self, what: &str, is_expected: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + RELOAD_TIMEOUT;
        loop {
            let policy = self.policy();
            if is_expected(&policy) {
                return;
            }
            let log = || self.log().lines().filter(|line| line.contains("reload")).collect::<Vec<_>>().join("\n");
            assert!(Instant::now() < deadline, "{what}: {policy}\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a policy and guards with these digests are in force.
    fn wait_for_digests(&self, what: &str, policy: &str, guards: &[&str]) {
        self.wait_for_policy(what, |health| {
            let found = health["guards"].as_array().expect("an array").iter().map(|guard| guard["sha256"].as_str());
            health["sha256"] == policy && health["reload"] == "ok" && found.eq(guards.iter().map(|guard| Some(*guard)))
        });
    }

    /// Waits until the last reload failed.
    fn wait_for_failure(&self, what: &str) {
        self.wait_for_policy(what, |health| health["reload"] == "failed");
    }
}

#[test]
fn log_lines_and_health_have_the_digests_in_force() {
    let server = start(with_jwt, &legal_hold(""));
    let [old_policy, old_guard] = [DEFAULT_POLICY, LEGAL_HOLD].map(sha256);
    let listening = server.wait_for_log(&["\"listening\""]);
    assert_eq!(listening["policy_sha256"], old_policy, "{listening}");
    assert_eq!(listening["guards_sha256"], format!("legal-hold={old_guard}"), "{listening}");
    server.wait_for_digests("at the start", &old_policy, &[&old_guard]);

    let (policy, guard) = (variant(DEFAULT_POLICY, 1), variant(LEGAL_HOLD, 1));
    server.replace("policy.wasm", &policy);
    server.replace("guard.wasm", &guard);
    let [policy, guard] = [policy, guard].map(|component| sha256(&component));
    server.signal("HUP");
    server.wait_for_digests("after SIGHUP", &policy, &[&guard]);
    let reloaded = server.wait_for_log(&["reloaded the policy"]);
    for (field, expected) in [
        ("policy_sha256", policy),
        ("guards_sha256", format!("legal-hold={guard}")),
        ("previous_policy_sha256", old_policy),
        ("previous_guards_sha256", format!("legal-hold={old_guard}")),
    ] {
        assert_eq!(reloaded[field], expected, "{field}: {reloaded}");
    }
    assert!(reloaded["duration_ms"].as_u64().is_some_and(|duration| duration > 1), "{reloaded}");
}

#[test]
fn invalid_configuration_leaves_the_policy_in_force() {
    let server = start(with_jwt, &legal_hold(""));
    let [policy, guard] = [DEFAULT_POLICY, LEGAL_HOLD].map(sha256);
    server.replace("delete-learning.toml", "policy = ");
    server.signal("HUP");
    server.wait_for_failure("a configuration that is no TOML");
    let failed = server.wait_for_log(&["cannot reload the policy"]);
    let error = failed["error"].as_str().expect("a reason");
    assert!(error.contains("delete-learning.toml: line 1"), "{failed}");
    let health = server.policy().to_string();
    assert!(health.contains(&policy) && health.contains(&guard) && !health.contains("toml"), "{health}");
    server.delete("/learnings/decision_1", Some(&user("alice"))).assert_deleted();
    server.reload_with(&with_jwt(&legal_hold("")));
    server.wait_for_digests("the old configuration", &policy, &[&guard]);
}

#[test]
fn guards_and_settings_of_the_configuration_take_effect_on_sighup() {
    let server = start(with_jwt, "");
    let database = server.database("main");
    let delete = |id: &str| {
        database.insert(id, Some("alice"));
        server.delete(&format!("/learnings/{id}"), Some(&user("alice"))).status
    };
    let [policy, guard] = [DEFAULT_POLICY, LEGAL_HOLD].map(sha256);
    assert_eq!(delete("without_guard"), 204);

    server.reload_with(&with_jwt(&legal_hold("\"alice\"")));
    server.wait_for_digests("with a guard", &policy, &[&guard]);
    assert_eq!(delete("held"), 403);
    let audit = server.wait_for_log(&["\"audit\"", "\"held\""]);
    assert_eq!(audit["guards_sha256"], format!("legal-hold={guard}"), "{audit}");

    let second = legal_hold("\"alice\"").replace("\"legal-hold\"", "\"second\"");
    server.reload_with(&with_jwt(&(legal_hold("\"bob\"") + &second)));
    server.wait_for_digests("with two guards", &policy, &[&guard, &guard]);
    assert_eq!(delete("held_by_the_second"), 403);
    server.reload_with(&with_jwt(&legal_hold("\"bob\"")));
    server.wait_for_digests("with one guard", &policy, &[&guard]);
    assert_eq!(delete("not_held"), 204);
    server.reload_with(&with_jwt(""));
    server.wait_for_digests("without guards", &policy, &[]);
}

#[test]
fn change_of_another_section_is_logged_and_has_no_effect() {
    let server = start(with_jwt, "");
    server.replace("policy.wasm", variant(DEFAULT_POLICY, 1));
    let setup = with_jwt("sqlite.busy_timeout_ms = 1\n[cache]\nenabled = false\n");
    server.reload_with(&Setup { authorization: "user_isolation = false".to_owned(), ..setup });
    server.wait_for_digests("other sections", &sha256(&variant(DEFAULT_POLICY, 1)), &[]);
    let warning = server.wait_for_log(&["restart to use other changes"]);
    assert_eq!(warning["sections"], "authorization, cache, sqlite", "{warning}");
    let alice = user("alice");
    server.delete("/learnings/user_profile_bob@example.com", Some(&alice)).assert_error(
        404,
        "Learning not found",
        "NOT_FOUND",
    );
}

#[test]
fn pinned_component_that_changes_is_loaded_once_its_pin_does() {
    let settings = |pin: &[u8]| format!("policy.reload = \"watch\"\npolicy.sha256 = \"{}\"\n", sha256(pin));
    let server = start(with_jwt, &settings(DEFAULT_POLICY));
    let new = variant(DEFAULT_POLICY, 1);
    server.replace("policy.wasm", &new);
    server.wait_for_failure("a changed component");
    let failed = server.wait_for_log(&["cannot reload the policy", "policy.sha256", &sha256(&new)]);
    assert_eq!(failed["trigger"], "watch", "{failed}");
    assert_eq!(server.policy()["sha256"], sha256(DEFAULT_POLICY));
    server.reload_with(&with_jwt(&settings(&new)));
    server.wait_for_digests("a changed pin", &sha256(&new), &[]);
}

#[test]
fn component_that_is_written_in_parts_is_loaded_once_it_is_complete() {
    let server = start(with_jwt, "policy.reload = \"watch\"\n");
    let new = variant(DEFAULT_POLICY, 1);
    let file = server.directory.path().join("policy.wasm");
    fs::write(&file, &new[..new.len() / 2]).expect("the file can be written");
    server.wait_for_failure("a half-written component");
    fs::write(&file, &new).expect("the file can be written");
    server.wait_for_digests("a complete component", &sha256(&new), &[]);
    // It has the same size, and its new time can be the same.
    let newer = variant(DEFAULT_POLICY, 2);
    let modified = fs::metadata(&file).and_then(|file| file.modified()).expect("a time");
    fs::write(&file, &newer).expect("the file can be written");
    fs::File::options()
        .write(true)
        .open(&file)
        .and_then(|file| file.set_modified(modified))
        .expect("a time can be set");
    server.wait_for_digests("a component of the same size and time", &sha256(&newer), &[]);
    fs::remove_file(&file).expect("the file can be deleted");
    server.wait_for_failure("a missing component");
    server.delete("/learnings/decision_1", Some(&user("alice"))).assert_deleted();
    fs::write(&file, DEFAULT_POLICY).expect("the file can be written");
    server.wait_for_digests("the first component", &sha256(DEFAULT_POLICY), &[]);
}

/// The request occupies the only permit, so this also tests that a reload needs none.
#[test]
fn request_in_progress_ends_on_the_policy_that_it_began_with() {
    let server = start(with_jwt, &format!("{LONG_TIMEOUTS}sandbox.max_concurrent_instances = 1\n"));
    let database = server.database("main");
    let lock = database.connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let (old, new) = (sha256(DEFAULT_POLICY), variant(DEFAULT_POLICY, 1));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.delete("/learnings/decision_1", Some(&user("alice"))));
        thread::sleep(Duration::from_millis(300));
        server.replace("policy.wasm", &new);
        server.signal("HUP");
        server.wait_for_digests("while a request waits", &sha256(&new), &[]);
        lock.execute_batch("COMMIT").expect("the lock can be released");
        waiting.join().expect("an answer").assert_deleted();
    });
    assert_eq!(server.wait_for_log(&["\"audit\"", "\"decision_1\""])["policy_sha256"], old);
    assert_eq!(server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
    assert_eq!(server.wait_for_log(&["\"audit\"", "\"absent\""])["policy_sha256"], sha256(&new));
}

#[test]
fn requests_during_a_reload_are_served_by_one_after_it() {
    let server = start(with_jwt, "");
    let mut last = Vec::new();
    for number in 0..20 {
        last = variant(DEFAULT_POLICY, number);
        server.replace("policy.wasm", &last);
        server.signal("HUP");
    }
    server.wait_for_digests("the last one", &sha256(&last), &[]);
    thread::sleep(Duration::from_millis(500));
    let reloads = server.log().matches("reloaded the policy").count();
    assert!((1..=20).contains(&reloads), "{reloads}");
    server.wait_for_digests("the last one stays", &sha256(&last), &[]);
}

#[test]
fn sighup_during_shutdown_changes_nothing() {
    let mut server = start(with_jwt, LONG_TIMEOUTS);
    let database = server.database("main");
    let lock = database.connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.delete("/learnings/decision_1", Some(&user("alice"))));
        thread::sleep(Duration::from_millis(300));
        server.signal("TERM");
        for number in 0..5 {
            server.replace("policy.wasm", variant(DEFAULT_POLICY, number));
            server.signal("HUP");
            thread::sleep(Duration::from_millis(50));
        }
        lock.execute_batch("COMMIT").expect("the lock can be released");
        waiting.join().expect("an answer").assert_deleted();
    });
    assert!(server.wait().success(), "{}", server.log());
}

/// A swap that must fail.
enum BrokenSwap {
    /// A file to replace, and its contents.
    File(&'static str, Vec<u8>),
    /// Further settings.
    Settings(String),
}

/// Components that must not be put in force, as the policy.
fn broken_policies() -> Vec<(&'static str, Vec<u8>)> {
    let wat = |text: &str| text::bytes(text);
    vec![
        ("a truncated policy", DEFAULT_POLICY[..DEFAULT_POLICY.len() * 2 / 3].to_vec()),
        ("a core module", wat(include_str!("../malicious_policies/is_core_module.wat"))),
        ("a guard as the policy", LEGAL_HOLD.to_vec()),
        ("a policy that traps", wat(include_str!("../malicious_policies/traps.wat"))),
        (
            "a policy that reports success without a delete",
            wat(include_str!("../malicious_policies/reports_success_without_delete.wat")),
        ),
        ("a policy that spins", wat(include_str!("../malicious_policies/spins_before_calls.wat"))),
        ("a policy that imports more", wat(include_str!("../malicious_policies/imports_wasi_sockets.wat"))),
        ("a policy that rejects after deleting", wat(include_str!("../malicious_policies/rejects_after_deleting.wat"))),
        ("an empty file", Vec::new()),
        ("text", b"policy.wasm".to_vec()),
    ]
}

/// Components that must not be put in force, as a guard.
fn broken_guards() -> Vec<(&'static str, Vec<u8>)> {
    let wat = |text: &str| text::bytes(text);
    vec![
        ("a truncated guard", LEGAL_HOLD[..LEGAL_HOLD.len() / 2].to_vec()),
        ("a policy as a guard", DEFAULT_POLICY.to_vec()),
        ("a guard that traps", wat(include_str!("../malicious_policies/guards/traps.wat"))),
        (
            "a guard that returns deleted without deleting",
            wat(include_str!("../malicious_policies/guards/returns_deleted_without_deleting.wat")),
        ),
        (
            "a guard that denies without finding",
            wat(include_str!("../malicious_policies/guards/denies_without_finding.wat")),
        ),
        ("a guard that imports more", wat(include_str!("../malicious_policies/guards/imports_wasi_sockets.wat"))),
    ]
}

/// The numbers of good swaps and of records for each client.
fn size() -> (usize, usize) {
    if is_enabled("EXHAUSTIVE") { (100, 40_000) } else { (4, 2000) }
}

const CLIENTS: usize = 4;

/// Maximum growth of the server's resident memory in bytes.
const MAX_GROWTH_BYTES: u64 = 32 * 1024 * 1024;

#[test]
fn swaps_under_load_lose_no_request_and_admit_nothing_broken() {
    let (swaps, records) = size();
    let setup = |settings: &str| Setup {
        policy: Some("policy.wasm".to_owned()),
        settings: format!("{LONG_TIMEOUTS}policy.reload = \"watch\"\n{settings}{}", legal_hold("\"carol\"")),
        ..Setup::without_auth()
    };
    let server = start(setup, "");
    let database = server.database("main");
    database.execute(&format!(
        "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {records} - 1),
                        c(c) AS (SELECT 0 UNION ALL SELECT c + 1 FROM c WHERE c < {CLIENTS} - 1)
         INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
         SELECT 'client_' || c || '_' || n, 'user_memory', 'alice', '{{}}', 1790000000 FROM n, c"
    ));
    let before = database.ids();
    let mut good = Good { policies: BTreeSet::new(), guards: BTreeSet::new() };
    let is_done = AtomicBool::new(false);
    let (deleted, memory) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (server, is_done) = (&server, &is_done);
                scope.spawn(move || delete_until(server, client, records, is_done))
            })
            .collect();
        let memory = swap_all(&server, swaps, setup, &mut good);
        is_done.store(true, Ordering::Relaxed);
        let deleted: Vec<usize> = clients.into_iter().map(|client| client.join().expect("every answer")).collect();
        (deleted, memory)
    });

    let expected: BTreeSet<String> = before
        .into_iter()
        .filter(|id| {
            let parts = id.strip_prefix("client_").and_then(|id| id.split_once('_'));
            let parsed = parts.map(|(client, record)| (client.parse::<usize>(), record.parse::<usize>()));
            !matches!(parsed, Some((Ok(client), Ok(record))) if record < deleted[client].min(records))
        })
        .collect();
    assert!(database.ids() == expected, "the database contains what was not answered 204");
    let requests: usize = deleted.iter().sum();
    assert_audit(&server, requests, &good);
    let log = server.log();
    println!(
        "{} reloads and {} failed ones during {requests} requests by {CLIENTS} clients, all answered; {} policies and {} guards",
        log.matches("reloaded the policy").count(),
        log.matches("cannot reload the policy").count(),
        good.policies.len(),
        good.guards.len(),
    );
    let reloads = log.lines().filter(|line| line.contains("reloaded the policy"));
    let durations = reloads.map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        Duration::from_millis(line["duration_ms"].as_u64().expect("a duration"))
    });
    let (median, max) = median_and_max(durations.collect());
    println!("a reload took {median:.2?} in the median and {max:.2?} at most");
    if let Some((before, after)) = memory {
        println!("resident after the first swaps {} KiB, at the end {} KiB", before / 1024, after / 1024);
        assert!(after < before + MAX_GROWTH_BYTES, "memory grew from {before} to {after} bytes");
    }
}

/// The digests that are allowed to decide.
struct Good {
    policies: BTreeSet<String>,
    guards: BTreeSet<String>,
}

/// Deletes its records one after the other, then absent ones. Returns the number of requests.
fn delete_until(server: &TestServer, client: usize, records: usize, is_done: &AtomicBool) -> usize {
    let mut connection = HttpClient::new(server, "");
    let mut sent = 0;
    while !is_done.load(Ordering::Relaxed) {
        let response = connection.delete(&format!("/learnings/client_{client}_{sent}")).expect("an answer");
        let expected = if sent < records { 204 } else { 404 };
        assert_eq!(response.status, expected, "client {client}, request {sent}: {response:?}\n{}", failures(server));
        sent += 1;
        thread::sleep(Duration::from_millis(5));
    }
    sent
}

fn failures(server: &TestServer) -> String {
    let mut lines = String::new();
    for line in server.log().lines().filter(|line| line.contains("ERROR") || line.contains("policy_error")) {
        writeln!(lines, "{line}").expect("text can be written");
    }
    lines
}

/// Swaps policy and guard `swaps` times, with a broken one before each, alternately by SIGHUP and by watch. Returns the
/// resident memory after the first swaps and at the end.
fn swap_all(server: &TestServer, swaps: usize, setup: impl Fn(&str) -> Setup, good: &mut Good) -> Option<(u64, u64)> {
    let mut broken: Vec<(&str, BrokenSwap)> = Vec::new();
    for (file, kinds) in [("policy.wasm", broken_policies()), ("guard.wasm", broken_guards())] {
        broken.extend(kinds.into_iter().map(|(what, contents)| (what, BrokenSwap::File(file, contents))));
    }
    broken.push(("a pin mismatch", BrokenSwap::Settings(format!("policy.sha256 = \"{}\"\n", "0".repeat(64)))));
    broken.push(("more guards than the limit", BrokenSwap::Settings(legal_hold("").repeat(5))));
    let (mut policy, mut guard) = (DEFAULT_POLICY.to_vec(), LEGAL_HOLD.to_vec());
    let mut after_first = None;
    for number in 0..swaps {
        good.policies.insert(sha256(&policy));
        good.guards.insert(sha256(&guard));
        let by_signal = number % 2 == 0;
        let (what, attempt) = &broken[number % broken.len()];
        match attempt {
            BrokenSwap::File(file, contents) => server.replace(file, contents),
            BrokenSwap::Settings(settings) => server.reload_with(&setup(settings)),
        }
        if by_signal {
            server.signal("HUP");
        }
        server.wait_for_failure(what);
        let health = server.policy();
        assert_eq!(health["sha256"], sha256(&policy), "{what}: {health}");

        // The next good ones: another policy, another guard, or both.
        if number % 3 != 1 {
            policy = variant(DEFAULT_POLICY, number);
        }
        if number % 3 != 0 {
            guard = variant(LEGAL_HOLD, number);
        }
        let (policy_sha256, guard_sha256) = (sha256(&policy), sha256(&guard));
        good.policies.insert(policy_sha256.clone());
        good.guards.insert(guard_sha256.clone());
        server.replace("policy.wasm", &policy);
        server.replace("guard.wasm", &guard);
        if by_signal || matches!(attempt, BrokenSwap::Settings(_)) {
            server.reload_with(&setup(""));
        }
        server.wait_for_digests(&format!("swap {number}"), &policy_sha256, &[&guard_sha256]);
        if number == swaps / 5 {
            after_first = server.resident_bytes();
        }
    }
    Some((after_first?, server.resident_bytes()?))
}

/// Asserts that every request has an audit event, and that only these components decided.
fn assert_audit(server: &TestServer, requests: usize, good: &Good) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let events = || -> Vec<Value> {
        let log = server.log();
        let events = log.lines().filter(|line| line.contains("\"target\":\"audit\""));
        events.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let mut found = events();
    while found.len() < requests && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
        found = events();
    }
    assert_eq!(found.len(), requests, "one audit event for each request");
    let mut decided = BTreeSet::new();
    for event in &found {
        let policy = event["policy_sha256"].as_str().expect("a digest");
        let guard =
            event["guards_sha256"].as_str().and_then(|guard| guard.strip_prefix("legal-hold=")).expect("a digest");
        assert!(good.policies.contains(policy) && good.guards.contains(guard), "{event}");
        assert!(event["policy_error"].is_null(), "{event}");
        decided.insert((policy.to_owned(), guard.to_owned()));
    }
    println!("{} combinations of policy and guard decided", decided.len());
}
