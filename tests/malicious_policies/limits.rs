//! Each limit from both sides: what it allows is possible, and one more is not.

use super::record::{caller, decide, limits, run};
use super::text;
use crate::support::fake_storage::FakeStorage;
use delete_learning::{
    DEFAULT_POLICY, Decision, DeleteRequest, HostCall, Limits, LoadError, Outcome, Policy, PolicyError, RecordOutcome,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

const PAGE: usize = 64 * 1024;

/// What this probe decides, within these limits, about a learning id of so many bytes and a db-id of so many.
fn probe(probe: &str, limits: &Limits, id: usize, db_id: usize) -> Decision {
    let policy = Policy::load(&text::bytes(probe), limits).expect("the probe fits");
    run(decide(&policy, &"x".repeat(id), Some(&"y".repeat(db_id)))).0
}

fn is_refusal(decision: &Decision) -> bool {
    decision.error.is_none() && decision.answer.as_ref().is_err_and(|rejection| rejection.status == 403)
}

#[test]
fn the_last_call_that_is_allowed_is_answered_and_one_more_stops_the_policy() {
    let calls = |calls| probe(include_str!("probes/calls.wat"), &Limits { max_host_calls: 5, ..limits() }, calls, 0);
    assert!(is_refusal(&calls(5)), "{:?}", calls(5));
    assert!(matches!(calls(6).error, Some(PolicyError::TooManyCalls)), "{:?}", calls(6));
}

#[test]
fn memory_grows_to_the_limit_in_sum_and_by_no_page_more() {
    let limits = Limits { max_memory_bytes: 20 * PAGE, ..limits() };
    // It begins with four.
    for (common, own, is_granted) in [(16, 0, true), (17, 0, false), (9, 7, true), (9, 8, false), (0, 17, false)] {
        let decision = probe(include_str!("probes/memory.wat"), &limits, common, own);
        assert_eq!(decision.answer.is_ok(), is_granted, "{common} {own}: {decision:?}");
        assert!(is_granted || is_refusal(&decision), "{decision:?}");
    }
}

#[test]
fn a_policy_that_begins_with_all_the_memory_there_is_runs_and_one_that_begins_with_more_does_not() {
    let load = |pages: usize| {
        let limits = Limits { max_memory_bytes: pages * PAGE, ..limits() };
        Policy::load(&text::bytes(include_str!("probes/memory.wat")), &limits)
    };
    let policy = load(4).expect("it fits");
    assert!(run(decide(&policy, "", Some(""))).0.answer.is_ok());
    assert!(matches!(load(3), Err(LoadError::ExceedsLimits(_))));
}

#[test]
fn a_policy_is_made_of_as_many_parts_as_the_limit_and_no_more() {
    // Core instances: 16 that do nothing, its memory's, its own. Memories: 16, and the one that it shares with its host.
    for (text, parts) in [(include_str!("has_many_instances.wat"), 18), (include_str!("has_many_memories.wat"), 17)] {
        let load = |max_core_instances| Policy::load(&text::bytes(text), &Limits { max_core_instances, ..limits() });
        assert!(load(parts).is_ok());
        let error = load(parts - 1).err().expect("it is refused");
        assert!(
            matches!(error, LoadError::ExceedsLimits(_)) && error.to_string().contains("max_core_instances"),
            "{error}"
        );
    }
}

#[test]
fn what_the_host_does_for_a_policy_is_not_charged_to_it() {
    // 40 ticks of the processor's time pass while storage works, and ten is what the policy has.
    let limits = Limits { cpu_time_limit_ms: 50, execution_timeout_ms: 60_000, ..limits() };
    let policy = Policy::load(&text::bytes(include_str!("probes/deletes.wat")), &limits).expect("it fits");
    for delay in [Duration::from_millis(5), Duration::from_millis(50)] {
        let storage = slow_storage(delay, false);
        let calls = if delay < Duration::from_millis(10) { 31 } else { 4 };
        let request = DeleteRequest { learning_id: "x".repeat(calls), db_id: None, table: None };
        let decision = run(policy.decide(request.clone(), Ok(caller()), storage));
        assert!(is_refusal(&decision), "{decision:?}");
        // The same where storage holds the thread on which the policy runs.
        let storage = slow_storage(delay, true);
        let decision = run(policy.decide(request, Ok(caller()), storage));
        assert!(is_refusal(&decision), "{decision:?}");
    }
}

#[test]
fn a_policy_gains_no_processor_time_by_calling_its_host() {
    // It spins, and calls the host in between as often as it can.
    let limits = Limits { max_host_calls: u32::MAX, cpu_time_limit_ms: 20, execution_timeout_ms: 60_000, ..limits() };
    let policy = Policy::load(&text::bytes(include_str!("spins_and_calls.wat")), &limits).expect("it fits");
    let (decision, _) = run(decide(&policy, "hers", None));
    assert!(matches!(decision.error, Some(PolicyError::CpuTimeLimit)), "{decision:?}");
}

#[test]
fn a_policy_that_takes_long_is_offloaded_and_a_quick_one_does_not() {
    let limits = Limits { cpu_time_limit_ms: 500, ..limits() };
    let policy = Policy::load(&text::bytes(include_str!("probes/spins.wat")), &limits).expect("it fits");
    let thread_of = |millions: usize| {
        let thread = Arc::new(Mutex::new(None));
        let deleted_on = Arc::clone(&thread);
        let storage = FakeStorage::new(move || {
            *deleted_on.lock().expect("no panic") = std::thread::current().name().map(str::to_owned);
            std::future::ready(Ok(Outcome::Deleted))
        });
        let request = DeleteRequest { learning_id: "x".repeat(millions), db_id: None, table: None };
        let decision = run(policy.decide(request, Ok(caller()), Arc::new(storage)));
        assert!(decision.answer.is_ok() && decision.record == RecordOutcome::Deleted, "{decision:?}");
        thread.lock().expect("no panic").clone()
    };
    assert_ne!(thread_of(0).as_deref(), Some("policy-offload"));
    // Some 100 to 200 milliseconds, where two ticks are 40.
    assert_eq!(thread_of(300).as_deref(), Some("policy-offload"));
}

/// Storage that finds nothing after a delay, during which it occupies the thread of the policy or not.
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
fn the_limits_hold_without_a_pool_too() {
    // No machine has the addresses for a pool of this many memories of a tebibyte.
    let limits = Limits {
        max_concurrent_instances: 64,
        max_memory_bytes: 1 << 40,
        max_table_elements: 100,
        ..Limits::default()
    };
    for (first, second, is_granted) in [(100, 0, true), (101, 0, false), (60, 40, true), (60, 41, false)] {
        let decision = probe(include_str!("probes/table.wat"), &limits, first, second);
        assert_eq!(decision.answer.is_ok(), is_granted, "{first} {second}: {decision:?}");
    }
    let decision = probe(include_str!("has_a_large_table.wat"), &limits, 0, 0);
    assert!(matches!(decision.error, Some(PolicyError::ExceedsLimits)), "{decision:?}");
}

#[test]
fn tables_grow_to_the_limit_in_sum_and_by_no_element_more() {
    let limits = Limits { max_table_elements: 100, ..limits() };
    for (first, second, is_granted) in [(100, 0, true), (101, 0, false), (60, 40, true), (60, 41, false)] {
        let decision = probe(include_str!("probes/table.wat"), &limits, first, second);
        assert_eq!(decision.answer.is_ok(), is_granted, "{first} {second}: {decision:?}");
        assert!(is_granted || is_refusal(&decision), "{decision:?}");
    }
}

#[test]
fn handles_to_resources_are_as_many_as_table_elements_and_no_more() {
    let limits = Limits { max_table_elements: 100, ..limits() };
    let handles = |handles| probe(include_str!("probes/handles.wat"), &limits, handles, 0);
    assert!(is_refusal(&handles(100)), "{:?}", handles(100));
    assert!(matches!(handles(101).error, Some(PolicyError::Sandbox(_))), "{:?}", handles(101));
}

#[test]
fn bytes_to_the_host_are_counted_over_calls_and_answer() {
    let limits = Limits { max_host_call_bytes: 2000, ..limits() };
    let owner = |bytes| probe(include_str!("probes/bytes.wat"), &limits, bytes, 0);
    // 14 are those of its refusal.
    assert!(is_refusal(&owner(1986)), "{:?}", owner(1986));
    assert!(matches!(owner(1987).error, Some(PolicyError::TooManyBytes)), "{:?}", owner(1987));
    assert!(matches!(owner(2000).error, Some(PolicyError::TooManyBytes)), "{:?}", owner(2000));
    // More than that in one call is not even copied.
    assert!(matches!(owner(2001).error, Some(PolicyError::Sandbox(_))), "{:?}", owner(2001));
    let deletes =
        |decision: Decision| decision.calls.iter().filter(|call| matches!(call, HostCall::Delete { .. })).count();
    assert_eq!((deletes(owner(2001)), deletes(owner(1986))), (0, 1));
}

#[test]
fn a_detail_and_a_rule_are_as_long_as_the_contract_allows_and_no_longer() {
    let refusal = |detail, rule| probe(include_str!("probes/refusal.wat"), &limits(), detail, rule);
    for (detail, rule) in [(1, 1), (1024, 64)] {
        let decision = refusal(detail, rule);
        let told = decision.answer.as_ref().expect_err("a refusal");
        assert!(decision.error.is_none() && told.detail.len() == detail && told.rule.len() == rule, "{decision:?}");
    }
    for (detail, rule) in [(1025, 64), (1024, 65), (0, 64), (1024, 0)] {
        assert!(matches!(refusal(detail, rule).error, Some(PolicyError::InvalidRejection { .. })), "{detail} {rule}");
    }
}

#[test]
fn a_detail_is_any_text_without_control_characters_and_a_rule_is_a_name() {
    let policy = Policy::load(&text::bytes(include_str!("probes/refusal.wat")), &limits()).expect("it fits");
    let is_sent = |detail: &str, rule: &str| {
        let (decision, _) = run(decide(&policy, detail, Some(rule)));
        assert!(
            is_refusal(&decision) || matches!(decision.error, Some(PolicyError::InvalidRejection { .. })),
            "{decision:?}"
        );
        decision.error.is_none()
    };
    // 1024 bytes in 512 characters; a quote and a backslash are JSON's affair, not the policy's.
    for detail in [&"ß".repeat(512), "\"\\\"", "日本", "\u{2028}"] {
        assert!(is_sent(detail, "rule-1"), "{detail:?}");
    }
    for detail in [&"ß".repeat(513), "\0", "a\nb", "\u{1b}[2J", "\u{7f}", "\u{85}"] {
        assert!(!is_sent(detail, "rule-1"), "{detail:?}");
    }
    for rule in ["Rule", "a b", "a_b", "ä", "a\n"] {
        assert!(!is_sent("No.", rule), "{rule:?}");
    }
}

/// Storage whose deletes wait at a gate.
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
                gate.open.acquire().await.expect("the gate is never closed for good").forget();
                Ok(Outcome::Deleted)
            }
        }))
    }
}

