//! Deletes that the database refuses, and tables that cannot hold learnings.

use super::store::{Records, Store, table};
use crate::support::cluster::{Cluster, PASSWORD, USER};
use crate::support::database::AgnoDatabase;
use crate::support::postgres::agno_tables;
use crate::support::proxy::Proxy;
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use crate::support::token::{admin, user};
use std::thread;

/// Records that can be deleted, requested concurrently with the refused one.
const OTHERS: usize = 30;

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
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"refused\""]);
        assert_eq!((&audit["status"], &audit["record"]), (&500.into(), &"not-deleted".into()), "{refusal}: {audit}");
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.starts_with("delete-if-owned-by: internal, "), "{refusal}: {audit}");
        assert!(!storage.contains("extended code"), "{refusal}, which is no I/O error: {audit}");
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
        assert!(
            database.contains("vetoed") && database.contains("vetoed-shared") && !database.contains("other"),
            "{veto}"
        );
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"vetoed\"", "storage-failed"]);
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
        AgnoDatabase::copy_to(folder.path(), "main.db").execute(sql);
        let error = Setup::jwt().try_start_in(folder).err().expect("it is refused");
        assert!(error.contains("databases[0].url") && error.contains(reason), "{error}");
    }
    let folder = tempfile::TempDir::new().expect("a directory");
    AgnoDatabase::copy_to(folder.path(), "main.db").execute(
        "ALTER TABLE agno_learnings RENAME TO t; CREATE TABLE agno_learnings AS SELECT * FROM t;
         CREATE UNIQUE INDEX i ON agno_learnings (learning_id)",
    );
    Setup::jwt().start_in(folder);
}

/// A trigger function that counts its calls and runs this statement.
fn counting_trigger(when: &str, body: &str) -> String {
    format!(
        "CREATE TABLE calls (id text);
         CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.learning_id = 'other' THEN RETURN OLD; END IF;
             INSERT INTO calls VALUES (OLD.learning_id); {body} END $$;
         CREATE TRIGGER veto {when} DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION veto()"
    )
}

/// A record that PostgreSQL retains is reported as it is, after one attempt.
#[test]
fn delete_vetoed_by_postgresql_is_reported_after_one_attempt() {
    let insert_again = "INSERT INTO ai.agno_learnings SELECT OLD.*; RETURN NULL;";
    let soft_delete =
        "UPDATE ai.agno_learnings SET namespace = 'deleted' WHERE learning_id = OLD.learning_id; RETURN NULL;";
    for (veto, sql) in [
        ("ignored", counting_trigger("BEFORE", "RETURN NULL;")),
        ("soft-deleted", counting_trigger("BEFORE", soft_delete)),
        ("inserted again", counting_trigger("AFTER", insert_again)),
    ] {
        let Some(store) = Store::postgres("a PostgreSQL database with triggers") else { return };
        let mut records = store.connect();
        records.insert(&[("vetoed".to_owned(), Some("alice")), ("other".to_owned(), Some("alice"))]);
        let client = store.client();
        client.run(&sql);
        let server = store.setup().start();
        assert_eq!(server.delete("/learnings/vetoed", Some(&user("alice"))).status, 500, "{veto}");
        let calls: i64 = client.query("SELECT count(*) FROM calls", &[])[0].get(0);
        assert_eq!(calls, 1, "{veto}: one attempt");
        assert_eq!(server.delete("/learnings/vetoed", Some(&user("bob"))).status, 404, "{veto}");
        assert_eq!(server.delete("/learnings/other", Some(&user("alice"))).status, 204, "{veto}");
        assert_eq!(records.ids().into_iter().collect::<Vec<_>>(), ["vetoed"], "{veto}");
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"vetoed\"", "storage-failed"]);
        assert_eq!(audit["record"], "not-deleted", "{veto}: {audit}");
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.starts_with("delete-if-owned-by: internal, vetoed: "), "{veto}: {audit}");
    }
}

/// A trigger can retain a record and change it, so that it is another user's afterwards.
#[test]
fn delete_of_a_record_that_a_trigger_gives_to_another_user_is_reported_as_not_deleted() {
    for store in Store::all("a PostgreSQL database with a trigger") {
        store.connect().insert(&[("vetoed".to_owned(), Some("alice"))]);
        store.run(match &store {
            Store::Sqlite { .. } => {
                "CREATE TRIGGER t AFTER DELETE ON agno_learnings BEGIN
                 INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
                 VALUES (OLD.learning_id, OLD.learning_type, 'bob', '{}', 1); END"
            }
            Store::Postgres { .. } => {
                "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 OLD.user_id := 'bob'; INSERT INTO ai.agno_learnings SELECT OLD.*; RETURN NULL; END $$;
                 CREATE TRIGGER t AFTER DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION t()"
            }
        });
        let (server, name) = (store.setup().start(), store.name());
        assert_eq!(server.delete("/learnings/vetoed", Some(&user("alice"))).status, 500, "{name}");
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"vetoed\""]);
        assert_eq!(audit["record"], "not-deleted", "{name}: {audit}");
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.contains("internal, vetoed: "), "{name}: {audit}");
        assert_eq!(server.delete("/learnings/vetoed", Some(&user("alice"))).status, 404, "{name}");
    }
}

