//! Malicious policies in a running server.

use super::text;
use crate::support::server::{Setup, TestServer, serve_command};
use std::thread;
use tempfile::TempDir;

/// Maximum growth of the server's resident memory in bytes. Generous, because an allocator retains freed memory.
const MAX_GROWTH_BYTES: u64 = 64 * 1024 * 1024;

/// Starts a server with this policy. The directory contains the policy's file and must outlive the server.
fn start(component: &str) -> (TestServer, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("malicious.wasm");
    std::fs::write(&file, text::bytes(component)).expect("the file is written");
    let setup = Setup {
        policy: Some(file.display().to_string()),
        settings: "sandbox.cpu_time_limit_ms = 20\nsandbox.max_concurrent_instances = 16".to_owned(),
        ..Setup::without_auth()
    };
    (setup.start(), directory)
}

/// Sends concurrent deletes; asserts that each is answered 500, that `/health` stays 200 and that memory does not grow.
fn assert_withstands(host: &TestServer, requests: usize) {
    let send = |from: usize| {
        for at in (from..requests).step_by(4) {
            host.delete(&format!("/learnings/absent-{at}"), None).assert_error(
                500,
                "Internal server error",
                "INTERNAL_SERVER_ERROR",
            );
        }
    };
    // Warm up, so that what is allocated once is not counted.
    send(requests - 20);
    let before = host.resident_bytes();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|from| scope.spawn(move || send(from))).collect();
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            let health = host.request("GET", "/health", &[]);
            assert_eq!(health.status, 200, "{health:?}");
        }
    });
    if let (Some(before), Some(after)) = (before, host.resident_bytes()) {
        println!("resident before {} KiB, after {requests} requests {} KiB", before / 1024, after / 1024);
        assert!(after < before + MAX_GROWTH_BYTES, "memory grew from {before} to {after} bytes");
    }
}

/// Sends a delete; asserts that it is answered 500 and that the audit event has this policy error and record outcome.
fn assert_audited(host: &TestServer, error: &str, record: &str) {
    let database = host.database("main");
    database.insert("victim", Some("alice"));
    let answer = host.delete("/learnings/victim", None);
    answer.assert_error(500, "Internal server error", "INTERNAL_SERVER_ERROR");
    assert!(!answer.body.contains("malicious") && !answer.body.contains("blocked"), "{answer:?}");
    let audit = host.wait_for_log(&["\"audit\"", "\"victim\"", "\"policy_error\""]);
    let field = |name: &str| {
        let fields = audit.get("fields").unwrap_or(&audit);
        fields[name].clone()
    };
    assert_eq!(field("record"), record, "{audit}");
    assert_eq!((field("status"), field("rule")), (500.into(), "policy-error".into()), "{audit}");
    assert!(field("policy_error").as_str().is_some_and(|text| text.contains(error)), "{audit}");
    assert_eq!(database.contains("victim"), record == "not-deleted", "the audited outcome is true");
}

#[test]
fn spinning_policy_is_answered_500_and_server_keeps_serving() {
    let (host, _directory) = start(include_str!("spins_between_calls.wat"));
    assert_audited(&host, "CPU time limit", "not-deleted");
    assert_withstands(&host, 40);
}

#[test]
fn trap_after_delete_is_audited_as_deleted() {
    let (host, _directory) = start(include_str!("traps_after_deleting.wat"));
    assert_audited(&host, "trapped", "deleted");
    assert_withstands(&host, 400);
}

#[test]
fn false_success_is_answered_500_and_audited_as_not_deleted() {
    let (host, _directory) = start(include_str!("reports_success_without_delete.wat"));
    assert_audited(&host, "reported a deletion that did not happen", "not-deleted");
    assert_withstands(&host, 400);
}

#[test]
fn memory_growth_of_policy_does_not_grow_server() {
    let (host, _directory) = start(include_str!("grows_memory.wat"));
    assert_audited(&host, "CPU time limit", "not-deleted");
    assert_withstands(&host, 40);
}

#[test]
fn memory_written_by_policies_is_released() {
    let (host, _directory) = start(include_str!("fills_memory_and_traps.wat"));
    let before = host.resident_bytes();
    assert_audited(&host, "trapped", "not-deleted");
    for at in 0..40 {
        assert_eq!(host.delete(&format!("/learnings/absent-{at}"), None).status, 500);
    }
    if let (Some(before), Some(after)) = (before, host.resident_bytes()) {
        println!("resident before {} KiB, after 41 policies that filled 16 MiB {} KiB", before / 1024, after / 1024);
        assert!(after < before + MAX_GROWTH_BYTES, "memory grew from {before} to {after} bytes");
    }
}

#[test]
fn request_without_free_instance_is_answered_503() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("malicious.wasm");
    std::fs::write(&file, text::bytes(include_str!("spins_before_calls.wat"))).expect("the file is written");
    let setup = Setup {
        policy: Some(file.display().to_string()),
        settings:
            "sandbox.cpu_time_limit_ms = 1000\nsandbox.max_concurrent_instances = 1\nsandbox.queue_timeout_ms = 50"
                .to_owned(),
        ..Setup::without_auth()
    };
    let host = setup.start();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| host.delete("/learnings/absent", None))).collect();
        let mut answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        answers.sort_by_key(|answer| answer.status);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [500, 503, 503]);
        for answer in &answers[1..] {
            answer.assert_error(503, "The service is busy; nothing was deleted", "SERVICE_UNAVAILABLE");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    });
    let audit = host.wait_for_log(&["\"audit\"", "sandbox-overloaded"]);
    assert_eq!(audit["record"], "not-deleted", "{audit}");
}

#[test]
fn server_with_oversized_policy_does_not_start() {
    let directory = TempDir::new().expect("a temporary directory");
    let bytes = text::bytes(include_str!("deletes_twice.wat"));
    std::fs::write(directory.path().join("large.wasm"), &bytes).expect("the file is written");
    let settings = format!("sandbox.max_component_bytes = {}", bytes.len() - 1);
    let setup = Setup { policy: Some("large.wasm".to_owned()), settings, ..Setup::without_auth() };
    let config = directory.path().join("delete-learning.toml");
    std::fs::write(&config, setup.config_text()).expect("the configuration is written");
    let output = serve_command(&config).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{error}");
    for part in ["large.wasm", &format!("the component has {} bytes", bytes.len()), "max_component_bytes"] {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}
