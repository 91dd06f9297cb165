//! Embeds the default policy: three callers try to delete one record.
//!
//! `cargo run --example embed`

use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{Caller, Credential, DEFAULT_POLICY, DeleteRequest, Learning, Limits, Policy};
use std::sync::Arc;

fn caller(subject: &str, scope: &str) -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some(subject.to_owned()),
        scopes: vec![scope.to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default())?;

    let store = Arc::new(MemoryStore::default());
    store.insert("user_memory_7", Learning::owned_by(Some("alice")));
    let database = Database { id: "main".to_owned(), table: "learnings".to_owned(), store };
    let databases = Databases(vec![database]);

    let request = DeleteRequest { learning_id: "user_memory_7".to_owned(), db_id: None, table: None };
    for caller in
        [caller("alice", "learnings:read"), caller("bob", "learnings:delete"), caller("alice", "learnings:delete")]
    {
        let name = caller.subject.clone().unwrap_or_default();
        let decision = policy.decide(request.clone(), Ok(caller), databases.record(&request)).await;
        let answer = match &decision.answer {
            Ok(()) => "204".to_owned(),
            Err(rejection) => format!("{} {}", rejection.status, rejection.detail),
        };
        println!("{name:<5}  {:<25}  {answer}", decision.rule());
    }
    Ok(())
}
