//! Policies with as many guards as the limit allows: they cannot deadlock each other, and the pool always has room for
//! them.

use super::guards::load_guard;
use super::record::{assert_default_policy_works, caller, decide};
use crate::support::guards::LEGAL_HOLD;
use crate::support::sandbox::sandbox;
use crate::support::server::resident_bytes;
use delete_learning::{
    Access, BoxFuture, Condition, DEFAULT_POLICY, Decision, DeleteRequest, Guard, Learning, Limits, LoadError, Outcome,
    Policy, PolicyError, RecordOutcome, RecordStorage, Sandbox, StorageError, Target,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime::Trap;

const PERMITS: u32 = 4;
const GUARDS: u32 = 4;

/// More than the permits, so that most requests wait.
const REQUESTS: u32 = 10 * PERMITS;

fn limits() -> Limits {
    Limits::default()
        .max_concurrent_instances(PERMITS)
        .max_guards(GUARDS)
        .queue_timeout_ms(600_000)
        .execution_timeout_ms(120_000)
}

/// A guard that finds the record before it deletes it.
fn legal_hold(sandbox: &Sandbox) -> Guard {
    sandbox.load_guard("legal-hold", LEGAL_HOLD, &Access::default()).expect("the guard loads")
}

fn load(sandbox: &Sandbox, policy: &[u8], guards: Vec<Guard>) -> Arc<Policy> {
    Arc::new(sandbox.load_policy(policy, &Access::default(), guards).expect("the policy loads"))
}

/// A record of alice, whose every call takes some time and whose deletes wait until `open` has permits.
struct SlowRecord {
    delay: Duration,
    at_delete: AtomicU32,
    open: Semaphore,
}

impl SlowRecord {
    fn new(delay: Duration, open: usize) -> Arc<Self> {
        Arc::new(Self { delay, at_delete: AtomicU32::new(0), open: Semaphore::new(open) })
    }
}

impl RecordStorage for SlowRecord {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async {
            tokio::time::sleep(self.delay).await;
            Ok(Target { database: "main".to_owned(), table: "learnings".to_owned() })
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async {
            tokio::time::sleep(self.delay).await;
            Ok(Some(Learning::owned_by(Some("alice"))))
        })
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async {
            self.at_delete.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.delay).await;
            self.open.acquire().await.expect("the semaphore is never closed").forget();
            Ok(Outcome::Deleted)
        })
    }
}

fn start(policy: &Arc<Policy>, record: &Arc<SlowRecord>) -> tokio::task::JoinHandle<Decision> {
    let (policy, record) = (Arc::clone(policy), Arc::clone(record));
    let request = DeleteRequest { learning_id: "record".to_owned(), db_id: None, table: None };
    tokio::spawn(async move { policy.decide(request, Ok(caller()), record).await })
}

fn assert_deleted(decision: &Decision) {
    assert!(decision.error.is_none() && decision.answer.is_ok(), "{decision:?}");
    assert_eq!((decision.record, decision.guards.len()), (RecordOutcome::Deleted, GUARDS as usize));
}

fn block_on_two_threads<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn as_many_chains_as_permits_hold_all_instances_and_the_queued_requests_follow() {
    let sandbox = sandbox(&limits());
    let policy = load(&sandbox, DEFAULT_POLICY, vec![legal_hold(&sandbox); GUARDS as usize]);
    block_on_two_threads(async {
        let record = SlowRecord::new(Duration::ZERO, 0);
        let requests: Vec<_> = (0..PERMITS + REQUESTS).map(|_| start(&policy, &record)).collect();
        while record.at_delete.load(Ordering::SeqCst) < PERMITS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Every permit has a policy and its four guards, and the queued requests have nothing.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(record.at_delete.load(Ordering::SeqCst), PERMITS);
        record.open.add_permits((PERMITS + REQUESTS) as usize);
        for request in requests {
            assert_deleted(&request.await.expect("no panic"));
        }
        assert_eq!(record.at_delete.load(Ordering::SeqCst), PERMITS + REQUESTS);
    });
}

#[test]
fn queued_chains_are_answered_and_memory_is_bounded() {
    let sandbox = sandbox(&limits());
    let policy = load(&sandbox, DEFAULT_POLICY, vec![legal_hold(&sandbox); GUARDS as usize]);
    block_on_two_threads(async {
        let mut resident = Vec::new();
        for _ in 0..5 {
            let record = SlowRecord::new(Duration::from_millis(2), Semaphore::MAX_PERMITS);
            let begun = Instant::now();
            let requests: Vec<_> = (0..PERMITS + REQUESTS).map(|_| start(&policy, &record)).collect();
            for request in requests {
                assert_deleted(&request.await.expect("no panic"));
            }
            println!("{} requests with {GUARDS} guards each: {:.1?}", PERMITS + REQUESTS, begun.elapsed());
            resident.extend(resident_bytes("self"));
        }
        println!("resident after each round: {resident:?} bytes");
    });
}

