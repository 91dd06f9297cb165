//! Malicious guards: what they do, and what the sandbox must answer.
//!
//! Each guard runs alone, and at every position of longer chains whose other guards forward every call.

use super::record::{assert_default_policy_works, block_on, caller, decide, decide_on, limits};
use super::text;
use super::wasi::grant_all;
use crate::support::database::repository_path;
use crate::support::sandbox::sandbox;
use crate::support::server::{Setup, TestServer};
use crate::support::token::{now, with_claims};
use delete_learning::{
    Access, BoxFuture, Condition, DEFAULT_POLICY, Decision, DeleteRequest, Guard, HostCall, Learning, LoadError,
    Outcome, Policy, PolicyError, RecordOutcome, RecordStorage, Sandbox, StorageError, StorageErrorKind, Target,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use wasmtime::Trap;

/// Defines a test for each guard, with the name of its file.
///
/// The first argument of an expectation is the policy in front of the guard: `deletes` is the default policy, which
/// calls `delete-if-owned-by` on a record of the caller; `finds` calls `locate`, `find` and `delete-if-unchanged`;
/// `deletes_twice` calls `delete` twice. The expectations:
///
/// - `violates` a rule of guards, with this part of the reason and this outcome of the record;
/// - `fails` with this error and this outcome of the record;
/// - `answers` with this status, without an error;
/// - `fails_to_load` with this error and this part of its message.
macro_rules! malicious_guards {
    ($($name:ident: $expectation:ident($($arguments:tt)*);)*) => {
        /// Every guard that has a test by this macro.
        const GUARDS: &[(&str, &str)] = &[$((stringify!($name), stringify!($expectation))),*];
        $(
            #[test]
            fn $name() {
                malicious_guards!(@ $expectation stringify!($name), $($arguments)*);
            }
        )*
    };
    (@ violates $name:expr, $policy:ident, $reason:literal, $record:ident) => {{
        let is_expected = |error: &PolicyError| {
            matches!(error, PolicyError::GuardViolation { reason } if reason.contains($reason))
        };
        assert_fails($name, &$policy(), &is_expected, RecordOutcome::$record)
    }};
    (@ fails $name:expr, $policy:ident, $error:pat, $record:ident) => {
        assert_fails($name, &$policy(), &|error| matches!(error, $error), RecordOutcome::$record)
    };
    (@ answers $name:expr, $policy:ident, $status:literal) => { assert_answers($name, &$policy(), $status) };
    (@ fails_to_load $name:expr, $error:pat, $part:literal) => {
        assert_fails_to_load(&component($name), |error| matches!(error, $error), $part)
    };
}

malicious_guards! {
    returns_deleted_without_deleting: violates(deletes, "returned deleted although nothing was deleted", NotDeleted);
    returns_absent_without_reading: violates(deletes, "does not follow", NotDeleted);
    returns_unowned_without_reading: violates(deletes, "does not follow", NotDeleted);
    returns_owned_by_another_without_reading: violates(deletes, "does not follow", NotDeleted);
    returns_changed_without_reading: violates(deletes, "does not follow", NotDeleted);
    finds_and_returns_absent: violates(deletes, "does not follow", NotDeleted);
    finds_and_returns_unowned: violates(deletes, "does not follow", NotDeleted);
    finds_and_returns_owned_by_another: violates(deletes, "does not follow", NotDeleted);
    finds_and_returns_changed: violates(deletes, "does not follow", NotDeleted);
    deletes_and_returns_absent: violates(deletes, "deleted the record and returned something else", Deleted);
    deletes_and_returns_denied: violates(deletes, "deleted the record and returned something else", Deleted);
    deletes_and_returns_unavailable: violates(deletes, "deleted the record and returned something else", Deleted);
    deletes_and_returns_outcome_unknown: violates(deletes, "deleted the record and returned something else", Deleted);
    deletes_and_traps: fails(deletes, PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    deletes_and_spins: fails(deletes, PolicyError::CpuTimeLimit, Deleted);
    deletes_and_exits: fails(deletes, PolicyError::Exited(0), Deleted);
    deletes_twice: answers(deletes, 204);
    returns_the_second_of_two_deletes: violates(deletes, "deleted the record and returned something else", Deleted);

    deletes_unconditionally: violates(deletes, "weaker condition", NotDeleted);
    deletes_as_another_owner: violates(deletes, "weaker condition", NotDeleted);
    deletes_with_revision_that_was_not_found: violates(deletes, "weaker condition", NotDeleted);
    deletes_with_another_revision: violates(deletes, "weaker condition", NotDeleted);
    deletes_found_record: answers(deletes, 204);
    deletes_in_find: violates(finds, "no delete was called", NotDeleted);
    deletes_in_locate: violates(finds, "no delete was called", NotDeleted);
    deletes_in_start_function: violates(finds, "no delete was called", NotDeleted);
    deletes_in_post_return: fails(deletes, PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);
    deletes_in_realloc: fails(deletes, PolicyError::Trapped(Trap::CannotLeaveComponent), NotDeleted);

    denies_find: violates(finds, "denied a call that deletes nothing", NotDeleted);
    denies_locate: violates(finds, "denied a call that deletes nothing", NotDeleted);
    denies_without_finding: violates(deletes, "did not find would otherwise happen", NotDeleted);
    denies_a_record_that_it_deleted: violates(deletes_twice_policy, "did not find would otherwise happen", Deleted);
    denies_found_record: answers(deletes, 403);
    denies_with_control_characters: answers(deletes, 403);
    denies_the_first_of_two_deletes: answers(deletes_twice_policy, 204);

    find_returns_another_content: violates(finds, "another record", NotDeleted);
    find_returns_another_owner: violates(finds, "another record", NotDeleted);
    find_returns_nothing: violates(finds, "another record", NotDeleted);
    find_returns_nothing_without_reading: violates(finds, "another record", NotDeleted);
    locate_returns_another_target: violates(finds, "another target", NotDeleted);
    find_returns_unknown_database: violates(finds, "an error that the storage did not return", NotDeleted);
    locate_returns_unknown_database: violates(finds, "an error that the storage did not return", NotDeleted);
    returns_unknown_database: violates(deletes, "an error that the storage did not return", NotDeleted);
    returns_outcome_unknown: violates(deletes, "although no outcome is unknown", NotDeleted);
    returns_unavailable: answers(deletes, 503);
    returns_unavailable_after_deleting: violates(deletes, "deleted the record and returned something else", Deleted);
    returns_absent_after_deleting_and_finding:
        violates(deletes, "deleted the record and returned something else", Deleted);

    spins: fails(deletes, PolicyError::CpuTimeLimit, NotDeleted);
    spins_between_calls: fails(deletes, PolicyError::CpuTimeLimit, NotDeleted);
    spins_in_start_function: fails(deletes, PolicyError::CpuTimeLimit, NotDeleted);
    spins_in_post_return: fails(deletes, PolicyError::CpuTimeLimit, Deleted);
    recurses_endlessly: fails(deletes, PolicyError::Trapped(Trap::StackOverflow), NotDeleted);
    grows_memory: fails(deletes, PolicyError::CpuTimeLimit, NotDeleted);
    fills_memory_and_traps: fails(deletes, PolicyError::Trapped(_), NotDeleted);
    locates_endlessly: fails(deletes, PolicyError::TooManyCalls, NotDeleted);
    finds_endlessly: fails(deletes, PolicyError::TooManyCalls, NotDeleted);
    deletes_endlessly: fails(deletes, PolicyError::TooManyCalls, Deleted);
    traps: fails(deletes, PolicyError::Trapped(Trap::UnreachableCodeReached), NotDeleted);
    traps_in_start_function: fails(deletes, PolicyError::Trapped(Trap::UnreachableCodeReached), NotDeleted);
    traps_in_post_return: fails(deletes, PolicyError::Trapped(Trap::UnreachableCodeReached), Deleted);
    exits: fails(deletes, PolicyError::Exited(0), NotDeleted);
    prints_endlessly: fails(deletes, PolicyError::TooManyCalls | PolicyError::TooManyBytes, NotDeleted);
    prints: answers(deletes, 204);
    forwards: answers(deletes, 204);
    stores_state_between_requests: answers(deletes, 204);

    returns_invalid_discriminant: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_invalid_outcome: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_invalid_error_kind: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_invalid_utf8: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_out_of_bounds_pointer: fails(deletes, PolicyError::Sandbox(_), Deleted);
    returns_unaligned_pointer: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_message_out_of_bounds: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_oversized_message: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    returns_messages_above_total: fails(finds, PolicyError::TooManyBytes, NotDeleted);
    passes_oversized_string: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    passes_string_out_of_bounds: fails(deletes, PolicyError::Sandbox(_), NotDeleted);
    passes_invalid_utf8: fails(deletes, PolicyError::Sandbox(_), NotDeleted);

    exports_nothing: fails_to_load(LoadError::IncompatibleWorld { .. }, "learnings:plugin/storage@0.1.0");
    exports_a_part_of_storage: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-if-owned-by");
    exports_mistyped_function: fails_to_load(LoadError::IncompatibleWorld { .. }, "delete-if-owned-by");
    imports_wasi_sockets: fails_to_load(LoadError::NotGranted { .. }, "grants = [\"wasi:sockets/tcp@0.2.0\"]");
}

/// Guards whose tests are written out below and in `chains.rs`.
const OTHERS: [&str; 2] = ["recurses_and_locates", "sleeps"];

/// The name of the malicious guard in a chain.
const NAME: &str = "malicious";

fn deletes() -> Vec<u8> {
    DEFAULT_POLICY.to_vec()
}

fn finds() -> Vec<u8> {
    text::bytes(include_str!("probes/finds.wat"))
}

fn deletes_twice_policy() -> Vec<u8> {
    text::bytes(include_str!("deletes_twice.wat"))
}

/// Assembles this component of the directory `guards`.
fn component(name: &str) -> Vec<u8> {
    let file = repository_path("tests/malicious_policies/guards").join(name).with_extension("wat");
    text::bytes(&std::fs::read_to_string(file).expect("the file of the component"))
}

/// Loads a guard of the directory `guards`, with a grant for everything of WASI that it imports.
pub fn load_guard(sandbox: &Sandbox, name: &str, file: &str) -> Guard {
    let component = component(file);
    sandbox.load_guard(name, &component, &grant_all(&component)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Loads the policy with the guard, alone and between guards that forward every call.
fn load_chains(sandbox: &Sandbox, policy: &[u8], file: &str) -> Vec<Policy> {
    let bad = load_guard(sandbox, NAME, file);
    // The same component under several names.
    let [before, after, last] = ["before", "after", "last"].map(|name| load_guard(sandbox, name, "forwards"));
    let chains = [
        vec![bad.clone()],
        vec![before.clone(), bad.clone()],
        vec![bad.clone(), after.clone()],
        vec![before, bad, after, last],
    ];
    let policy = sandbox.load_policy(policy, &Access::default(), Vec::new()).expect("the policy loads");
    chains.into_iter().map(|guards| policy.with_guards(guards).expect("guards of this sandbox")).collect()
}

fn names(policy: &Policy) -> Vec<&str> {
    policy.digests().guards.iter().map(|(name, _)| name.as_str()).collect()
}

/// Asserts that the guards up to the malicious one are reported, outermost first, and perhaps some behind it.
fn assert_reported(policy: &Policy, decision: &Decision) {
    let reported: Vec<&str> = decision.guards.iter().map(|guard| guard.name.as_str()).collect();
    assert!(names(policy).starts_with(&reported) && reported.contains(&NAME), "{reported:?}");
}

/// Asserts that a policy with a guard that forwards every call works in the same sandbox.
async fn assert_neighbors_work(sandbox: &Sandbox) {
    assert_default_policy_works().await;
    let guards = vec![load_guard(sandbox, "forwards", "forwards")];
    let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards).expect("the policy loads");
    let (decision, exists) = decide(&policy, "record", None).await;
    assert!(decision.answer.is_ok() && !exists, "{decision:?}");
}

/// How often each of the chains of [`load_chains`] decides. The first decides more often than `max_concurrent_instances`: a
/// permit that leaked would be missed.
const DECISIONS: [usize; 4] = [3, 1, 1, 1];

fn assert_fails(file: &str, policy: &[u8], is_expected: &dyn Fn(&PolicyError) -> bool, record: RecordOutcome) {
    let sandbox = sandbox(&limits());
    block_on(async {
        for (policy, decisions) in load_chains(&sandbox, policy, file).into_iter().zip(DECISIONS) {
            for _ in 0..decisions {
                let (decision, _) = decide(&policy, "record", None).await;
                let Some(PolicyError::Guard { name, error }) = &decision.error else { panic!("{decision:?}") };
                assert!(name == NAME && is_expected(error), "{:?}: {decision:?}", names(&policy));
                assert_eq!(decision.record, record, "{decision:?}");
                assert_eq!(decision.denied_by(), None, "{decision:?}");
                assert_reported(&policy, &decision);
            }
        }
        assert_neighbors_work(&sandbox).await;
    });
}

fn assert_answers(file: &str, policy: &[u8], status: u16) {
    let sandbox = sandbox(&limits());
    block_on(async {
        for (policy, decisions) in load_chains(&sandbox, policy, file).into_iter().zip(DECISIONS) {
            for _ in 0..decisions {
                let (decision, exists) = decide(&policy, "record", None).await;
                let answered = decision.answer.as_ref().err().map_or(204, |rejection| rejection.status);
                assert!(decision.error.is_none() && answered == status, "{:?}: {decision:?}", names(&policy));
                assert_eq!(exists, status != 204, "{decision:?}");
                assert_eq!(decision.denied_by(), (status == 403).then_some(NAME), "{decision:?}");
                assert_reported(&policy, &decision);
            }
        }
        assert_neighbors_work(&sandbox).await;
    });
}

fn assert_fails_to_load(component: &[u8], is_expected: fn(&LoadError) -> bool, part: &str) {
    let sandbox = sandbox(&limits());
    let error = sandbox.load_guard(NAME, component, &Access::default()).err().expect("a load error");
    assert!(is_expected(&error) && error.to_string().contains(part), "{error:?}: {error}");
    block_on(assert_neighbors_work(&sandbox));
}

/// Loads the default policy with this guard.
fn load_default_with(sandbox: &Sandbox, file: &str) -> Policy {
    let guards = vec![load_guard(sandbox, NAME, file)];
    sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards).expect("the policy loads")
}

#[test]
fn every_guard_file_has_a_test_and_states_its_expectation() {
    let mut files: Vec<String> = std::fs::read_dir(repository_path("tests/malicious_policies/guards"))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    files.sort();
    let mut tested: Vec<&str> = GUARDS.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    tested.sort_unstable();
    assert_eq!(files, tested);
    for (name, expectation) in GUARDS {
        let file = repository_path("tests/malicious_policies/guards").join(name).with_extension("wat");
        let text = std::fs::read_to_string(file).expect("the file");
        let comment: String = text.lines().take_while(|line| line.starts_with(";;")).collect();
        let stated: &[&str] = match *expectation {
            "violates" | "fails" => &["500"],
            "answers" => &["204", "403", "503"],
            _ => &["load error"],
        };
        assert!(stated.iter().any(|stated| comment.contains(stated)), "{name}: {comment}");
    }
}

#[test]
fn guard_that_sleeps_is_stopped_by_execution_timeout() {
    let sandbox = sandbox(&limits().execution_timeout_ms(500));
    block_on(async {
        for policy in load_chains(&sandbox, DEFAULT_POLICY, "sleeps") {
            let start = Instant::now();
            let (decision, _) = decide(&policy, "record", None).await;
            assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)), "{decision:?}");
            assert_eq!(decision.record, RecordOutcome::NotDeleted);
            assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
            assert_reported(&policy, &decision);
        }
        assert_neighbors_work(&sandbox).await;
    });
}

