//! A delete that SQLite refuses fails alone, whatever its transaction contains.

use crate::support::database::AgnoDatabase;
use crate::support::server::{Host as TestServer, Setup};
use crate::support::token::{admin, user};
use std::thread;

/// Records that can be deleted, requested concurrently with the refused one.
const OTHERS: usize = 60;

/// Refuses the delete of `refused`, each in another way: within the statement, by rolling back the transaction, after
/// the row was deleted, and at the commit.
const REFUSALS: [(&str, &str); 4] = [
    (
        "abort",
        "CREATE TRIGGER t BEFORE DELETE ON agno_learnings WHEN OLD.learning_id = 'refused'
               BEGIN SELECT RAISE(ABORT, 'on hold'); END",
    ),
    (
        "rollback",
        "CREATE TRIGGER t BEFORE DELETE ON agno_learnings WHEN OLD.learning_id = 'refused'
                  BEGIN SELECT RAISE(ROLLBACK, 'on hold'); END",
    ),
    (
        "fail",
        "CREATE TRIGGER t AFTER DELETE ON agno_learnings WHEN OLD.learning_id = 'refused'
              BEGIN SELECT RAISE(FAIL, 'on hold'); END",
    ),
    (
        "deferred foreign key",
        "CREATE TABLE child (id TEXT REFERENCES agno_learnings (learning_id)
                              DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES ('refused')",
    ),
];

/// Deletes the refused record once for every other record, concurrently with them. Returns the statuses of the others.
fn delete_all(server: &TestServer, round: usize) -> Vec<u16> {
    let token = user("alice");
    thread::scope(|scope| {
        let refused = scope.spawn(|| {
            (0..OTHERS).map(|_| server.delete("/learnings/refused", Some(&token)).status).collect::<Vec<_>>()
        });
        let others: Vec<_> = (0..OTHERS)
            .map(|index| {
                let token = &token;
                scope.spawn(move || server.delete(&format!("/learnings/other_{round}_{index}"), Some(token)).status)
            })
            .collect();
        let statuses = others.into_iter().map(|other| other.join().expect("a response")).collect();
        assert!(refused.join().expect("responses").iter().all(|status| *status == 500));
        statuses
    })
}

#[test]
fn refused_delete_fails_alone() {
    for (refusal, sql) in REFUSALS {
        let server = Setup::jwt().start();
        let database = server.database("main");
        database.insert("refused", Some("alice"));
        for round in 0..2 {
            for index in 0..OTHERS {
                database.insert(&format!("other_{round}_{index}"), Some("alice"));
            }
        }
        database.execute(sql);
        for round in 0..2 {
            let statuses = delete_all(&server, round);
            assert!(statuses.iter().all(|status| *status == 204), "{refusal}: {statuses:?}");
        }
        let ids = database.ids();
        assert!(ids.contains("refused") && !ids.iter().any(|id| id.starts_with("other_")), "{refusal}: {ids:?}");
        let audit = server.logged(&["\"target\":\"audit\"", "\"refused\""]);
        assert_eq!((&audit["status"], &audit["record"]), (&500.into(), &"not-deleted".into()), "{refusal}: {audit}");
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.starts_with("delete-if-owned-by: internal, "), "{refusal}: {audit}");
    }
}

/// A record that a trigger retains is reported as it is, after one attempt.
#[test]
fn delete_vetoed_by_a_trigger_is_reported_as_not_deleted() {
    for (veto, sql) in [
        (
            "ignored",
            "CREATE TRIGGER t BEFORE DELETE ON agno_learnings WHEN OLD.learning_id LIKE 'vetoed%'
                     BEGIN SELECT RAISE(IGNORE); END",
        ),
        (
            "soft-deleted",
            "CREATE TRIGGER t BEFORE DELETE ON agno_learnings WHEN OLD.learning_id LIKE 'vetoed%'
                          BEGIN UPDATE agno_learnings SET namespace = 'deleted'
                          WHERE learning_id = OLD.learning_id; SELECT RAISE(IGNORE); END",
        ),
        (
            "inserted again",
            "CREATE TRIGGER t AFTER DELETE ON agno_learnings WHEN OLD.learning_id LIKE 'vetoed%'
                            BEGIN INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
                            VALUES (OLD.learning_id, OLD.learning_type, OLD.user_id, '{}', 1); END",
        ),
    ] {
        let server = Setup::jwt().start();
        let database = server.database("main");
        database.insert("vetoed", Some("alice"));
        database.insert("vetoed-shared", None);
        database.insert("other", Some("alice"));
        database.execute(sql);
        let alice = user("alice");
        assert_eq!(server.delete("/learnings/vetoed", Some(&alice)).status, 500, "{veto}");
        assert_eq!(server.delete("/learnings/vetoed-shared", Some(&admin())).status, 500, "{veto}");
        assert_eq!(server.delete("/learnings/vetoed-shared", Some(&alice)).status, 403, "{veto}");
        assert_eq!(server.delete("/learnings/vetoed", Some(&user("bob"))).status, 404, "{veto}");
        assert_eq!(server.delete("/learnings/other", Some(&alice)).status, 204, "{veto}");
        assert!(database.has("vetoed") && database.has("vetoed-shared") && !database.has("other"), "{veto}");
        let audit = server.logged(&["\"target\":\"audit\"", "\"vetoed\"", "storage-failed"]);
        assert_eq!(audit["record"], "not-deleted", "{veto}: {audit}");
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.starts_with("delete-if-owned-by: internal, vetoed: "), "{veto}: {audit}");
    }
}

/// Only an ordinary table with unique ids holds learnings.
#[test]
fn view_or_table_without_unique_ids_is_refused_at_startup() {
    for (sql, reason) in [
        (
            "ALTER TABLE agno_learnings RENAME TO t; CREATE VIEW agno_learnings AS SELECT * FROM t",
            "not an ordinary table",
        ),
        (
            "ALTER TABLE agno_learnings RENAME TO t; CREATE TABLE agno_learnings AS SELECT * FROM t",
            "no unique index on learning_id",
        ),
        (
            "ALTER TABLE agno_learnings RENAME TO t; CREATE TABLE agno_learnings AS SELECT * FROM t;
             CREATE UNIQUE INDEX i ON agno_learnings (learning_id, user_id)",
            "no unique index on learning_id",
        ),
    ] {
        let folder = tempfile::TempDir::new().expect("a directory");
        AgnoDatabase::in_folder(folder.path(), "main.db").execute(sql);
        let error = Setup::jwt().try_start_in(folder).err().expect("it is refused");
        assert!(error.contains("databases[0].url") && error.contains(reason), "{error}");
    }
    let folder = tempfile::TempDir::new().expect("a directory");
    AgnoDatabase::in_folder(folder.path(), "main.db").execute(
        "ALTER TABLE agno_learnings RENAME TO t; CREATE TABLE agno_learnings AS SELECT * FROM t;
         CREATE UNIQUE INDEX i ON agno_learnings (learning_id)",
    );
    Setup::jwt().start_in(folder);
}
