//! Policies that import WASI: what it gives them, and how it is limited.

use super::record::{assert_default_policy_works, block_on, decide, limits};
use super::text;
use crate::support::database::repository_path;
use crate::support::server::{Setup, TestServer};
use delete_learning::{
    Access, CapturedOutput, Decision, DeleteRequest, Limits, LoadError, Policy, PolicyError, RecordOutcome, Sandbox,
    describe,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Assembles this component of the directory `wasi`.
fn component(name: &str) -> Vec<u8> {
    let file = repository_path("tests/malicious_policies/wasi").join(name).with_extension("wat");
    text::bytes(&std::fs::read_to_string(file).expect("the file of the component"))
}

/// Grants a component everything of WASI that it imports.
pub fn grant_all(component: &[u8]) -> Access {
    let imports = describe(component, &Limits::default()).expect("a component").imports;
    Access { grants: imports.into_iter().filter(|name| name.starts_with("wasi:")).collect(), ..Access::default() }
}

fn load_with(component: &[u8], limits: &Limits, access: &Access) -> Result<Policy, LoadError> {
    Sandbox::new(limits, None)?.load_policy(component, access, Vec::new())
}

fn load(name: &str, limits: &Limits) -> Policy {
    let component = component(name);
    load_with(&component, limits, &grant_all(&component)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs the policy twice, asserts that both decisions are equal and that the default policy still works.
fn run(name: &str, limits: &Limits) -> Decision {
    let policy = load(name, limits);
    block_on(async {
        let (decision, _) = decide(&policy, "record", None).await;
        let (again, _) = decide(&policy, "record", None).await;
        assert_eq!((decision.rule(), decision.record), (again.rule(), again.record), "{decision:?} {again:?}");
        assert_default_policy_works().await;
        decision
    })
}

fn is_deleted(decision: &Decision) -> bool {
    decision.answer.is_ok() && decision.record == RecordOutcome::Deleted
}

fn is_rejected(decision: &Decision) -> bool {
    decision.error.is_none() && decision.answer.as_ref().is_err_and(|rejection| rejection.status == 403)
}

#[test]
fn every_wasi_component_file_has_a_test() {
    let this = std::fs::read_to_string(repository_path("tests/malicious_policies/wasi.rs")).expect("this file");
    for entry in std::fs::read_dir(repository_path("tests/malicious_policies/wasi")).expect("the directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_str().expect("text");
        assert!(this.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn import_fails_without_grant_and_error_has_the_line_to_add() {
    let error = Policy::load(&component("exits"), &limits()).err().expect("a load error");
    assert!(
        matches!(&error, LoadError::NotGranted { missing, .. } if missing == &["wasi:cli/exit@0.2.0"]),
        "{error:?}"
    );
    assert!(error.to_string().ends_with("set: grants = [\"wasi:cli/exit@0.2.0\"]"), "{error}");
}

#[test]
fn each_import_must_be_granted_by_its_exact_name() {
    let component = component("reads_clocks");
    let all = grant_all(&component);
    assert!(load_with(&component, &limits(), &all).is_ok());
    for grant in &all.grants {
        let mut access = all.clone();
        access.grants.remove(grant);
        for other in [None, Some(grant.replace("@0.2.0", "@0.2.1")), Some(grant.to_uppercase())] {
            access.grants.extend(other.filter(|other| other.starts_with("wasi:")));
            let error = load_with(&component, &limits(), &access).err().expect("a load error");
            let LoadError::NotGranted { missing, needed } = &error else { panic!("{error:?}") };
            assert_eq!(missing, std::slice::from_ref(grant));
            assert_eq!(needed.len(), all.grants.len(), "the line to add has all of them: {error}");
        }
    }
}

#[test]
fn interface_that_no_component_gets_cannot_be_granted() {
    for name in ["wasi:http/outgoing-handler@0.2.0", "wasi:cli/environment@0.3.0", "wasi:keyvalue/store@0.2.0", "x"] {
        let access = Access { grants: [name.to_owned()].into(), ..Access::default() };
        let error = load_with(delete_learning::DEFAULT_POLICY, &limits(), &access).err().expect("a load error");
        assert!(matches!(&error, LoadError::UnknownGrant(grant) if grant == name), "{error:?}");
        if name != "x" {
            let text = format!("(component (import \"{name}\" (instance (export \"f\" (func)))))");
            let error = load_with(&text::bytes(&text), &limits(), &access).err().expect("a load error");
            assert!(matches!(&error, LoadError::UnknownImports(names) if names == &[name]), "{error:?}");
        }
    }
    // In a namespace of WASI 0.2, but not an interface that the sandbox provides.
    for name in ["wasi:cli/run@0.2.0", "wasi:cli/shell@0.2.0"] {
        let bytes = text::bytes(&format!("(component (import \"{name}\" (instance (export \"f\" (func)))))"));
        let error = load_with(&bytes, &limits(), &grant_all(&bytes)).err().expect("a load error");
        assert!(matches!(error, LoadError::IncompatibleWorld { .. }) && error.to_string().contains(name), "{error:?}");
    }
}

#[test]
fn environment_files_sockets_and_stdin_are_empty() {
    assert!(
        std::env::vars().next().is_some() && std::env::args().next().is_some(),
        "this process has an environment that a policy could find"
    );
    for name in ["reads_environment", "lists_directories", "opens_sockets", "reads_stdin"] {
        let decision = run(name, &limits());
        assert!(is_deleted(&decision), "{name}: {decision:?}");
    }
}

#[test]
fn granted_clocks_advance() {
    assert!(is_deleted(&run("reads_clocks", &limits())));
}

#[test]
fn random_bytes_are_limited_per_call() {
    assert!(is_deleted(&run("gets_random_numbers", &limits())));
    let policy = load("gets_random_numbers", &limits());
    assert!(is_deleted(&block_on(decide(&policy, &"x".repeat(4096), None)).0));
    let more = block_on(decide(&policy, &"x".repeat(4097), None)).0;
    assert!(matches!(more.error, Some(PolicyError::Sandbox(_))), "{more:?}");
}

#[test]
fn insecure_seed_is_zero() {
    assert!(is_deleted(&run("reads_insecure_seed", &limits())));
}

#[test]
fn sleeping_policy_is_stopped_by_execution_timeout() {
    let limits = limits().execution_timeout_ms(200);
    let policy = load("sleeps", &limits);
    for db_id in [None, Some("by another function")] {
        let start = Instant::now();
        let (decision, exists) = block_on(decide(&policy, "record", db_id));
        assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)) && exists, "{decision:?}");
        assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn exit_with_success_status_is_a_policy_error() {
    let decision = run("exits", &limits());
    assert!(matches!(decision.error, Some(PolicyError::Exited(0))), "{decision:?}");
    assert_eq!(decision.record, RecordOutcome::Deleted);
}

#[test]
fn wasi_calls_above_limit_stop_policy() {
    let limits = limits().max_wasi_calls(5).max_host_calls(1);
    let policy = load("calls_wasi", &limits);
    let calls = |calls: usize, db_id| block_on(decide(&policy, &"x".repeat(calls), db_id));
    let (decision, _) = calls(5, None);
    assert!(is_rejected(&decision), "{decision:?}");
    // WASI calls do not count towards `max_host_calls`.
    let (decision, _) = calls(5, Some("delete too"));
    assert!(matches!(decision.error, Some(PolicyError::RejectedAfterDeletion { .. })), "{decision:?}");
    let (decision, _) = calls(6, None);
    assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)), "{decision:?}");
    // A call above the limit stops the policy before it deletes.
    let (decision, exists) = calls(6, Some("delete too"));
    assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)) && exists, "{decision:?}");
}

