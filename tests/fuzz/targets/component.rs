//! The bytes of a component. The sandbox must reject them with a reason, or run a policy and report correctly whether
//! the record was deleted, whatever the policy does.

#![no_main]

use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Access, Caller, Credential, DeleteRequest, Description, ErrorCode, Learning, Limits, LoadError, Policy,
    RecordOutcome, Sandbox, describe,
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// Small limits, so that a policy that spins or grows stops soon.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| {
    Limits::default()
        .max_component_bytes(64 * 1024)
        .max_concurrent_instances(1)
        .execution_timeout_ms(100)
        .cpu_time_limit_ms(1)
        .max_memory_bytes(1024 * 1024)
        .max_table_elements(100)
});

fn caller() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

/// Lets the policy decide on a record that alice owns, and checks the decision.
fn decide(policy: &Policy) {
    let store = Arc::new(MemoryStore::default());
    store.insert("record", Learning::owned_by(Some("alice")));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let request = DeleteRequest { learning_id: "record".to_owned(), db_id: None, table: None };
    let record = databases.record(&request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let decision = runtime.block_on(policy.decide(request, Ok(caller()), record));

    let exists = !store.ids().is_empty();
    assert_eq!(
        decision.record,
        if exists { RecordOutcome::NotDeleted } else { RecordOutcome::Deleted },
        "{decision:?}"
    );
    match (&decision.answer, &decision.error) {
        (Ok(()), None) => assert!(!exists, "{decision:?}"),
        (Err(rejection), None) => {
            assert!(exists && rejection.status == rejection.code.status(), "{decision:?}");
            assert!((1..=1024).contains(&rejection.detail.len()) && !rejection.detail.contains('\n'), "{decision:?}");
        }
        (answer, Some(_)) => {
            assert!(
                answer.as_ref().is_err_and(|rejection| rejection.code == ErrorCode::InternalServerError),
                "{decision:?}"
            );
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let description = describe(bytes, &LIMITS);
    match Policy::load(bytes, &LIMITS) {
        Ok(policy) => {
            let Description { imports, exports, .. } = description.expect("a policy can be described");
            let needs_no_grant =
                |name: &String| name.starts_with("learnings:plugin/") || name.starts_with("wasi:config/store@");
            assert!(imports.iter().all(needs_no_grant), "{imports:?}");
            assert!(exports.iter().any(|name| name == "delete-learning"), "{exports:?}");
            decide(&policy);
        }
        Err(error) => {
            assert!(error.to_string().len() > 20, "{error}");
            match &error {
                LoadError::UnknownImports(names) => {
                    let Description { imports, .. } = description.expect("a component with imports can be described");
                    assert!(!names.is_empty() && names.iter().all(|name| imports.contains(name)), "{error}");
                }
                LoadError::NotGranted { needed, .. } => {
                    assert!(!needed.is_empty() && needed.iter().all(|name| name.starts_with("wasi:")), "{error}");
                    let access = Access { grants: needed.iter().cloned().collect(), ..Access::default() };
                    let sandbox = Sandbox::new(&LIMITS, None).expect("a sandbox");
                    if let Ok(policy) = sandbox.load_policy(bytes, &access, Vec::new()) {
                        decide(&policy);
                    }
                }
                _ => {}
            }
        }
    }
});
