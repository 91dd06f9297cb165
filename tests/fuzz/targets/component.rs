//! The bytes of a component, as `delete-learning check` gets them: refused with a reason, or a policy whose decisions
//! are true of the record, whatever it does.

#![no_main]

use delete_learning::plugin::{Fate, LoadError, interface};
use delete_learning::storage::{Database, Databases, MemoryTable, Named};
use delete_learning::{Caller, Credential, ErrorCode, Learning, Limits, Plugin, Request, Wasi};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// Small, so that a policy that spins or grows ends soon.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    policy_bytes: 64 * 1024,
    concurrent_policies: 1,
    policy_wall_ms: 100,
    policy_cpu_ms: 1,
    policy_memory_bytes: 1024 * 1024,
    policy_table_elements: 100,
    database_busy_ms: 50,
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
fn decide(plugin: &Plugin) {
    let table = Arc::new(MemoryTable::default());
    table.insert("hers", Learning::owned_by(Some("alice")));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table_name: "learnings".to_owned(),
        table: Arc::<MemoryTable>::clone(&table),
    }]);
    let storage = databases.record(&Named { learning_id: Some("hers"), ..Named::default() });
    let request = Request { learning_id: "hers".to_owned(), db_id: None, table: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let decision = runtime.block_on(plugin.decide(request, Arc::new(Ok(caller())), storage));

    let is_there = !table.ids().is_empty();
    assert_eq!(decision.fate, if is_there { Fate::Kept } else { Fate::Deleted }, "{decision:?}");
    match (&decision.answer, &decision.fault) {
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
    let seen = interface(bytes, &LIMITS);
    let granted = Wasi { enabled: true, clocks: true, random: true };
    match Plugin::load(bytes, &LIMITS) {
        Ok(plugin) => {
            let (imports, exports) = seen.expect("what fits can be looked at");
            assert!(imports.iter().all(|name| name.starts_with("learnings:plugin/")), "{imports:?}");
            assert!(exports.iter().any(|name| name == "delete-learning"), "{exports:?}");
            decide(&plugin);
        }
        Err(error) => {
            assert!(error.to_string().len() > 20, "{error}");
            match &error {
                LoadError::ForeignImports(names) => {
                    let (imports, _) = seen.expect("what has imports can be looked at");
                    assert!(!names.is_empty() && names.iter().all(|name| imports.contains(name)), "{error}");
                }
                LoadError::WasiIsOff(names) => {
                    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("wasi:")), "{error}");
                    if let Ok(plugin) = Plugin::load_with(bytes, &LIMITS, granted, None) {
                        decide(&plugin);
                    }
                }
                LoadError::Invalid(_) => assert!(seen.is_err(), "it can be looked at, and is invalid: {error}"),
                _ => {}
            }
        }
    }
});
