//! Embedding: a platform's own storage and identity around the sandbox.

use delete_learning::plugin::{Fate, Fault};
use delete_learning::storage::{Database, Databases, MemoryTable, Named};
use delete_learning::{
    BoxFuture, Caller, Condition, Credential, DELETE_LEARNING, IdentityError, Learning, Limits, Outcome, Plugin,
    Request, Storage, StorageError, StorageErrorKind, Target,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

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

fn request(id: &str) -> Request {
    Request { learning_id: id.to_owned(), db_id: None, table: None }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

#[test]
fn a_platform_with_records_in_memory_gets_the_same_decisions() {
    let table = Arc::new(MemoryTable::default());
    table.insert("hers", Learning::owned_by(Some("alice")));
    table.insert("his", Learning::owned_by(Some("bob")));
    table.insert("shared", Learning::owned_by(None));
    let databases = Databases(vec![Database {
        id: "memory".to_owned(),
        table_name: "learnings".to_owned(),
        table: Arc::<MemoryTable>::clone(&table),
    }]);
    let plugin = Plugin::load(DELETE_LEARNING, &Limits::default()).expect("the policy fits");
    let decide = |id: &str| {
        let storage = databases.record(&Named { learning_id: Some(id), ..Named::default() });
        run(plugin.decide(request(id), Arc::new(alice()), storage))
    };
    for (id, rule, fate) in [
        ("hers", "deleted-as-owner", Fate::Deleted),
        ("hers", "learning-absent", Fate::Kept),
        ("his", "learning-owned-by-another", Fate::Kept),
        ("shared", "learning-unowned", Fate::Kept),
    ] {
        let decision = decide(id);
        assert_eq!((decision.rule(), decision.fate), (rule, fate), "{id}");
    }
    assert_eq!(table.ids(), ["his", "shared"]);
}

/// Storage that takes a delete and does not answer for a long time, from so many at once.
struct Silent(Semaphore);

impl Silent {
    fn with_turns(turns: usize) -> Arc<Self> {
        Arc::new(Self(Semaphore::new(turns)))
    }
}

impl Storage for Silent {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        Box::pin(std::future::pending())
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        Box::pin(std::future::pending())
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(std::future::pending())
    }

    fn turns(&self) -> Option<&Semaphore> {
        Some(&self.0)
    }
}

#[test]
fn a_database_that_hangs_leaves_room_in_the_sandbox_for_the_others() {
    let limits = Limits { concurrent_policies: 3, queue_ms: 200, ..Limits::default() };
    let plugin = Arc::new(Plugin::load(DELETE_LEARNING, &limits).expect("the policy fits"));
    let silent = Silent::with_turns(2);
    run(async {
        let mut hanging = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (plugin, silent) = (Arc::clone(&plugin), Arc::clone(&silent));
            hanging.spawn(async move { plugin.decide(request("x"), Arc::new(alice()), silent).await });
        }
        tokio::task::yield_now().await;
        let absent = Databases(vec![Database {
            id: "memory".to_owned(),
            table_name: "learnings".to_owned(),
            table: Arc::new(MemoryTable::default()),
        }])
        .record(&Named { learning_id: Some("x"), ..Named::default() });
        let decision = plugin.decide(request("x"), Arc::new(alice()), absent).await;
        assert_eq!(decision.rule(), "learning-absent");
        // Of those that hang, two have a turn, and the others are told so.
        for _ in 0..6 {
            let waited = hanging.join_next().await.expect("one more").expect("no panic");
            assert_eq!((waited.rule(), waited.fate), ("sandbox-overloaded", Fate::Kept));
        }
        hanging.abort_all();
    });
}

#[test]
fn storage_that_does_not_answer_ends_in_time_and_what_became_of_the_record_is_said_to_be_unknown() {
    let limits = Limits { policy_wall_ms: 200, database_busy_ms: 100, ..Limits::default() };
    let plugin = Plugin::load(DELETE_LEARNING, &limits).expect("the policy fits");
    let decision = run(async {
        let decision = plugin.decide(request("x"), Arc::new(alice()), Silent::with_turns(1));
        tokio::time::timeout(Duration::from_secs(5), decision).await.expect("it ends by itself")
    });
    assert!(matches!(decision.fault, Some(Fault::OutOfTime)), "{decision:?}");
    assert_eq!(decision.fate, Fate::Unknown);
    assert_eq!(decision.answer.expect_err("a refusal").status, 500);
}

/// Storage that fails.
struct Failing(StorageErrorKind);

impl Failing {
    fn answer<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, StorageError>> {
        Box::pin(std::future::ready(Err(StorageError::new(self.0, "as the test wants it"))))
    }
}

impl Storage for Failing {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.answer()
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.answer()
    }

    fn delete(&self, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        self.answer()
    }
}

#[test]
fn a_delete_whose_end_is_unknown_is_never_said_to_have_kept_the_record() {
    let plugin = Plugin::load(DELETE_LEARNING, &Limits::default()).expect("the policy fits");
    let decide = |kind| run(plugin.decide(request("x"), Arc::new(alice()), Arc::new(Failing(kind))));
    let unknown = decide(StorageErrorKind::OutcomeUnknown);
    assert_eq!((unknown.rule(), unknown.fate), ("outcome-unknown", Fate::Unknown));
    let kept = decide(StorageErrorKind::Unavailable);
    assert_eq!((kept.rule(), kept.fate), ("storage-unavailable", Fate::Kept));
}

#[test]
fn bytes_that_are_no_policy_are_refused_with_the_reason() {
    let refusal = |bytes: &[u8]| match Plugin::load(bytes, &Limits::default()) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    };
    assert!(refusal(b"").contains("not a valid WebAssembly component"));
    assert!(refusal(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(refusal(&DELETE_LEARNING[..1000]).contains("not a valid WebAssembly component"));
    // An empty component: valid, and exports nothing.
    let empty = refusal(b"\0asm\x0d\0\x01\0");
    assert!(empty.contains("does not fit the contract"), "{empty}");
}