#[test]
fn chains_are_answered_beside_spinning_and_failing_guards() {
    // More than a good chain needs, so that only spinning guards are offloaded.
    let sandbox = sandbox(&limits().cpu_time_limit_ms(500));
    let good = load(&sandbox, DEFAULT_POLICY, vec![legal_hold(&sandbox); GUARDS as usize]);
    let bad: Vec<_> = ["spins", "spins_in_post_return", "traps", "deletes_and_returns_absent", "finds_endlessly"]
        .into_iter()
        .enumerate()
        .map(|(at, file)| {
            let mut guards = vec![load_guard(&sandbox, "forwards", "forwards"); GUARDS as usize];
            // Some fail behind other guards.
            let position = at % guards.len();
            guards[position] = load_guard(&sandbox, "malicious", file);
            load(&sandbox, DEFAULT_POLICY, guards)
        })
        .collect();
    block_on_two_threads(async {
        let record = SlowRecord::new(Duration::from_millis(1), Semaphore::MAX_PERMITS);
        let mut requests = Vec::new();
        for at in 0..REQUESTS as usize {
            requests.push((true, start(&good, &record)));
            if at % 4 == 0 {
                requests.push((false, start(&bad[at / 4 % bad.len()], &record)));
            }
        }
        for (is_good, request) in requests {
            let decision = request.await.expect("no panic");
            if is_good {
                assert_deleted(&decision);
            } else {
                let is_expected = match &decision.error {
                    Some(PolicyError::Guard { name, .. }) => name == "malicious",
                    // On a busy machine, a low-priority thread can get no processor until then.
                    Some(PolicyError::ExecutionTimeout) => true,
                    _ => false,
                };
                assert!(is_expected, "{decision:?}");
            }
        }
        assert_default_policy_works().await;
    });
}

#[test]
fn execution_timeout_ends_a_chain_that_waits_for_storage() {
    let sandbox = sandbox(&limits().execution_timeout_ms(3_000));
    let policy = load(&sandbox, DEFAULT_POLICY, vec![legal_hold(&sandbox); GUARDS as usize]);
    block_on_two_threads(async {
        let hanging = SlowRecord::new(Duration::ZERO, 0);
        let mut unknown = 0;
        for round in 0..10 {
            // On a busy machine the timeout can pass before a delete is sent.
            if round >= 2 && hanging.at_delete.load(Ordering::SeqCst) > 0 {
                break;
            }
            let requests: Vec<_> = (0..PERMITS).map(|_| start(&policy, &hanging)).collect();
            for request in requests {
                let decision = request.await.expect("no panic");
                assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)), "{decision:?}");
                if decision.record == RecordOutcome::Unknown {
                    assert_eq!(decision.guards.len(), GUARDS as usize);
                    unknown += 1;
                }
            }
        }
        // The outcome is unknown if the delete was sent.
        let sent = hanging.at_delete.load(Ordering::SeqCst);
        assert!(sent > 0 && unknown == sent, "{unknown} outcomes are unknown, {sent} deletes were sent");
        // Every instance is back in the pool.
        let record = SlowRecord::new(Duration::ZERO, Semaphore::MAX_PERMITS);
        let requests: Vec<_> = (0..REQUESTS).map(|_| start(&policy, &record)).collect();
        for request in requests {
            assert_deleted(&request.await.expect("no panic"));
        }
    });
}

/// A request that is dropped while its chain waits returns its instances before its permit.
#[test]
fn dropped_chain_returns_its_instances() {
    let sandbox = sandbox(&limits());
    let policy = load(&sandbox, DEFAULT_POLICY, vec![legal_hold(&sandbox); GUARDS as usize]);
    block_on_two_threads(async {
        for _ in 0..10 {
            let hanging = SlowRecord::new(Duration::ZERO, 0);
            let dropped: Vec<_> = (0..PERMITS).map(|_| start(&policy, &hanging)).collect();
            while hanging.at_delete.load(Ordering::SeqCst) < PERMITS {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let record = SlowRecord::new(Duration::ZERO, Semaphore::MAX_PERMITS);
            let waiting: Vec<_> = (0..PERMITS).map(|_| start(&policy, &record)).collect();
            for request in dropped {
                request.abort();
            }
            for request in waiting {
                assert_deleted(&request.await.expect("no panic"));
            }
        }
    });
}

/// Host functions run on the stack that the component leaves, and a guard runs below them.
#[test]
fn guards_run_below_a_component_that_used_its_stack() {
    let limits = limits().max_host_calls(u32::MAX).cpu_time_limit_ms(60_000);
    let sandbox = sandbox(&limits);
    let recurses = load_guard(&sandbox, "recurses", "recurses_and_locates");
    let forwards = load_guard(&sandbox, "forwards", "forwards");
    block_on_two_threads(async {
        for position in 0..GUARDS as usize {
            let mut guards = vec![forwards.clone(); GUARDS as usize];
            guards[position] = recurses.clone();
            let (decision, _) = decide(&load(&sandbox, DEFAULT_POLICY, guards), "record", None).await;
            let Some(PolicyError::Guard { name, error }) = &decision.error else { panic!("{:?}", decision.error) };
            assert!(name == "recurses" && matches!(**error, PolicyError::Trapped(Trap::StackOverflow)), "{error:?}");
            let calls = decision.guards[position].calls.len();
            assert!(calls > 500, "it called at many depths: {calls}");
        }
    });
}

#[test]
fn guard_of_another_sandbox_is_refused() {
    let sandbox = || Sandbox::new(&Limits::default(), None).expect("a sandbox");
    let guard = sandbox().load_guard("legal-hold", LEGAL_HOLD, &Access::default()).expect("the guard loads");
    let error = sandbox().load_policy(DEFAULT_POLICY, &Access::default(), vec![guard]).err().expect("a load error");
    assert!(matches!(&error, LoadError::GuardOfOtherSandbox(name) if name == "legal-hold"), "{error}");
}
