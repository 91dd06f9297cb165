//! The bytes of a component, as `delete-learning check` gets them: refused with a reason, or a policy whose decisions
//! are true of the record, whatever it does.

#![no_main]

use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Caller, Credential, DeleteRequest, Description, ErrorCode, Learning, Limits, LoadError, Policy, RecordOutcome,
    Wasi, describe,
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// Small, so that a policy that spins or grows ends soon.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    max_component_bytes: 64 * 1024,
    max_concurrent_instances: 1,
    execution_timeout_ms: 100,
    cpu_time_limit_ms: 1,
    max_memory_bytes: 1024 * 1024,
    max_table_elements: 100,
    ..Limits::default()
});

fn caller() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned()],
        enforce_scopes: true,
        user_isolation: true,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

/// Has the policy decide on a record of alice's.
fn decide(policy: &Policy) {
    let store = Arc::new(MemoryStore::default());
    store.insert("hers", Learning::owned_by(Some("alice")));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let request = DeleteRequest { learning_id: "hers".to_owned(), db_id: None, table: None };
    let record = databases.record(&request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let decision = runtime.block_on(policy.decide(request, Ok(caller()), record));

    let is_there = !store.ids().is_empty();
    assert_eq!(
        decision.record,
        if is_there { RecordOutcome::NotDeleted } else { RecordOutcome::Deleted },
        "{decision:?}"
    );
    match (&decision.answer, &decision.error) {
        (Ok(()), None) => assert!(!is_there, "{decision:?}"),
        (Err(rejection), None) => {
            assert!(is_there && rejection.status == rejection.code.status(), "{decision:?}");
            assert!((1..=1024).contains(&rejection.detail.len()) && !rejection.detail.contains('\n'), "{decision:?}");
        }
        (answer, Some(_)) => {
            assert!(answer.as_ref().is_err_and(|told| told.code == ErrorCode::InternalServerError), "{decision:?}");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let seen = describe(bytes, &LIMITS);
    let granted = Wasi { enabled: true, clocks: true, random: true };
    match Policy::load(bytes, &LIMITS) {
        Ok(policy) => {
            let Description { imports, exports } = seen.expect("what fits can be looked at");
            assert!(imports.iter().all(|name| name.starts_with("learnings:plugin/")), "{imports:?}");
            assert!(exports.iter().any(|name| name == "delete-learning"), "{exports:?}");
            decide(&policy);
        }
        Err(error) => {
            assert!(error.to_string().len() > 20, "{error}");
            match &error {
                LoadError::UnknownImports(names) => {
                    let Description { imports, .. } = seen.expect("what has imports can be looked at");
                    assert!(!names.is_empty() && names.iter().all(|name| imports.contains(name)), "{error}");
                }
                LoadError::WasiDisabled(names) => {
                    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("wasi:")), "{error}");
                    if let Ok(policy) = Policy::load_with(bytes, &LIMITS, granted, None) {
                        decide(&policy);
                    }
                }
                LoadError::Invalid(_) => assert!(seen.is_err(), "it can be looked at, and is invalid: {error}"),
                _ => {}
            }
        }
    }
});