/// Begins a decision, and goes on when it waits at the gate.
async fn begin(policy: &Arc<Policy>, gate: &Arc<Gate>, at_gate: u32) -> tokio::task::JoinHandle<Decision> {
    let (policy, storage) = (Arc::clone(policy), gate.storage());
    let request = DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: None };
    let task = tokio::spawn(async move { policy.decide(request, Ok(caller()), storage).await });
    while gate.entered() < at_gate {
        tokio::task::yield_now().await;
    }
    task
}

#[test]
fn one_more_than_may_run_at_once_waits_and_is_answered_503_in_the_end() {
    let limits = Limits {
        max_concurrent_instances: 2,
        queue_timeout_ms: 100,
        execution_timeout_ms: 60_000,
        ..Limits::default()
    };
    let policy = Arc::new(Policy::load(DEFAULT_POLICY, &limits).expect("it fits"));
    run(async {
        let gate = Gate::closed();
        let running = [begin(&policy, &gate, 1).await, begin(&policy, &gate, 2).await];
        let decision = begin(&policy, &gate, 2).await.await.expect("no panic");
        assert!(matches!(decision.error, Some(PolicyError::Overloaded)), "{decision:?}");
        assert_eq!((decision.rule(), decision.record), ("sandbox-overloaded", RecordOutcome::NotDeleted));
        assert_eq!(decision.answer.expect_err("a refusal").status, 503);
        assert_eq!(gate.entered(), 2, "it never ran");
        gate.open.add_permits(2);
        for decision in running {
            assert!(decision.await.expect("no panic").answer.is_ok());
        }
    });
}

#[test]
fn one_that_waits_is_served_when_a_place_is_free() {
    let limits = Limits {
        max_concurrent_instances: 1,
        queue_timeout_ms: 60_000,
        execution_timeout_ms: 120_000,
        ..Limits::default()
    };
    let policy = Arc::new(Policy::load(DEFAULT_POLICY, &limits).expect("it fits"));
    run(async {
        let gate = Gate::closed();
        let first = begin(&policy, &gate, 1).await;
        let second = begin(&policy, &gate, 1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.entered(), 1, "the second waits");
        gate.open.add_permits(1);
        assert!(first.await.expect("no panic").answer.is_ok());
        gate.open.add_permits(1);
        assert!(second.await.expect("no panic").answer.is_ok());
        assert_eq!(gate.entered(), 2);
    });
}
