//! One decision: this program itself, deciding with storage and identity in memory.

use crate::valgrind::Tool;
use anyhow::{Result, ensure};
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{Access, Cache, Caller, Credential, DEFAULT_POLICY, DeleteRequest, Learning, Limits, Sandbox};
use std::env;
use std::path::Path;
use std::sync::Arc;

/// Counts what the program does with this many decisions, including the start.
pub fn count(directory: &Path, tool: &Tool, decisions: u32) -> Result<Vec<u64>> {
    let (decisions, cache) = (decisions.to_string(), directory.join("cache"));
    let arguments = ["--decide".as_ref(), decisions.as_ref(), "--cache".as_ref(), cache.as_os_str()];
    tool.finish(directory, tool.start(directory, &env::current_exe()?, &arguments)?)
}

/// Decides this many times.
pub fn decide(count: u32, cache: &Path) -> Result<()> {
    // A small pool, because valgrind cannot reserve the address space of the default one.
    let sandbox = Sandbox::new(&Limits::default().max_concurrent_instances(2), Some(Cache::open(cache)?))?;
    let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), Vec::new())?;
    let store = Arc::new(MemoryStore::default());
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..count {
            let id = "user_memory_00000007";
            store.insert(id, Learning::owned_by(Some("alice@example.com")));
            let caller = Ok(Caller {
                credential: Credential::Jwt,
                subject: Some("alice@example.com".to_owned()),
                scopes: vec!["learnings:delete".to_owned()],
                scopes_optional: false,
                all_owners: false,
                admin_scope: "agent_os:admin".to_owned(),
            });
            let request = DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None };
            let record = databases.record(&request);
            let decision = policy.decide(request, caller, record).await;
            ensure!(decision.answer.is_ok(), "{decision:?}");
        }
        Ok(())
    })
}
