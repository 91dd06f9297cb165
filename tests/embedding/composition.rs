//! A guard composed with a policy to one component, by `wac plug`.

use crate::support::database::repository_path;
use crate::support::optional::has_tools;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{Caller, Credential, DeleteRequest, Learning, Limits, Policy, RecordOutcome};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A component with the settings of a guard: none. It makes the composed component one without further imports.
const NO_SETTINGS: &str = r#"(component
    (core module $module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        ;; Both results are zeros: a success with no value, and with no values.
        (func (export "get") (param i32 i32) (result i32) (i32.const 16))
        (func (export "get-all") (result i32) (i32.const 16)))
    (core instance $core (instantiate $module))
    (alias core export $core "memory" (core memory $memory))
    (alias core export $core "cabi_realloc" (core func $realloc))
    (type $error (variant (case "upstream" string) (case "io" string)))
    (func $get (param "key" string) (result (result (option string) (error $error)))
        (canon lift (core func $core "get") (memory $memory) (realloc $realloc)))
    (func $get-all (result (result (list (tuple string string)) (error $error)))
        (canon lift (core func $core "get-all") (memory $memory)))
    (component $interface
        (type $variant (variant (case "upstream" string) (case "io" string)))
        (import "import-type-error" (type $error (eq $variant)))
        (import "import-get" (func $get (param "key" string) (result (result (option string) (error $error)))))
        (import "import-get-all" (func $get-all (result (result (list (tuple string string)) (error $error)))))
        (export $exported "error" (type $error))
        (export "get" (func $get) (func (param "key" string) (result (result (option string) (error $exported)))))
        (export "get-all" (func $get-all)
            (func (result (result (list (tuple string string)) (error $exported))))))
    (instance $store (instantiate $interface
        (with "import-type-error" (type $error))
        (with "import-get" (func $get))
        (with "import-get-all" (func $get-all))))
    (export "wasi:config/store@0.2.0-rc.1" (instance $store)))"#;

/// Serves the imports of `socket` with the exports of `plug`.
fn plug(socket: &Path, plug: &Path, output: &Path) {
    let mut command = Command::new("wac");
    let result = command.arg("plug").arg(socket).arg("--plug").arg(plug).arg("--output").arg(output).output();
    let result = result.expect("wac runs");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}

/// Composes the guard legal-hold with the default policy.
fn policy_with_legal_hold(directory: &Path) -> PathBuf {
    let (settings, guarded, composed) =
        (directory.join("settings.wasm"), directory.join("guarded.wasm"), directory.join("composed.wasm"));
    std::fs::write(&settings, wat::parse_str(NO_SETTINGS).expect("a component")).expect("a file");
    let policy = repository_path("guest/policy/component/delete-learning.wasm");
    let guard = repository_path("guest/examples/legal-hold/component/legal-hold.wasm");
    plug(&policy, &guard, &guarded);
    plug(&guarded, &settings, &composed);
    composed
}

fn caller(credential: Credential, subject: Option<&str>) -> Caller {
    Caller {
        credential,
        subject: subject.map(str::to_owned),
        scopes: vec!["learnings:delete".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

#[test]
fn composed_guard_denies_what_the_policy_would_delete() {
    if !has_tools(&["wac"], "a guard composed with a policy (`cargo install wac-cli`)") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let component = std::fs::read(policy_with_legal_hold(directory.path())).expect("the component");
    let policy = Policy::load(&component, &Limits::default()).expect("the component can be loaded");
    println!("the composed component has {} bytes", component.len());

    let store = Arc::new(MemoryStore::default());
    let held = |owner| Learning { metadata: Some(r#"{"legal_hold": true}"#.to_owned()), ..Learning::owned_by(owner) };
    store.insert("free", Learning::owned_by(Some("alice")));
    store.insert("held", held(Some("alice")));
    store.insert("held-of-bob", held(Some("bob")));
    store.insert("held-of-nobody", held(None));
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let alice = caller(Credential::Jwt, Some("alice"));
    let security_key = caller(Credential::SecurityKey, None);
    for (id, caller, status, rule) in [
        ("held", &alice, 403, "deletion-denied"),
        ("held", &security_key, 403, "deletion-denied"),
        ("held-of-bob", &alice, 404, "learning-owned-by-another"),
        ("held-of-nobody", &alice, 403, "learning-unowned"),
        ("held-of-nobody", &security_key, 403, "deletion-denied"),
        // The guard deletes the state that it read.
        ("free", &alice, 204, "deleted-unchanged"),
        ("free", &alice, 404, "learning-absent"),
    ] {
        let request = DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None };
        let record = databases.record(&request);
        let decision = runtime.block_on(policy.decide(request, Ok(caller.clone()), record));
        let answer = decision.answer.as_ref().map_or_else(|rejection| rejection.status, |()| 204);
        assert_eq!((answer, decision.rule()), (status, rule), "{id}: {:?}", decision.answer);
        let expected = if status == 204 { RecordOutcome::Deleted } else { RecordOutcome::NotDeleted };
        assert_eq!(decision.record, expected, "{id}");
        if rule == "deletion-denied" {
            let detail = decision.answer.expect_err("a rejection").detail;
            assert_eq!(detail, "This learning is under legal hold");
        }
    }
    assert_eq!(store.ids(), ["held", "held-of-bob", "held-of-nobody"]);
}
