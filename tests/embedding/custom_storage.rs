//! Embedding: a platform's own storage and identity around the sandbox.

use crate::support::fake_storage::FakeStorage;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Caller, Credential, DEFAULT_POLICY, DeleteRequest, IdentityError, Learning, Limits, Policy, PolicyError,
    RecordOutcome, StorageErrorKind,
};
use std::sync::Arc;
use std::time::Duration;

fn alice() -> Result<Caller, IdentityError> {
    Ok(Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned()],
        enforce_scopes: true,
        user_isolation: true,
        admin_scope: "agent_os:admin".to_owned(),
    })
}

fn request(id: &str) -> DeleteRequest {
    DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn a_platform_with_records_in_memory_gets_the_same_decisions() {
    let store = Arc::new(MemoryStore::default());
    store.insert("hers", Learning::owned_by(Some("alice")));
    store.insert("his", Learning::owned_by(Some("bob")));
    store.insert("shared", Learning::owned_by(None));
    let databases = Databases(vec![Database {
        id: "memory".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the policy fits");
    let decide = |id: &str| run(policy.decide(request(id), alice(), databases.record(&request(id))));
    for (id, rule, record) in [
        ("hers", "deleted-as-owner", RecordOutcome::Deleted),
        ("hers", "learning-absent", RecordOutcome::NotDeleted),
        ("his", "learning-owned-by-another", RecordOutcome::NotDeleted),
        ("shared", "learning-unowned", RecordOutcome::NotDeleted),
    ] {
        let decision = decide(id);
        assert_eq!((decision.rule(), decision.record), (rule, record), "{id}");
    }
    assert_eq!(store.ids(), ["his", "shared"]);
}

#[test]
fn a_database_that_hangs_leaves_room_in_the_sandbox_for_the_others() {
    let limits = Limits { max_concurrent_instances: 3, queue_timeout_ms: 200, ..Limits::default() };
    let policy = Arc::new(Policy::load(DEFAULT_POLICY, &limits).expect("the policy fits"));
    let hanging_storage = FakeStorage::hanging(2);
    run(async {
        let mut hanging = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (policy, hanging_storage) = (Arc::clone(&policy), Arc::clone(&hanging_storage));
            hanging.spawn(async move { policy.decide(request("x"), alice(), hanging_storage).await });
        }
        tokio::task::yield_now().await;
        let absent = Databases(vec![Database {
            id: "memory".to_owned(),
            table: "learnings".to_owned(),
            store: Arc::new(MemoryStore::default()),
        }])
        .record(&request("x"));
        let decision = policy.decide(request("x"), alice(), absent).await;
        assert_eq!(decision.rule(), "learning-absent");
        // Of those that hang, two have a turn, and the others are told so.
        for _ in 0..6 {
            let waited = hanging.join_next().await.expect("one more").expect("no panic");
            assert_eq!((waited.rule(), waited.record), ("sandbox-overloaded", RecordOutcome::NotDeleted));
        }
        hanging.abort_all();
    });
}

#[test]
fn storage_that_does_not_answer_ends_in_time_and_what_became_of_the_record_is_said_to_be_unknown() {
    let limits = Limits { execution_timeout_ms: 200, ..Limits::default() };
    let policy = Policy::load(DEFAULT_POLICY, &limits).expect("the policy fits");
    let decision = run(async {
        let decision = policy.decide(request("x"), alice(), FakeStorage::hanging(1));
        tokio::time::timeout(Duration::from_secs(5), decision).await.expect("it ends by itself")
    });
    assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)), "{decision:?}");
    assert_eq!(decision.record, RecordOutcome::Unknown);
    assert_eq!(decision.answer.expect_err("a refusal").status, 500);
}

#[test]
fn a_delete_whose_end_is_unknown_is_never_said_to_have_kept_the_record() {
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the policy fits");
    let decide = |kind| run(policy.decide(request("x"), alice(), FakeStorage::failing(kind)));
    let unknown = decide(StorageErrorKind::OutcomeUnknown);
    assert_eq!((unknown.rule(), unknown.record), ("outcome-unknown", RecordOutcome::Unknown));
    let kept = decide(StorageErrorKind::Unavailable);
    assert_eq!((kept.rule(), kept.record), ("storage-unavailable", RecordOutcome::NotDeleted));
}

#[test]
fn bytes_that_are_no_policy_are_refused_with_the_reason() {
    let refusal = |bytes: &[u8]| match Policy::load(bytes, &Limits::default()) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    };
    assert!(refusal(b"").contains("not a valid WebAssembly component"));
    assert!(refusal(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(refusal(&DEFAULT_POLICY[..1000]).contains("not a valid WebAssembly component"));
    // An empty component: valid, and exports nothing.
    let empty = refusal(b"\0asm\x0d\0\x01\0");
    assert!(empty.contains("does not implement the world"), "{empty}");
}
