//! Every limit of the sandbox at its boundary: the limit itself is allowed, one more is not.

use super::record::{block_on, caller, decide, limits};
use super::text;
use crate::support::fake_storage::FakeStorage;
use crate::support::sandbox::{default_policy, sandbox};
use delete_learning::conformance::{cases, run};
use delete_learning::{
    Access, DEFAULT_POLICY, Decision, DeleteRequest, HostCall, Limits, LoadError, Outcome, Policy, PolicyError,
    RecordOutcome,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

const PAGE: usize = 64 * 1024;

/// Runs a probe with a learning id and a db-id of these lengths in bytes.
fn run_probe(text: &str, limits: &Limits, id: usize, db_id: usize) -> Decision {
    let policy = Policy::load(&text::bytes(text), limits).expect("the probe loads");
    block_on(decide(&policy, &"x".repeat(id), Some(&"y".repeat(db_id)))).0
}

fn is_rejected(decision: &Decision) -> bool {
    decision.error.is_none() && decision.answer.as_ref().is_err_and(|rejection| rejection.status == 403)
}

#[test]
fn host_calls_above_limit_stop_policy() {
    let calls = |calls| run_probe(include_str!("probes/calls.wat"), &limits().max_host_calls(5), calls, 0);
    assert!(is_rejected(&calls(5)), "{:?}", calls(5));
    assert!(matches!(calls(6).error, Some(PolicyError::TooManyCalls)), "{:?}", calls(6));
}

#[test]
fn total_memory_grows_up_to_limit() {
    let limits = limits().max_memory_bytes(20 * PAGE);
    // The shared memory starts with four pages.
    for (shared, own, succeeds) in [(16, 0, true), (17, 0, false), (9, 7, true), (9, 8, false), (0, 17, false)] {
        let decision = run_probe(include_str!("probes/memory.wat"), &limits, shared, own);
        assert_eq!(decision.answer.is_ok(), succeeds, "{shared} {own}: {decision:?}");
        assert!(succeeds || is_rejected(&decision), "{decision:?}");
    }
}

#[test]
fn initial_memory_can_equal_limit() {
    let load = |pages: usize| {
        let limits = limits().max_memory_bytes(pages * PAGE);
        Policy::load(&text::bytes(include_str!("probes/memory.wat")), &limits)
    };
    let policy = load(4).expect("the policy loads");
    assert!(block_on(decide(&policy, "", Some(""))).0.answer.is_ok());
    assert!(matches!(load(3), Err(LoadError::ExceedsLimits(_))));
}

#[test]
fn core_instances_and_memories_are_limited() {
    // Core instances: 16 empty ones, the memory's and the policy's. Memories: 16 and the shared one.
    for (text, count) in [
        (include_str!("declares_too_many_core_instances.wat"), 18),
        (include_str!("declares_too_many_memories.wat"), 17),
    ] {
        let load =
            |max_core_instances| Policy::load(&text::bytes(text), &limits().max_core_instances(max_core_instances));
        assert!(load(count).is_ok());
        let error = load(count - 1).err().expect("a load error");
        assert!(
            matches!(error, LoadError::ExceedsLimits(_) | LoadError::TooManyCoreInstances { .. })
                && error.to_string().contains("max_core_instances"),
            "{error}"
        );
    }
}

#[test]
fn time_in_host_calls_is_not_charged_to_policy() {
    // Storage takes 150 to 200 ms, several times the CPU time limit of the policy.
    let limits = limits().cpu_time_limit_ms(50).execution_timeout_ms(60_000);
    let policy = Policy::load(&text::bytes(include_str!("probes/deletes.wat")), &limits).expect("the policy loads");
    for delay in [Duration::from_millis(5), Duration::from_millis(50)] {
        let storage = slow_storage(delay, false);
        let calls = if delay < Duration::from_millis(10) { 31 } else { 4 };
        let request = DeleteRequest { learning_id: "x".repeat(calls), db_id: None, table: None };
        let decision = block_on(policy.decide(request.clone(), Ok(caller()), storage));
        assert!(is_rejected(&decision), "{decision:?}");
        // The same if storage blocks the thread on which the policy runs.
        let storage = slow_storage(delay, true);
        let decision = block_on(policy.decide(request, Ok(caller()), storage));
        assert!(is_rejected(&decision), "{decision:?}");
    }
}

#[test]
fn host_calls_do_not_reset_cpu_time() {
    let limits = limits().max_host_calls(u32::MAX).cpu_time_limit_ms(20).execution_timeout_ms(60_000);
    let policy =
        Policy::load(&text::bytes(include_str!("spins_and_locates_endlessly.wat")), &limits).expect("the policy loads");
    let (decision, _) = block_on(decide(&policy, "record", None));
    assert!(matches!(decision.error, Some(PolicyError::CpuTimeLimit)), "{decision:?}");
}

/// Such a case is repeated before a policy is refused, because a busy machine can be the reason.
#[test]
fn conformance_case_tells_exceeded_time_from_other_violations() {
    let limits = limits().cpu_time_limit_ms(20);
    let cases = cases().expect("the cases can be parsed");
    let run_case = |component: &[u8]| {
        let policy = Policy::load(component, &limits).expect("the policy loads");
        block_on(run(&policy, &cases[0]))
    };
    let of_text = |text| run_case(&text::bytes(text));
    let (spins, traps) = (of_text(include_str!("spins_before_calls.wat")), of_text(include_str!("traps.wat")));
    assert!(spins.is_violation() && traps.is_violation());
    assert!(spins.exceeded_time() && !traps.exceeded_time());
    assert!(!run_case(DEFAULT_POLICY).exceeded_time());
}

#[test]
fn slow_policy_is_offloaded_and_fast_policy_is_not() {
    let limits = limits().cpu_time_limit_ms(1000);
    let policy = Policy::load(&text::bytes(include_str!("probes/spins.wat")), &limits).expect("the policy loads");
    let thread_of = |millions: usize| {
        let thread = Arc::new(Mutex::new(None));
        let deleted_on = Arc::clone(&thread);
        let storage = FakeStorage::new(move || {
            *deleted_on.lock().expect("no panic") = std::thread::current().name().map(str::to_owned);
            std::future::ready(Ok(Outcome::Deleted))
        });
        let request = DeleteRequest { learning_id: "x".repeat(millions), db_id: None, table: None };
        let decision = block_on(policy.decide(request, Ok(caller()), Arc::new(storage)));
        assert!(decision.answer.is_ok() && decision.record == RecordOutcome::Deleted, "{decision:?}");
        thread.lock().expect("no panic").clone()
    };
    assert_ne!(thread_of(0).as_deref(), Some("policy-offload"));
    // Takes 150 to 400 ms, depending on the machine. Two ticks are 80 ms.
    assert_eq!(thread_of(600).as_deref(), Some("policy-offload"));
}

/// Storage that returns `absent` after a delay, with or without blocking the thread.
fn slow_storage(delay: Duration, blocks: bool) -> Arc<FakeStorage> {
    Arc::new(FakeStorage::new(move || async move {
        if blocks {
            std::thread::sleep(delay);
        } else {
            tokio::time::sleep(delay).await;
        }
        Ok(Outcome::Absent)
    }))
}

#[test]
fn limits_apply_without_pooling_allocator() {
    // 64 memories of a tebibyte exceed the address space, so the pooling allocator cannot be used.
    let limits = Limits::default().max_concurrent_instances(64).max_memory_bytes(1 << 40).max_table_elements(100);
    for (first, second, succeeds) in [(100, 0, true), (101, 0, false), (60, 40, true), (60, 41, false)] {
        let decision = run_probe(include_str!("probes/table.wat"), &limits, first, second);
        assert_eq!(decision.answer.is_ok(), succeeds, "{first} {second}: {decision:?}");
    }
    let decision = run_probe(include_str!("declares_oversized_table.wat"), &limits, 0, 0);
    assert!(matches!(decision.error, Some(PolicyError::ExceedsLimits)), "{decision:?}");
}

#[test]
fn total_table_elements_grow_up_to_limit() {
    let limits = limits().max_table_elements(100);
    for (first, second, succeeds) in [(100, 0, true), (101, 0, false), (60, 40, true), (60, 41, false)] {
        let decision = run_probe(include_str!("probes/table.wat"), &limits, first, second);
        assert_eq!(decision.answer.is_ok(), succeeds, "{first} {second}: {decision:?}");
        assert!(succeeds || is_rejected(&decision), "{decision:?}");
    }
}

#[test]
fn resource_handles_are_limited_by_table_elements() {
    let limits = limits().max_table_elements(100);
    let handles = |handles| run_probe(include_str!("probes/handles.wat"), &limits, handles, 0);
    assert!(is_rejected(&handles(100)), "{:?}", handles(100));
    assert!(matches!(handles(101).error, Some(PolicyError::Sandbox(_))), "{:?}", handles(101));
}

#[test]
fn bytes_passed_to_host_are_counted_over_calls_and_answer() {
    let limits = limits().max_host_call_bytes(2000);
    let owner = |bytes| run_probe(include_str!("probes/bytes.wat"), &limits, bytes, 0);
    // The rejection takes 14 bytes.
    assert!(is_rejected(&owner(1986)), "{:?}", owner(1986));
    assert!(matches!(owner(1987).error, Some(PolicyError::TooManyBytes)), "{:?}", owner(1987));
    assert!(matches!(owner(2000).error, Some(PolicyError::TooManyBytes)), "{:?}", owner(2000));
    // More than the limit in one call is not even copied.
    assert!(matches!(owner(2001).error, Some(PolicyError::Sandbox(_))), "{:?}", owner(2001));
    let deletes =
        |decision: Decision| decision.calls.iter().filter(|call| matches!(call, HostCall::Delete { .. })).count();
    assert_eq!((deletes(owner(2001)), deletes(owner(1986))), (0, 1));
}

#[test]
fn detail_and_rule_lengths_are_limited() {
    let rejection = |detail, rule| run_probe(include_str!("probes/rejection.wat"), &limits(), detail, rule);
    for (detail, rule) in [(1, 1), (1024, 64)] {
        let decision = rejection(detail, rule);
        assert!(decision.error.is_none(), "{decision:?}");
        let rejection = decision.answer.as_ref().expect_err("a rejection");
        assert_eq!((rejection.detail.len(), rejection.rule.len()), (detail, rule));
    }
    for (detail, rule) in [(1025, 64), (1024, 65), (0, 64), (1024, 0)] {
        assert!(matches!(rejection(detail, rule).error, Some(PolicyError::InvalidRejection { .. })), "{detail} {rule}");
    }
}

#[test]
fn detail_and_rule_characters_are_validated() {
    let policy = Policy::load(&text::bytes(include_str!("probes/rejection.wat")), &limits()).expect("the policy loads");
    let is_accepted = |detail: &str, rule: &str| {
        let (decision, _) = block_on(decide(&policy, detail, Some(rule)));
        assert!(
            is_rejected(&decision) || matches!(decision.error, Some(PolicyError::InvalidRejection { .. })),
            "{decision:?}"
        );
        decision.error.is_none()
    };
    // 1024 bytes in 512 characters. The host escapes quotes and backslashes in JSON.
    for detail in [&"ß".repeat(512), "\"\\\"", "日本", "\u{2028}"] {
        assert!(is_accepted(detail, "rule-1"), "{detail:?}");
    }
    for detail in [&"ß".repeat(513), "\0", "a\nb", "\u{1b}[2J", "\u{7f}", "\u{85}"] {
        assert!(!is_accepted(detail, "rule-1"), "{detail:?}");
    }
    for rule in ["Rule", "a b", "a_b", "ä", "a\n"] {
        assert!(!is_accepted("No.", rule), "{rule:?}");
    }
}

/// Storage whose deletes wait until the test adds permits to `open`.
struct Gate {
    entered: AtomicU32,
    open: Semaphore,
}

impl Gate {
    fn closed() -> Arc<Self> {
        Arc::new(Self { entered: AtomicU32::new(0), open: Semaphore::new(0) })
    }

    fn entered(&self) -> u32 {
        self.entered.load(Ordering::SeqCst)
    }

    fn storage(self: &Arc<Self>) -> Arc<FakeStorage> {
        let gate = Arc::clone(self);
        Arc::new(FakeStorage::new(move || {
            let gate = Arc::clone(&gate);
            gate.entered.fetch_add(1, Ordering::SeqCst);
            async move {
                gate.open.acquire().await.expect("the semaphore is never closed").forget();
                Ok(Outcome::Deleted)
            }
        }))
    }
}

/// Starts a decision and returns once so many deletes wait at the gate.
async fn start(policy: &Arc<Policy>, gate: &Arc<Gate>, at_gate: u32) -> tokio::task::JoinHandle<Decision> {
    let (policy, storage) = (Arc::clone(policy), gate.storage());
    let request = DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: None };
    let task = tokio::spawn(async move { policy.decide(request, Ok(caller()), storage).await });
    while gate.entered() < at_gate {
        tokio::task::yield_now().await;
    }
    task
}

