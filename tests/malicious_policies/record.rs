//! Decisions about one record in memory, and checks that hold for every decision.

use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Caller, Credential, DEFAULT_POLICY, Decision, DeleteRequest, ErrorCode, Learning, Limits, Policy, RecordOutcome,
};
use std::sync::{Arc, OnceLock};

/// Limits with few instances, so that loading many components needs little memory.
pub fn limits() -> Limits {
    // The timeouts are long because spinning policies have a low priority and other tests run at the same time.
    Limits::default().max_concurrent_instances(2).queue_timeout_ms(60_000).execution_timeout_ms(120_000)
}

pub fn caller() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned(), "learnings:read".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

/// Runs a policy on a request to delete a record of alice, and returns its decision and whether the record still exists.
///
/// Checks what must hold for every policy: the reported outcome of the record is true, and a violation is answered 500.
pub async fn decide(policy: &Policy, id: &str, db_id: Option<&str>) -> (Decision, bool) {
    decide_on(Learning::owned_by(Some("alice")), policy, id, db_id).await
}

/// Like [`decide`], for this record.
pub async fn decide_on(learning: Learning, policy: &Policy, id: &str, db_id: Option<&str>) -> (Decision, bool) {
    let store = Arc::new(MemoryStore::default());
    store.insert(id, learning);
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    // Without `db_id`, which only the policy sees, so that the record is always found.
    let record = databases.record(&DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None });
    let request = DeleteRequest { learning_id: id.to_owned(), db_id: db_id.map(str::to_owned), table: None };
    let decision = policy.decide(request, Ok(caller()), record).await;
    let exists = !store.ids().is_empty();
    assert_eq!(
        decision.record,
        if exists { RecordOutcome::NotDeleted } else { RecordOutcome::Deleted },
        "{decision:?}"
    );
    match (&decision.answer, &decision.error) {
        (Ok(()), None) => assert!(!exists, "{decision:?}"),
        (Err(_), None) => assert!(exists, "{decision:?}"),
        (answer, Some(_)) => {
            let rejection = answer.as_ref().expect_err("a violation is not answered with success");
            let rejection = (rejection.status, rejection.code, rejection.detail.as_str());
            assert_eq!(rejection, (500, ErrorCode::InternalServerError, "Internal server error"), "{decision:?}");
            assert_eq!(decision.rule(), "policy-error");
        }
    }
    (decision, exists)
}

/// Returns the default policy, loaded once.
pub fn default_policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the default policy loads"))
}

/// Asserts that the default policy still deletes, in the same process.
pub async fn assert_default_policy_works() {
    let (decision, exists) = decide(default_policy(), "record", None).await;
    assert!(decision.answer.is_ok() && !exists, "{decision:?}");
    assert_eq!(decision.rule(), "deleted-as-owner");
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
