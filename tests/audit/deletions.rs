//! The event of a deletion has the owner and the type that the record had, with any caller, alone or in a batch.

use super::{Log, stop};
use crate::storage::store::{Store, table};
use crate::support::cluster::PASSWORD;
use crate::support::load::HttpClient;
use crate::support::token::{admin, user};
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread;

const RECORDS: usize = 400;
const CLIENTS: usize = 32;

/// The owner of a record, and its type.
fn expected(index: usize) -> (Option<String>, String) {
    let owner = (!index.is_multiple_of(5)).then(|| format!("user ü{}", index % 7));
    (owner, format!("type_{}", index % 3))
}

/// The owners and types in the events of the deletions, by the learning ids.
fn deletions(log: &Log) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    log.show(&["--outcome", "deleted"])
        .iter()
        .map(|entry| {
            let id = text(entry.get("learning_id")).expect("an id");
            (id, (text(entry.get("owner")), text(entry.get("learning_type"))))
        })
        .collect()
}

/// An admin deletes without a condition, and the policy reads nothing before.
#[test]
fn deletion_has_the_owner_and_the_type_that_the_record_had() {
    for store in Store::all("owners and types in the audit log on PostgreSQL") {
        let log = Log::new();
        let mut records = store.connect();
        for index in 0..RECORDS {
            let (owner, learning_type) = expected(index);
            let id = format!("record_{index}");
            records.insert(&[(id.clone(), owner.as_deref())]);
            records.set(&id, "learning_type", &format!("'{learning_type}'"));
        }
        let mut setup = store.setup();
        setup.settings += &log.settings();
        let server = setup.start();
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let mut connection = HttpClient::new(&server, &admin());
                scope.spawn(move || {
                    for index in (client..RECORDS).step_by(CLIENTS) {
                        let answer = connection.delete(&format!("/learnings/record_{index}")).expect("an answer");
                        assert_eq!(answer.status, 204, "{answer:?}");
                    }
                });
            }
        });
        stop(server);
        let deletions = deletions(&log);
        assert_eq!(deletions.len(), RECORDS, "{}", store.name());
        for index in 0..RECORDS {
            let (owner, learning_type) = expected(index);
            let found = &deletions[&format!("record_{index}")];
            assert_eq!(*found, (owner, Some(learning_type)), "record_{index} on {}", store.name());
        }
        log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The privileges that deleting needs do not include the type.
#[test]
fn deletion_by_a_minimal_role_has_the_owner() {
    let Some(store) = Store::postgres("the audit log of a PostgreSQL role with few privileges") else { return };
    let Store::Postgres { cluster, database } = &store else { panic!("the store is PostgreSQL") };
    let role = format!("audit_{database}");
    store.client().run(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA ai TO {role};
         GRANT SELECT (learning_id, user_id), DELETE ON ai.agno_learnings TO {role}"
    ));
    store.connect().insert(&["by_admin", "by_owner"].map(|id| (id.to_owned(), Some("alice"))));
    let log = Log::new();
    let mut setup = store.setup();
    let url = format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", cluster.port);
    setup.further_databases = table("main", &url);
    setup.settings += &log.settings();
    let server = setup.start();
    server.delete("/learnings/by_admin", Some(&admin())).assert_deleted();
    server.delete("/learnings/by_owner", Some(&user("alice"))).assert_deleted();
    stop(server);
    let alice = (Some("alice".to_owned()), None);
    assert_eq!(
        deletions(&log),
        [("by_admin", alice.clone()), ("by_owner", alice)].map(|(id, of)| (id.to_owned(), of)).into()
    );
}