#[test]
fn request_above_concurrency_limit_is_answered_503() {
    let limits = Limits::default().max_concurrent_instances(2).queue_timeout_ms(100).execution_timeout_ms(60_000);
    let policy = Arc::new(default_policy(&limits));
    block_on(async {
        let gate = Gate::closed();
        let running = [start(&policy, &gate, 1).await, start(&policy, &gate, 2).await];
        let decision = start(&policy, &gate, 2).await.await.expect("no panic");
        assert!(matches!(decision.error, Some(PolicyError::Overloaded)), "{decision:?}");
        assert_eq!((decision.rule(), decision.record), ("sandbox-overloaded", RecordOutcome::NotDeleted));
        assert_eq!(decision.answer.expect_err("a rejection").status, 503);
        assert_eq!(gate.entered(), 2, "the policy never ran");
        gate.open.add_permits(2);
        for decision in running {
            assert!(decision.await.expect("no panic").answer.is_ok());
        }
    });
}

#[test]
fn waiting_request_runs_when_permit_is_released() {
    let limits = Limits::default().max_concurrent_instances(1).queue_timeout_ms(60_000).execution_timeout_ms(120_000);
    let sandbox = sandbox(&limits);
    let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), Vec::new()).expect("the policy loads");
    let policy = Arc::new(policy);
    block_on(async {
        assert_eq!(sandbox.instances_in_use(), 0);
        let gate = Gate::closed();
        let first = start(&policy, &gate, 1).await;
        let second = start(&policy, &gate, 1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!((gate.entered(), sandbox.instances_in_use()), (1, 1), "the second waits");
        gate.open.add_permits(1);
        assert!(first.await.expect("no panic").answer.is_ok());
        gate.open.add_permits(1);
        assert!(second.await.expect("no panic").answer.is_ok());
        assert_eq!((gate.entered(), sandbox.instances_in_use()), (2, 0));
    });
}