#[test]
fn record_of_another_owner_is_neither_deleted_nor_denied() {
    let sandbox = sandbox(&limits());
    let bobs = || Learning::owned_by(Some("bob"));
    block_on(async {
        for (file, reason) in [
            ("deletes_found_record", "weaker condition"),
            ("denies_found_record", "did not find would otherwise happen"),
        ] {
            for policy in load_chains(&sandbox, DEFAULT_POLICY, file) {
                let (decision, exists) = decide_on(bobs(), &policy, "record", None).await;
                let Some(PolicyError::Guard { name, error }) = &decision.error else { panic!("{decision:?}") };
                assert!(name == NAME && error.to_string().contains(reason), "{decision:?}");
                assert!(exists && decision.record == RecordOutcome::NotDeleted && decision.denied_by().is_none());
            }
        }
    });
}

#[test]
fn start_function_can_delete_while_its_delete_is_served() {
    let sandbox = sandbox(&limits());
    let (decision, exists) =
        block_on(decide(&load_default_with(&sandbox, "deletes_in_start_function"), "record", None));
    // The delete that it forwards afterwards returns `absent`.
    let Some(PolicyError::Guard { error, .. }) = &decision.error else { panic!("{decision:?}") };
    assert!(error.to_string().contains("deleted the record and returned something else"), "{decision:?}");
    assert!(!exists && decision.record == RecordOutcome::Deleted, "{decision:?}");
}