/// A trigger that gives the record to another user before the delete makes it a delete of another user's record.
#[test]
fn delete_before_which_a_trigger_gives_the_record_to_another_user_is_404() {
    for store in Store::all("a PostgreSQL database with a trigger before deletes") {
        let mut records = store.connect();
        records.insert(&[("given".to_owned(), Some("alice"))]);
        store.run(match &store {
            Store::Sqlite { .. } => {
                "CREATE TRIGGER t BEFORE DELETE ON agno_learnings BEGIN
                 UPDATE agno_learnings SET user_id = 'bob' WHERE learning_id = OLD.learning_id; SELECT RAISE(IGNORE); END"
            }
            Store::Postgres { .. } => {
                "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 UPDATE ai.agno_learnings SET user_id = 'bob' WHERE learning_id = OLD.learning_id; RETURN NULL; END $$;
                 CREATE TRIGGER t BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION t()"
            }
        });
        let (server, name) = (store.setup().start(), store.name());
        assert_eq!(server.delete("/learnings/given", Some(&user("alice"))).status, 404, "{name}: {}", server.log());
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"given\""]);
        assert_eq!(audit["record"], "not-deleted", "{name}: {audit}");
        assert!(records.has("given"), "{name}");
    }
}

/// Another program inserts the record again before the server looks at what its delete left.
#[test]
fn record_that_another_program_inserts_again_was_deleted() {
    let Some(cluster) = Cluster::shared("a PostgreSQL database with a trigger") else { return };
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    client.run(&agno_tables());
    client.insert(&[("a".to_owned(), Some("alice"))]);
    client.run(
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
         CREATE TRIGGER t AFTER DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION t()",
    );
    let proxy = Proxy::new(cluster.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let (further_databases, settings) = (table("main", &url), LONG_TIMEOUTS.to_owned());
    let server = Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start();
    let response = thread::scope(|scope| {
        let response = scope.spawn(|| server.delete("/learnings/a", Some(&user("alice"))));
        client.wait_for(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
             WHERE wait_event = 'PgSleep' AND datname = current_database())",
        );
        proxy.hang();
        // It waits for the delete to end.
        client.insert(&[("a".to_owned(), Some("alice"))]);
        proxy.resume();
        response.join().expect("a response")
    });
    assert_eq!(response.status, 204, "{}", server.log());
    assert!(client.ids().contains("a"));
}

/// PostgreSQL rolls a transaction back if it conflicts with others, or is part of a deadlock.
#[test]
fn conflicting_delete_is_repeated_until_its_time_is_up() {
    let Some(store) = Store::postgres("PostgreSQL transactions that conflict") else { return };
    store.connect().insert(&["twice", "always"].map(|id| (id.to_owned(), Some("alice"))));
    let client = store.client();
    client.run(
        "CREATE SEQUENCE attempts;
         CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('attempts') > 2 AND OLD.learning_id = 'twice' THEN RETURN OLD; END IF;
             PERFORM pg_sleep(0.3);
             RAISE EXCEPTION 'conflict' USING ERRCODE = 'serialization_failure'; END $$;
         CREATE TRIGGER t BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION t()",
    );
    let settings = LONG_TIMEOUTS.replace("statement_timeout_ms = 8000", "statement_timeout_ms = 1000");
    let server = Setup { settings, ..store.setup() }.start();
    assert_eq!(server.delete("/learnings/twice", Some(&user("alice"))).status, 204, "{}", server.log());
    client.run("SELECT setval('attempts', 1)");
    assert_eq!(server.delete("/learnings/always", Some(&user("alice"))).status, 503, "{}", server.log());
    let attempts: i64 = client.query("SELECT last_value FROM attempts", &[])[0].get(0);
    // In a second, each of them in 0.3 s.
    assert!((3..=8).contains(&attempts), "{attempts} attempts");
}

/// The table exists, so no client is told that it does not.
#[test]
fn table_without_a_column_that_it_had_is_an_internal_error() {
    for store in Store::all("a PostgreSQL table that loses a column") {
        store.connect().insert(&["before", "r"].map(|id| (id.to_owned(), Some("alice"))));
        let (server, name) = (store.setup().start(), store.name());
        // On the same connection.
        assert_eq!(server.delete("/learnings/before", Some(&user("alice"))).status, 204, "{name}");
        let learnings = if matches!(store, Store::Sqlite { .. }) { "agno_learnings" } else { "ai.agno_learnings" };
        store.run(&format!("ALTER TABLE {learnings} RENAME COLUMN user_id TO owner"));
        let response = server.delete("/learnings/r?db_id=main&table=agno_learnings", Some(&user("alice")));
        assert_eq!(response.status, 500, "{name}: {response:?}");
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"r\""]);
        let storage = audit["storage"].as_str().expect("the call is audited");
        assert!(storage.contains(": internal, ") && storage.contains("user_id"), "{name}: {audit}");
    }
}