#[test]
fn endless_wasi_calls_stop_policy() {
    let policy = load("calls_wasi", &limits());
    let request = || DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: Some("endlessly".to_owned()) };
    let no_call_limit = limits().max_wasi_calls(u32::MAX);
    let without_call_limit = load("calls_wasi", &no_call_limit);
    block_on(async {
        let storage = || delete_learning::storage::Databases(Vec::new()).record(&request());
        let caller = || Ok(super::record::caller());
        let decision = policy.decide(request(), caller(), storage()).await;
        assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)), "{decision:?}");
        // Time in WASI calls is CPU time of the policy.
        let decision = without_call_limit.decide(request(), caller(), storage()).await;
        assert!(matches!(decision.error, Some(PolicyError::CpuTimeLimit)), "{decision:?}");
    });
}

#[test]
fn timers_are_limited_by_table_elements() {
    // A timer takes two elements: the timer itself and the handle to it.
    let policy = load("leaks_timers", &limits().max_table_elements(100));
    let timers = |timers: usize| block_on(decide(&policy, &"x".repeat(timers), None)).0;
    assert!(is_rejected(&timers(50)), "{:?}", timers(50));
    assert!(matches!(timers(51).error, Some(PolicyError::Sandbox(_))), "{:?}", timers(51));
}