#[test]
fn message_of_a_denial_with_control_characters_is_replaced() {
    let sandbox = sandbox(&limits());
    let detail = |file| {
        let (decision, _) = block_on(decide(&load_default_with(&sandbox, file), "record", None));
        let rejection = decision.answer.expect_err("a rejection");
        assert_eq!((rejection.status, rejection.rule.as_str()), (403, "deletion-denied"));
        rejection.detail
    };
    assert_eq!(detail("denies_found_record"), "Not now");
    let replaced = detail("denies_with_control_characters");
    assert!(!replaced.contains("No") && !replaced.chars().any(char::is_control), "{replaced}");
}

#[test]
fn output_of_a_guard_is_in_its_report() {
    let sandbox = sandbox(&limits());
    let (decision, _) = block_on(decide(&load_default_with(&sandbox, "prints"), "record", None));
    let output = decision.guards[0].output.as_ref().expect("an output");
    assert_eq!((output.text.as_str(), output.dropped_bytes), ("Not now", 0));
    assert!(decision.output.is_none(), "the policy printed nothing: {decision:?}");
}

#[test]
fn second_delete_after_a_denial_makes_no_guard_the_denying_one() {
    let sandbox = sandbox(&limits());
    for policy in load_chains(&sandbox, &deletes_twice_policy(), "denies_the_first_of_two_deletes") {
        let (decision, exists) = block_on(decide(&policy, "record", None));
        assert!(decision.answer.is_ok() && !exists, "{decision:?}");
        assert!(decision.guards.iter().any(|guard| guard.has_denied), "{decision:?}");
        assert_eq!(decision.denied_by(), None);
    }
}

