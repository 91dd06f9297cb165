//! A hostile policy in a running host.

use super::text;
use crate::support::server::{Host, Setup, command};
use std::thread;
use tempfile::TempDir;

/// Mebibytes that a host may grow by under a hostile policy: generous, for what an allocator keeps.
const MOST_GROWTH: u64 = 64 * 1024 * 1024;

/// A host with this policy; the folder of its file must outlive it.
fn host(component: &str) -> (Host, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("hostile.wasm");
    std::fs::write(&file, text::bytes(component)).expect("a file can be written");
    let setup = Setup {
        policy: Some(file.display().to_string()),
        settings: "sandbox.cpu_time_limit_ms = 20\nsandbox.max_concurrent_instances = 16".to_owned(),
        ..Setup::open()
    };
    (setup.start(), folder)
}

/// Asks for many deletions at once, and demands 500 for each, health meanwhile, and memory that does not grow.
fn holds_out(host: &Host, requests: usize) {
    let ask = |from: usize| {
        for at in (from..requests).step_by(4) {
            host.delete(&format!("/learnings/absent-{at}"), None).is_error(
                500,
                "Internal server error",
                "INTERNAL_SERVER_ERROR",
            );
        }
    };
    // What is allocated once is allocated now.
    ask(requests - 20);
    let before = host.resident_bytes();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|from| scope.spawn(move || ask(from))).collect();
        while !asking.iter().all(thread::ScopedJoinHandle::is_finished) {
            let health = host.request("GET", "/health", &[]);
            assert_eq!(health.status, 200, "{health:?}");
        }
    });
    if let (Some(before), Some(after)) = (before, host.resident_bytes()) {
        println!("resident before {} KiB, after {requests} requests {} KiB", before / 1024, after / 1024);
        assert!(after < before + MOST_GROWTH, "it grew from {before} to {after} bytes");
    }
}

/// Asks for the deletion of a record, and demands 500 and an audit record that says this of the policy and the record.
fn is_audited(host: &Host, fault: &str, record: &str) {
    let database = host.database("main");
    database.insert("victim", Some("alice"));
    let answer = host.delete("/learnings/victim", None);
    answer.is_error(500, "Internal server error", "INTERNAL_SERVER_ERROR");
    assert!(!answer.body.contains("hostile"), "{answer:?}");
    let audit = host.logged(&["\"audit\"", "\"victim\"", "\"policy_fault\""]);
    let entry = |name: &str| {
        let fields = audit.get("fields").unwrap_or(&audit);
        fields[name].clone()
    };
    assert_eq!(entry("record"), record, "{audit}");
    assert_eq!((entry("status"), entry("rule")), (500.into(), "policy-fault".into()), "{audit}");
    assert!(entry("policy_fault").as_str().is_some_and(|told| told.contains(fault)), "{audit}");
    assert_eq!(database.has("victim"), record == "kept", "what is said of the record is so");
}

#[test]
fn one_that_spins_costs_its_own_request_a_500_and_the_host_goes_on() {
    let (host, _folder) = host(include_str!("spins_between_calls.wat"));
    is_audited(&host, "CPU time limit", "kept");
    holds_out(&host, 40);
}

#[test]
fn one_that_deletes_and_traps_is_audited_as_having_deleted() {
    let (host, _folder) = host(include_str!("traps_after_deleting.wat"));
    is_audited(&host, "trapped", "deleted");
    holds_out(&host, 400);
}

#[test]
fn one_that_lies_is_not_believed() {
    let (host, _folder) = host(include_str!("claims_a_deletion.wat"));
    is_audited(&host, "reported a deletion that did not happen", "kept");
    holds_out(&host, 400);
}

#[test]
fn one_that_hoards_memory_takes_none_from_the_host() {
    let (host, _folder) = host(include_str!("grows_memory.wat"));
    is_audited(&host, "CPU time limit", "kept");
    holds_out(&host, 40);
}

#[test]
fn memory_that_policies_wrote_to_is_given_back_when_they_end() {
    let (host, _folder) = host(include_str!("fills_memory.wat"));
    let before = host.resident_bytes();
    is_audited(&host, "trapped", "kept");
    for at in 0..40 {
        assert_eq!(host.delete(&format!("/learnings/absent-{at}"), None).status, 500);
    }
    if let (Some(before), Some(after)) = (before, host.resident_bytes()) {
        println!("resident before {} KiB, after 41 policies that filled 16 MiB {} KiB", before / 1024, after / 1024);
        assert!(after < before + MOST_GROWTH, "it grew from {before} to {after} bytes");
    }
}

#[test]
fn where_there_is_no_room_to_run_the_answer_is_503_and_says_when_to_ask_again() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("hostile.wasm");
    std::fs::write(&file, text::bytes(include_str!("spins_before_calls.wat"))).expect("a file can be written");
    let setup = Setup {
        policy: Some(file.display().to_string()),
        settings:
            "sandbox.cpu_time_limit_ms = 3000\nsandbox.max_concurrent_instances = 1\nsandbox.queue_timeout_ms = 50"
                .to_owned(),
        ..Setup::open()
    };
    let host = setup.start();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(|| host.delete("/learnings/absent", None))).collect();
        let mut answers: Vec<_> = asking.into_iter().map(|asking| asking.join().expect("an answer")).collect();
        answers.sort_by_key(|answer| answer.status);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [500, 503, 503]);
        for answer in &answers[1..] {
            answer.is_error(503, "The service is busy; nothing was deleted", "SERVICE_UNAVAILABLE");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    });
    let audit = host.logged(&["\"audit\"", "sandbox-overloaded"]);
    assert_eq!(audit["record"], "kept", "{audit}");
}

#[test]
fn a_policy_larger_than_its_limit_keeps_the_host_from_starting() {
    let folder = TempDir::new().expect("a folder");
    let bytes = text::bytes(include_str!("deletes_twice.wat"));
    std::fs::write(folder.path().join("large.wasm"), &bytes).expect("a file can be written");
    let settings = format!("sandbox.max_component_bytes = {}", bytes.len() - 1);
    let setup = Setup { policy: Some("large.wasm".to_owned()), settings, ..Setup::open() };
    let config = folder.path().join("host.toml");
    std::fs::write(&config, setup.text()).expect("the configuration can be written");
    let output = command(&config).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{error}");
    for part in ["large.wasm", &format!("the component has {} bytes", bytes.len()), "max_component_bytes"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}