#[test]
fn output_is_captured_up_to_limit_and_rest_is_counted() {
    let limits = limits().max_captured_output_bytes(100).max_host_call_bytes(2000);
    let policy = load("prints", &limits);
    let prints = |id: &str, times: usize| block_on(decide(&policy, id, Some(&"x".repeat(times)))).0;
    let printed =
        |decision: &Decision| decision.output.as_ref().map(|output| (output.text.len(), output.dropped_bytes));
    for (bytes, times, expected) in [
        (10, 0, None),
        (10, 1, Some((10, 0))),
        (50, 2, Some((100, 0))),
        (101, 1, Some((100, 1))),
        // The rejection takes 14 of the 2000 bytes.
        (662, 3, Some((100, 1886))),
    ] {
        let decision = prints(&"x".repeat(bytes), times);
        assert!(is_rejected(&decision), "{decision:?}");
        assert_eq!(printed(&decision), expected);
    }
    let decision = prints(&"x".repeat(1987), 1);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
    let decision = prints(&"x".repeat(667), 3);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
    assert_eq!(printed(&decision), Some((100, 1901)), "output is captured even if the policy fails");
}

#[test]
fn written_zeroes_are_counted_before_they_are_allocated() {
    let decision = run("prints_zeroes", &limits());
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
}

#[test]
fn control_characters_in_output_are_escaped() {
    let policy = load("prints", &limits());
    let prints = |text: &str| block_on(decide(&policy, text, Some("x"))).0.output.expect("an output").text;
    for text in ["plain", "\"quoted\" \\ 'text'", "日本 ß", "two\nlines\tand a tab"] {
        assert_eq!(prints(text), text);
    }
    assert_eq!(prints("\u{1b}[2J"), "\\u{1b}[2J");
    assert_eq!(prints("a\r\0\u{85}\u{202e}\u{7f}"), "a\\u{d}\\u{0}\\u{85}\\u{202e}\\u{7f}");
}

/// Starts a server with this policy. The directory contains the policy's file and must outlive the server.
fn start(name: &str) -> (TestServer, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("policy.wasm");
    let component = component(name);
    std::fs::write(&file, &component).expect("the file is written");
    let grants = grant_all(&component).grants;
    let settings = format!("sandbox.max_captured_output_bytes = 20\npolicy.grants = {grants:?}")
        .replace('{', "[")
        .replace('}', "]");
    (Setup { policy: Some(file.display().to_string()), settings, ..Setup::without_auth() }.start(), directory)
}

#[test]
fn output_is_logged_but_not_audited() {
    let (host, _directory) = start("prints");
    let answer = host.delete("/learnings/printed%1B%0A-text-and-more?db_id=main", None);
    assert_eq!(answer.status, 403, "{answer:?}");
    let entry = host.wait_for_log(&["\"policy\"", "printed", "dropped_bytes"]);
    assert_eq!(entry["output"], "printed\\u{1b}\n-text-and-m", "{entry}");
    assert_eq!(entry["dropped_bytes"], 72, "{entry}");
    let audit = host.wait_for_log(&["\"audit\"", "blocked"]);
    assert!(audit.get("output").is_none() && !audit.to_string().contains("dropped_bytes"), "{audit}");
    assert_eq!(audit["request_id"], entry["span"]["request_id"]);
}

#[test]
fn dropped_output_differs_from_no_output() {
    let policy = load("prints", &limits().max_captured_output_bytes(0));
    let (decision, _) = block_on(decide(&policy, "four", Some("x")));
    assert_eq!(decision.output, Some(CapturedOutput { text: String::new(), dropped_bytes: 4 }));
}