#[test]
fn guard_that_denied_is_named_in_a_chain() {
    let sandbox = sandbox(&limits());
    block_on(async {
        for position in 0..4 {
            let guards = (0..4).map(|at| {
                let file = if at == position { "denies_found_record" } else { "forwards" };
                load_guard(&sandbox, &format!("guard-{at}"), file)
            });
            let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards.collect()).expect("it loads");
            let (decision, _) = decide(&policy, "record", None).await;
            assert_eq!(decision.denied_by(), Some(format!("guard-{position}").as_str()), "{decision:?}");
            assert_eq!(decision.rule(), "deletion-denied");
            // The guards behind it forwarded its `find`.
            let denied: Vec<bool> = decision.guards.iter().map(|guard| guard.has_denied).collect();
            assert_eq!(denied, (0..4).map(|at| at == position).collect::<Vec<_>>());
            for (at, guard) in decision.guards.iter().enumerate() {
                let is_denied = |call: &HostCall| matches!(call, HostCall::Delete { result: Some(Err(error)), .. } if error.kind == StorageErrorKind::Denied);
                assert_eq!(guard.calls.iter().any(is_denied), at < position, "{guard:?}");
            }
        }
        // If two deny, the outer one is reached first.
        let guards = ["outer", "inner"].map(|name| load_guard(&sandbox, name, "denies_found_record"));
        let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards.to_vec()).expect("it loads");
        assert_eq!(decide(&policy, "record", None).await.0.denied_by(), Some("outer"));
    });
}