/// A database user without superuser rights, and the URL with which it connects.
fn application_user(cluster: &Cluster, database: &str, grants: &str) -> String {
    let user = format!("app_{database}");
    let client = cluster.connect(database);
    client.run(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; {}", grants.replace("APP", &user)));
    format!("postgres://{user}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", cluster.port)
}

#[test]
fn delete_vetoed_by_row_level_security_is_reported_after_one_attempt() {
    let Some(store) = Store::postgres("PostgreSQL with row-level security") else { return };
    let Store::Postgres { cluster, database } = &store else { return };
    store.connect().insert(&[("vetoed".to_owned(), Some("alice"))]);
    let grants = "GRANT USAGE ON SCHEMA ai TO APP; GRANT ALL ON ai.agno_learnings TO APP;
                  ALTER TABLE ai.agno_learnings ENABLE ROW LEVEL SECURITY;
                  CREATE POLICY readable ON ai.agno_learnings FOR SELECT USING (true)";
    let further_databases = table("main", &application_user(cluster, database, grants));
    let server = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
    assert_eq!(server.delete("/learnings/vetoed", Some(&user("alice"))).status, 500);
    let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"vetoed\""]);
    assert_eq!((&audit["record"], &audit["rule"]), (&"not-deleted".into(), &"storage-failed".into()), "{audit}");
    assert!(audit["storage"].as_str().is_some_and(|storage| storage.contains("internal, vetoed: ")), "{audit}");
}

#[test]
fn postgresql_table_that_cannot_hold_learnings_is_refused_at_startup() {
    let replace_table =
        "ALTER TABLE ai.agno_learnings RENAME TO t; CREATE TABLE ai.agno_learnings AS SELECT * FROM ai.t";
    for (sql, reason) in [
        (
            "ALTER TABLE ai.agno_learnings RENAME TO t; CREATE VIEW ai.agno_learnings AS SELECT * FROM ai.t",
            "not an ordinary or partitioned table",
        ),
        ("CREATE RULE r AS ON DELETE TO ai.agno_learnings DO INSTEAD NOTHING", "has a rule for DELETE"),
        ("CREATE RULE r AS ON DELETE TO ai.agno_learnings DO ALSO SELECT 1", "has a rule for DELETE"),
        ("CREATE TABLE ai.t () INHERITS (ai.agno_learnings)", "has tables that inherit from it"),
        (replace_table, "no unique index on learning_id alone"),
        ("ALTER TABLE ai.agno_learnings DROP COLUMN user_id CASCADE", "no column user_id"),
    ] {
        let Some(store) = Store::postgres("PostgreSQL tables that cannot hold learnings") else { return };
        store.client().run(sql);
        let folder = tempfile::TempDir::new().expect("a directory");
        let error = store.setup().try_start_in(folder).err().expect("it is refused");
        assert!(error.contains("databases[0].url") && error.contains(reason), "{reason} is not in {error}");
    }
}

#[test]
fn postgresql_user_needs_only_the_privileges_that_deleting_needs() {
    let Some(store) = Store::postgres("PostgreSQL users with few privileges") else { return };
    let Store::Postgres { cluster, database } = &store else { return };
    store.connect().insert(&[("granted".to_owned(), Some("alice"))]);
    let grants = "GRANT USAGE ON SCHEMA ai TO APP; GRANT SELECT (learning_id, user_id) ON ai.agno_learnings TO APP";
    let url = application_user(cluster, database, grants);
    let setup = || Setup { databases: vec![], further_databases: table("main", &url), ..Setup::jwt() };
    let error = setup().try_start_in(tempfile::TempDir::new().expect("a directory")).err().expect("it is refused");
    assert!(error.contains("lacks the privilege DELETE") && error.contains(&format!("app_{database}")), "{error}");

    store.client().run(&format!("GRANT DELETE ON ai.agno_learnings TO app_{database}"));
    let server = setup().start();
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
    assert_eq!(server.delete("/learnings/granted", Some(&user("alice"))).status, 204);

    store.client().run(&format!("REVOKE DELETE ON ai.agno_learnings FROM app_{database}"));
    assert_eq!(server.delete("/learnings/granted", Some(&user("alice"))).status, 500);
    assert_eq!(server.request("GET", "/health", &[]).status, 503, "{}", server.log());
    server.wait_for_log(&["health check failed", "the privilege DELETE is missing"]);
}
