//! Embedding the sandbox with custom storage and identity.

use crate::support::fake_storage::FakeStorage;
use crate::support::sandbox::default_policy;
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
        scopes_optional: false,
        all_owners: false,
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
fn custom_storage_gets_the_documented_decisions() {
    let store = Arc::new(MemoryStore::default());
    store.insert("alices", Learning::owned_by(Some("alice")));
    store.insert("bobs", Learning::owned_by(Some("bob")));
    store.insert("shared", Learning::owned_by(None));
    let databases = Databases(vec![Database {
        id: "memory".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let policy = default_policy(&Limits::default());
    let decide = |id: &str| run(policy.decide(request(id), alice(), databases.record(&request(id))));
    for (id, rule, record) in [
        ("alices", "deleted-as-owner", RecordOutcome::Deleted),
        ("alices", "learning-absent", RecordOutcome::NotDeleted),
        ("bobs", "learning-owned-by-another", RecordOutcome::NotDeleted),
        ("shared", "learning-unowned", RecordOutcome::NotDeleted),
    ] {
        let decision = decide(id);
        assert_eq!((decision.rule(), decision.record), (rule, record), "{id}");
    }
    assert_eq!(store.ids(), ["bobs", "shared"]);
}

#[test]
fn hanging_database_leaves_instances_for_other_databases() {
    let limits = Limits::default().max_concurrent_instances(3).queue_timeout_ms(200);
    let policy = Arc::new(default_policy(&limits));
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
        // Two of the hanging requests have a permit. The others time out waiting for one.
        for _ in 0..6 {
            let rejected = hanging.join_next().await.expect("a further request").expect("no panic");
            assert_eq!((rejected.rule(), rejected.record), ("sandbox-overloaded", RecordOutcome::NotDeleted));
        }
        hanging.abort_all();
    });
}

#[test]
fn hanging_storage_times_out_with_unknown_outcome() {
    let limits = Limits::default().execution_timeout_ms(200);
    let policy = default_policy(&limits);
    let decision = run(async {
        let decision = policy.decide(request("x"), alice(), FakeStorage::hanging(1));
        tokio::time::timeout(Duration::from_secs(5), decision).await.expect("it ends before the test's timeout")
    });
    assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)), "{decision:?}");
    assert_eq!(decision.record, RecordOutcome::Unknown);
    assert_eq!(decision.answer.expect_err("a rejection").status, 500);
}

#[test]
fn unknown_outcome_of_delete_is_not_reported_as_not_deleted() {
    let policy = default_policy(&Limits::default());
    let decide = |kind| run(policy.decide(request("x"), alice(), FakeStorage::failing(kind)));
    let unknown = decide(StorageErrorKind::OutcomeUnknown);
    assert_eq!((unknown.rule(), unknown.record), ("outcome-unknown", RecordOutcome::Unknown));
    let unavailable = decide(StorageErrorKind::Unavailable);
    assert_eq!((unavailable.rule(), unavailable.record), ("storage-unavailable", RecordOutcome::NotDeleted));
}

#[test]
fn invalid_component_is_rejected_with_the_reason() {
    let error = |bytes: &[u8]| match Policy::load(bytes, &Limits::default()) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    };
    assert!(error(b"").contains("not a valid WebAssembly component"));
    assert!(error(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(error(&DEFAULT_POLICY[..1000]).contains("not a valid WebAssembly component"));
    // An empty component: valid, without exports.
    let empty = error(b"\0asm\x0d\0\x01\0");
    assert!(empty.contains("does not implement the world"), "{empty}");
}