#[test]
fn outer_guard_is_blamed_for_misreporting_the_denial_of_an_inner_guard() {
    let sandbox = sandbox(&limits());
    let outer = load_guard(&sandbox, NAME, "finds_and_returns_absent");
    let outer_deletes = load_guard(&sandbox, NAME, "returns_absent_after_deleting_and_finding");
    let inner = load_guard(&sandbox, "inner", "denies_found_record");
    for outer in [outer, outer_deletes] {
        let policy =
            sandbox.load_policy(DEFAULT_POLICY, &Access::default(), vec![outer, inner.clone()]).expect("it loads");
        let (decision, exists) = block_on(decide(&policy, "record", None));
        let Some(PolicyError::Guard { name, error }) = &decision.error else { panic!("{decision:?}") };
        assert!(name == NAME && matches!(**error, PolicyError::GuardViolation { .. }) && exists, "{decision:?}");
    }
}

#[test]
fn guards_above_limit_are_refused() {
    let sandbox = sandbox(&limits().max_guards(2));
    let guard = load_guard(&sandbox, "forwards", "forwards");
    let load = |count| sandbox.load_policy(DEFAULT_POLICY, &Access::default(), vec![guard.clone(); count]);
    let (decision, exists) = block_on(decide(&load(2).expect("the policy loads"), "record", None));
    assert!(decision.answer.is_ok() && !exists && decision.guards.len() == 2, "{decision:?}");
    let error = load(3).err().expect("a load error");
    assert!(matches!(error, LoadError::TooManyGuards { guards: 3, max: 2 }), "{error:?}");
    assert_eq!(error.to_string(), "there are 3 guards, which exceeds max_guards (2)");
}

