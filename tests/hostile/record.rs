//! One record in memory to ask a policy about, and what must hold of every decision.

use delete_learning::plugin::{Decision, Fate};
use delete_learning::storage::{Database, Databases, MemoryTable, Named};
use delete_learning::{Caller, Credential, DELETE_LEARNING, ErrorCode, Learning, Limits, Plugin, Request};
use std::sync::{Arc, OnceLock};

/// Limits under which a test of many components needs little.
pub fn limits() -> Limits {
    // Those that spin have a low priority, and other tests run at the same time.
    Limits { concurrent_policies: 2, queue_ms: 60_000, policy_wall_ms: 120_000, ..Limits::default() }
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
pub async fn decide(plugin: &Plugin, id: &str, db_id: Option<&str>) -> (Decision, bool) {
    let table = Arc::new(MemoryTable::default());
    table.insert(id, Learning::owned_by(Some("alice")));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table_name: "learnings".to_owned(),
        table: Arc::<MemoryTable>::clone(&table),
    }]);
    let storage = databases.record(&Named { learning_id: Some(id), ..Named::default() });
    let request = Request { learning_id: id.to_owned(), db_id: db_id.map(str::to_owned), table: None };
    let decision = plugin.decide(request, Arc::new(Ok(caller())), storage).await;
    let is_there = !table.ids().is_empty();
    // Whatever the policy: what is said of the record is so, and what the caller is told fits.
    assert_eq!(decision.fate, if is_there { Fate::Kept } else { Fate::Deleted }, "{decision:?}");
    match (&decision.answer, &decision.fault) {
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
pub fn good() -> &'static Plugin {
    static GOOD: OnceLock<Plugin> = OnceLock::new();
    GOOD.get_or_init(|| Plugin::load(DELETE_LEARNING, &Limits::default()).expect("the shipped policy fits"))
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
