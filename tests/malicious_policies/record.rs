//! One record in memory to ask a policy about, and what must hold of every decision.

use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Caller, Credential, DEFAULT_POLICY, Decision, DeleteRequest, ErrorCode, Learning, Limits, Policy, RecordOutcome,
};
use std::sync::{Arc, OnceLock};

/// Limits under which a test of many components needs little.
pub fn limits() -> Limits {
    // Those that spin have a low priority, and other tests run at the same time.
    Limits { max_concurrent_instances: 2, queue_timeout_ms: 60_000, execution_timeout_ms: 120_000, ..Limits::default() }
}

pub fn caller() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned(), "learnings:read".to_owned()],
        enforce_scopes: true,
        user_isolation: true,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

/// Asks a policy to delete a record of alice's with this id, and says what it decided and whether the record is there
/// still.
pub async fn decide(policy: &Policy, id: &str, db_id: Option<&str>) -> (Decision, bool) {
    let store = Arc::new(MemoryStore::default());
    store.insert(id, Learning::owned_by(Some("alice")));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    // The record is resolved whatever the policy sees as `db_id`.
    let record = databases.record(&DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None });
    let request = DeleteRequest { learning_id: id.to_owned(), db_id: db_id.map(str::to_owned), table: None };
    let decision = policy.decide(request, Ok(caller()), record).await;
    let is_there = !store.ids().is_empty();
    // Whatever the policy: what is said of the record is so, and what the caller is told fits.
    assert_eq!(
        decision.record,
        if is_there { RecordOutcome::NotDeleted } else { RecordOutcome::Deleted },
        "{decision:?}"
    );
    match (&decision.answer, &decision.error) {
        (Ok(()), None) => assert!(!is_there, "{decision:?}"),
        (Err(_), None) => assert!(is_there, "{decision:?}"),
        (answer, Some(_)) => {
            let told = answer.as_ref().expect_err("a fault is no success");
            let told = (told.status, told.code, told.detail.as_str());
            assert_eq!(told, (500, ErrorCode::InternalServerError, "Internal server error"), "{decision:?}");
            assert_eq!(decision.rule(), "policy-fault");
        }
    }
    (decision, is_there)
}

/// The shipped policy, loaded once, beside whatever else is loaded.
pub fn good() -> &'static Policy {
    static GOOD: OnceLock<Policy> = OnceLock::new();
    GOOD.get_or_init(|| Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the shipped policy fits"))
}

/// Demands that the shipped policy decides as ever.
pub async fn good_goes_on() {
    let (decision, is_there) = decide(good(), "hers", None).await;
    assert!(decision.answer.is_ok() && !is_there, "{decision:?}");
    assert_eq!(decision.rule(), "deleted-as-owner");
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