#[test]
fn guard_is_no_policy_and_policy_is_no_guard() {
    let sandbox = sandbox(&limits());
    for policy in [DEFAULT_POLICY.to_vec(), deletes_twice_policy()] {
        let error = sandbox.load_guard(NAME, &policy, &Access::default()).err().expect("a load error");
        assert!(matches!(error, LoadError::WrongWorld { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the component is a policy, not a guard");
    }
    let error = sandbox.load_policy(&component("forwards"), &Access::default(), vec![]).err().expect("a load error");
    assert_eq!(error.to_string(), "the component is a guard, not a policy");
}

/// Storage with a record of alice, whose deletes have an unknown outcome.
struct UnknownOutcome;

impl RecordStorage for UnknownOutcome {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(async { Ok(Target { database: "main".to_owned(), table: "learnings".to_owned() }) })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(async { Ok(Some(Learning::owned_by(Some("alice")))) })
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async { Err(StorageError::new(StorageErrorKind::OutcomeUnknown, "the connection was lost")) })
    }
}

#[test]
fn unknown_outcome_cannot_be_hidden() {
    let sandbox = sandbox(&limits());
    let decide = |policy: &Policy| {
        let request = DeleteRequest { learning_id: "record".to_owned(), db_id: None, table: None };
        block_on(policy.decide(request, Ok(caller()), Arc::new(UnknownOutcome)))
    };
    for file in [
        "returns_unavailable_after_deleting",
        "returns_absent_after_deleting_and_finding",
        "deletes_and_returns_absent",
        "deletes_and_returns_denied",
        "deletes_twice",
    ] {
        for policy in load_chains(&sandbox, DEFAULT_POLICY, file) {
            let decision = decide(&policy);
            let Some(PolicyError::Guard { name, error }) = &decision.error else { panic!("{file}: {decision:?}") };
            assert!(name == NAME && matches!(**error, PolicyError::GuardViolation { .. }), "{file}: {decision:?}");
            assert_eq!(decision.record, RecordOutcome::Unknown, "{file}: {decision:?}");
            assert_eq!(decision.answer.expect_err("a rejection").status, 500);
        }
    }
    // Traps do not hide it either.
    for file in ["deletes_and_traps", "deletes_and_spins", "deletes_and_exits"] {
        assert_eq!(decide(&load_default_with(&sandbox, file)).record, RecordOutcome::Unknown, "{file}");
    }
    for policy in load_chains(&sandbox, DEFAULT_POLICY, "forwards") {
        let decision = decide(&policy);
        assert!(decision.error.is_none() && decision.record == RecordOutcome::Unknown, "{decision:?}");
        assert_eq!(decision.rule(), "outcome-unknown");
    }
}

/// The limit on bytes from a component does not apply to a record that a guard passes on.
#[test]
fn found_record_larger_than_host_call_limit_passes_guards() {
    let sandbox = sandbox(&limits());
    let large = Learning { content: format!("\"{}\"", "x".repeat(150_000)), ..Learning::owned_by(Some("alice")) };
    assert!(large.content.len() > limits().max_host_call_bytes);
    for policy in load_chains(&sandbox, &finds(), "forwards") {
        let (decision, exists) = block_on(decide_on(large.clone(), &policy, "record", None));
        assert!(decision.answer.is_ok() && !exists, "{:?}: {:?}", names(&policy), decision.error);
    }
    let policy = load_chains(&sandbox, &finds(), "find_returns_another_content").remove(0);
    let (decision, exists) = block_on(decide_on(large, &policy, "record", None));
    assert!(exists && decision.error.is_some_and(|error| error.to_string().contains("another record")));
}

/// Starts a server whose only guard is this one, between two that forward every call.
fn start(file: &str) -> (TestServer, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let mut guards = String::new();
    for (name, file) in [("outer", "forwards"), (NAME, file), ("inner", "forwards")] {
        let path = directory.path().join(format!("{name}.wasm"));
        let bytes = component(file);
        std::fs::write(&path, &bytes).expect("the file is written");
        let grants = grant_all(&bytes).grants;
        guards += &format!("[[guards]]\nname = \"{name}\"\ncomponent = \"{}\"\ngrants = {grants:?}\n", path.display())
            .replace('{', "[")
            .replace('}', "]");
    }
    let settings = "sandbox.cpu_time_limit_ms = 50\nsandbox.max_concurrent_instances = 16".to_owned();
    (Setup { settings, further_databases: guards, ..Setup::jwt() }.start(), directory)
}

#[test]
fn violation_of_a_guard_is_answered_500_and_audited() {
    for (file, error, record) in [
        ("returns_deleted_without_deleting", "it returned deleted although nothing was deleted", "not-deleted"),
        ("deletes_and_returns_absent", "it deleted the record and returned something else", "deleted"),
        ("deletes_and_traps", "it trapped", "deleted"),
        ("denies_without_finding", "it denied a delete that it did not find would otherwise happen", "not-deleted"),
        ("spins", "it exceeded the CPU time limit", "not-deleted"),
        ("exits", "it exited with status 0 instead of returning", "not-deleted"),
        ("returns_invalid_outcome", "it failed in the sandbox", "not-deleted"),
    ] {
        let (server, _directory) = start(file);
        let database = server.database("main");
        database.insert("victim", Some("alice"));
        let claims = json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 3600 });
        let answer = server.delete("/learnings/victim", Some(&with_claims(claims)));
        answer.assert_error(500, "Internal server error", "INTERNAL_SERVER_ERROR");
        let audit = server.wait_for_log(&["\"audit\"", "\"victim\"", "\"policy_error\""]);
        let field = |name: &str| audit.get("fields").unwrap_or(&audit)[name].clone();
        assert_eq!(field("record"), record, "{file}: {audit}");
        assert_eq!((field("status"), field("rule")), (500.into(), "policy-error".into()), "{audit}");
        let policy_error = field("policy_error");
        let policy_error = policy_error.as_str().expect("text");
        assert!(
            policy_error.starts_with("the guard \"malicious\" failed: ") && policy_error.contains(error),
            "{audit}"
        );
        assert_eq!(database.contains("victim"), record == "not-deleted", "the audited outcome is true");
    }
}
