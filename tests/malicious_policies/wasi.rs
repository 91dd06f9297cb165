//! Policies that import WASI: what it gives them, and how it is limited.

use super::record::{assert_default_policy_works, block_on, decide, limits};
use super::text;
use crate::support::database::repository_path;
use crate::support::server::{Setup, TestServer};
use delete_learning::{
    CapturedOutput, Decision, DeleteRequest, Limits, LoadError, Policy, PolicyError, RecordOutcome, Wasi,
    WasiNotGranted,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Assembles this component of the directory `wasi`.
fn component(name: &str) -> Vec<u8> {
    let file = repository_path("tests/malicious_policies/wasi").join(name).with_extension("wat");
    text::bytes(&std::fs::read_to_string(file).expect("the file of the component"))
}

/// WASI without clocks and random numbers.
const EMPTY: Wasi = Wasi { enabled: true, clocks: false, random: false };
const CLOCKS: Wasi = Wasi { clocks: true, ..EMPTY };
const RANDOM: Wasi = Wasi { random: true, ..EMPTY };

fn load(name: &str, limits: &Limits, wasi: Wasi) -> Policy {
    Policy::load_with(&component(name), limits, wasi, None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs the policy twice, asserts that both decisions are equal and that the default policy still works.
fn run(name: &str, limits: &Limits, wasi: Wasi) -> Decision {
    let policy = load(name, limits, wasi);
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
fn wasi_import_fails_by_default_and_error_names_the_key() {
    let error = Policy::load(&component("exits"), &limits()).err().expect("a load error");
    assert!(matches!(&error, LoadError::WasiDisabled(names) if names == &["wasi:cli/exit@0.2.0"]), "{error:?}");
    assert!(error.to_string().contains("`enabled = true` under `[wasi]`"), "{error}");
}

#[test]
fn unknown_interface_fails_to_load_with_wasi_enabled() {
    for name in ["wasi:http/outgoing-handler@0.2.0", "wasi:cli/environment@0.3.0", "wasi:keyvalue/store@0.2.0"] {
        let text = format!("(component (import \"{name}\" (instance (export \"f\" (func)))))");
        let error = Policy::load_with(&text::bytes(&text), &limits(), EMPTY, None).err().expect("a load error");
        assert!(matches!(&error, LoadError::UnknownImports(names) if names == &[name]), "{error:?}");
    }
    // In a namespace of WASI 0.2, but not an interface that the sandbox provides.
    for name in ["wasi:cli/run@0.2.0", "wasi:cli/shell@0.2.0"] {
        let text = format!("(component (import \"{name}\" (instance (export \"f\" (func)))))");
        let error = Policy::load_with(&text::bytes(&text), &limits(), EMPTY, None).err().expect("a load error");
        assert!(matches!(error, LoadError::IncompatibleWorld(_)) && error.to_string().contains(name), "{error:?}");
    }
}

#[test]
fn environment_files_sockets_and_stdin_are_empty() {
    assert!(
        std::env::vars().next().is_some() && std::env::args().next().is_some(),
        "this process has an environment that a policy could find"
    );
    for name in ["reads_environment", "lists_directories", "opens_sockets", "reads_stdin"] {
        for wasi in [EMPTY, Wasi { clocks: true, random: true, ..EMPTY }] {
            let decision = run(name, &limits(), wasi);
            assert!(is_deleted(&decision), "{name}: {decision:?}");
        }
    }
}

#[test]
fn clocks_without_grant_stop_policy() {
    assert!(is_deleted(&run("reads_clocks", &limits(), CLOCKS)));
    for name in ["reads_clocks", "sleeps"] {
        let decision = run(name, &limits(), RANDOM);
        assert!(
            matches!(decision.error, Some(PolicyError::NotGranted(WasiNotGranted::Clocks))),
            "{name}: {decision:?}"
        );
        assert!(decision.error.is_some_and(|error| error.to_string().contains("`clocks = true` under `[wasi]`")));
    }
}

#[test]
fn random_numbers_without_grant_stop_policy() {
    assert!(is_deleted(&run("gets_random_numbers", &limits(), RANDOM)));
    let denied = run("gets_random_numbers", &limits(), CLOCKS);
    assert!(matches!(denied.error, Some(PolicyError::NotGranted(WasiNotGranted::Random))), "{denied:?}");
    assert!(denied.error.is_some_and(|error| error.to_string().contains("`random = true` under `[wasi]`")));
    // At most 4096 random bytes in one call.
    let policy = load("gets_random_numbers", &limits(), RANDOM);
    assert!(is_deleted(&block_on(decide(&policy, &"x".repeat(4096), None)).0));
    let more = block_on(decide(&policy, &"x".repeat(4097), None)).0;
    assert!(matches!(more.error, Some(PolicyError::Sandbox(_))), "{more:?}");
}

#[test]
fn insecure_seed_without_grant_is_zero() {
    assert!(is_deleted(&run("reads_insecure_seed", &limits(), CLOCKS)));
    let policy = load("reads_insecure_seed", &limits(), RANDOM);
    assert!(is_deleted(&block_on(decide(&policy, "record", Some("not 0"))).0));
}

#[test]
fn sleeping_policy_is_stopped_by_execution_timeout() {
    let limits = Limits { execution_timeout_ms: 200, ..limits() };
    let policy = load("sleeps", &limits, CLOCKS);
    for db_id in [None, Some("by another function")] {
        let start = Instant::now();
        let (decision, exists) = block_on(decide(&policy, "record", db_id));
        assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)) && exists, "{decision:?}");
        assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn exit_with_success_status_is_a_policy_error() {
    let decision = run("exits", &limits(), EMPTY);
    assert!(matches!(decision.error, Some(PolicyError::Exited(0))), "{decision:?}");
    assert_eq!(decision.record, RecordOutcome::Deleted);
}

#[test]
fn wasi_calls_above_limit_stop_policy() {
    let limits = Limits { max_wasi_calls: 5, max_host_calls: 1, ..limits() };
    let policy = load("calls_wasi", &limits, CLOCKS);
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
    let policy = load("calls_wasi", &limits(), CLOCKS);
    let request = || DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: Some("endlessly".to_owned()) };
    let no_call_limit = Limits { max_wasi_calls: u32::MAX, ..limits() };
    let without_call_limit = load("calls_wasi", &no_call_limit, CLOCKS);
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
    let policy = load("leaks_timers", &Limits { max_table_elements: 100, ..limits() }, CLOCKS);
    let timers = |timers: usize| block_on(decide(&policy, &"x".repeat(timers), None)).0;
    assert!(is_rejected(&timers(50)), "{:?}", timers(50));
    assert!(matches!(timers(51).error, Some(PolicyError::Sandbox(_))), "{:?}", timers(51));
}

#[test]
fn output_is_captured_up_to_limit_and_rest_is_counted() {
    let limits = Limits { max_captured_output_bytes: 100, max_host_call_bytes: 2000, ..limits() };
    let policy = load("prints", &limits, EMPTY);
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
    let decision = run("prints_zeroes", &limits(), EMPTY);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
}

#[test]
fn control_characters_in_output_are_escaped() {
    let policy = load("prints", &limits(), EMPTY);
    let prints = |text: &str| block_on(decide(&policy, text, Some("x"))).0.output.expect("an output").text;
    for text in ["plain", "\"quoted\" \\ 'text'", "日本 ß", "two\nlines\tand a tab"] {
        assert_eq!(prints(text), text);
    }
    assert_eq!(prints("\u{1b}[2J"), "\\u{1b}[2J");
    assert_eq!(prints("a\r\0\u{85}\u{202e}\u{7f}"), "a\\u{d}\\u{0}\\u{85}\\u{202e}\\u{7f}");
}

/// Starts a server with this policy. The directory contains the policy's file and must outlive the server.
fn start(name: &str, wasi: &str) -> (TestServer, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("policy.wasm");
    std::fs::write(&file, component(name)).expect("the file is written");
    let settings = format!("sandbox.max_captured_output_bytes = 20\n[wasi]\n{wasi}");
    (Setup { policy: Some(file.display().to_string()), settings, ..Setup::without_auth() }.start(), directory)
}

#[test]
fn output_is_logged_but_not_audited() {
    let (host, _directory) = start("prints", "enabled = true");
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
fn audit_event_names_missing_grant() {
    let (host, _directory) = start("reads_clocks", "enabled = true");
    host.delete("/learnings/x", None).assert_error(500, "Internal server error", "INTERNAL_SERVER_ERROR");
    let audit = host.wait_for_log(&["\"audit\"", "policy_error"]);
    assert!(audit["policy_error"].as_str().is_some_and(|error| error.contains("`clocks = true`")), "{audit}");
}

#[test]
fn check_reports_wasi_imports_and_missing_grants() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("policy.wasm");
    std::fs::write(&file, component("reads_clocks")).expect("the file is written");
    let check = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_delete-learning"));
        let output = command.arg("check").arg(&file).args(arguments).output().expect("the server binary runs");
        assert_eq!(output.status.code(), Some(1), "some cases fail");
        String::from_utf8(output.stdout).expect("text")
    };
    let output = check(&[]);
    for part in ["3 of the imports", "wasi:clocks/wall-clock@0.2.0", "does not fit", "`enabled = true` under `[wasi]`"]
    {
        assert!(output.contains(part), "{part:?} is missing in: {output}");
    }
    let output = check(&["--wasi"]);
    assert!(output.contains("contract    fits") && output.contains("`clocks = true` under `[wasi]`"), "{output}");
    let output = check(&["--wasi", "--wasi-clocks"]);
    assert!(output.contains("contract    fits") && !output.contains("`clocks = true`"), "{output}");
    let report: serde_json::Value = serde_json::from_str(&check(&["--format", "json"])).expect("JSON");
    assert_eq!(report["wasi"].as_array().map(Vec::len), Some(3), "{report}");
}

#[test]
fn dropped_output_differs_from_no_output() {
    let policy = load("prints", &Limits { max_captured_output_bytes: 0, ..limits() }, EMPTY);
    let (decision, _) = block_on(decide(&policy, "four", Some("x")));
    assert_eq!(decision.output, Some(CapturedOutput { text: String::new(), dropped_bytes: 4 }));
}
