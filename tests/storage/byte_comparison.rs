//! Ids and owners are compared byte for byte, whatever the collation and type of their columns.

use super::store::{Store, table};
use crate::support::cluster::PASSWORD;
use crate::support::database::AgnoDatabase;
use crate::support::server::Setup;
use crate::support::token::{admin, user};

/// Replaces the table by one with these types of `learning_id` and `user_id`.
fn sqlite_table(id_type: &str, owner_type: &str) -> String {
    format!(
        "ALTER TABLE agno_learnings RENAME TO t;
         CREATE TABLE agno_learnings (learning_id {id_type} PRIMARY KEY, learning_type VARCHAR NOT NULL,
             namespace VARCHAR, user_id {owner_type}, agent_id VARCHAR, team_id VARCHAR, workflow_id VARCHAR,
             session_id VARCHAR, entity_id VARCHAR, entity_type VARCHAR, content JSON NOT NULL, metadata JSON,
             created_at BIGINT NOT NULL, updated_at BIGINT)"
    )
}

#[test]
fn sqlite_collation_does_not_make_other_ids_or_owners_equal() {
    for (collation, id, owner) in [("NOCASE", "REC", "ALICE"), ("RTRIM", "rec  ", "alice  ")] {
        let folder = tempfile::TempDir::new().expect("a directory");
        let column = format!("VARCHAR COLLATE {collation}");
        AgnoDatabase::copy_to(folder.path(), "main.db").execute(&sqlite_table(&column, &column));
        let server = Setup::jwt().start_in(folder);
        let database = server.database("main");
        database.insert("rec", Some("alice"));
        let path = format!("/learnings/{}", id.replace(' ', "%20"));
        assert_eq!(server.delete(&path, Some(&user("alice"))).status, 404, "{collation}");
        assert_eq!(server.delete(&path, Some(&admin())).status, 404, "{collation}");
        assert_eq!(server.delete("/learnings/rec", Some(&user(owner))).status, 404, "{collation}");
        let audit = server.wait_for_log(&["\"target\":\"audit\"", "learning-owned-by-another"]);
        assert_eq!(audit["record"], "not-deleted", "{collation}: {audit}");
        assert_eq!(server.delete("/learnings/rec", Some(&user("alice"))).status, 204, "{collation}");
    }
}

#[test]
fn sqlite_column_that_converts_text_to_numbers_is_refused_at_startup() {
    for (id_type, owner_type, column) in [
        ("VARCHAR", "INTEGER", "user_id"),
        ("BIGINT", "VARCHAR", "learning_id"),
        ("UUID", "VARCHAR", "learning_id"),
        ("TEXT", "DOUBLE", "user_id"),
    ] {
        let folder = tempfile::TempDir::new().expect("a directory");
        AgnoDatabase::copy_to(folder.path(), "main.db").execute(&sqlite_table(id_type, owner_type));
        let error = Setup::jwt().try_start_in(folder).err().expect("it is refused");
        assert!(error.contains("databases[0].url") && error.contains("is not text"), "{error}");
        assert!(error.contains(&format!("the column {column} ")), "{error}");
    }
    for column in ["TEXT", "clob", "BLOB", ""] {
        let folder = tempfile::TempDir::new().expect("a directory");
        AgnoDatabase::copy_to(folder.path(), "main.db").execute(&sqlite_table(column, column));
        let server = Setup::jwt().start_in(folder);
        server.database("main").insert("007", Some("1.0"));
        assert_eq!(server.delete("/learnings/7", Some(&admin())).status, 404, "{column}");
        assert_eq!(server.delete("/learnings/007", Some(&user("1"))).status, 404, "{column}");
        assert_eq!(server.delete("/learnings/007", Some(&user("1.0"))).status, 204, "{column}");
    }
}

/// A delete updates every index and runs every trigger, so SQLite must know what these use.
#[test]
fn sqlite_table_with_an_unknown_function_is_refused_at_startup() {
    let folder = tempfile::TempDir::new().expect("a directory");
    AgnoDatabase::copy_to(folder.path(), "main.db").execute(
        "CREATE TRIGGER t AFTER DELETE ON agno_learnings BEGIN SELECT notify_application(OLD.learning_id); END",
    );
    let error = Setup::jwt().try_start_in(folder).err().expect("it is refused");
    assert!(error.contains("databases[0].url") && error.contains("notify_application"), "{error}");
}

#[test]
fn postgresql_collation_does_not_make_other_ids_or_owners_equal() {
    let Some(store) = Store::postgres("PostgreSQL with nondeterministic collations") else { return };
    store.client().run(
        "CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE ai.agno_learnings ALTER learning_id TYPE varchar COLLATE ignore_case,
                                       ALTER user_id TYPE varchar COLLATE ignore_case",
    );
    store.connect().insert(&[("rec".to_owned(), Some("alice"))]);
    let server = store.setup().start();
    assert_eq!(server.delete("/learnings/REC", Some(&user("alice"))).status, 404);
    assert_eq!(server.delete("/learnings/REC", Some(&admin())).status, 404);
    assert_eq!(server.delete("/learnings/rec", Some(&user("ALICE"))).status, 404);
    let audit = server.wait_for_log(&["\"target\":\"audit\"", "learning-owned-by-another"]);
    assert_eq!(audit["record"], "not-deleted", "{audit}");
    assert_eq!(server.delete("/learnings/rec", Some(&user("alice"))).status, 204);
}

#[test]
fn postgresql_column_that_is_not_text_is_refused_at_startup() {
    for (column, column_type, reason) in [
        ("user_id", "integer USING 1", "column user_id of the type integer"),
        ("user_id", "uuid USING gen_random_uuid()", "column user_id of the type uuid"),
        ("learning_id", "char(40)", "column learning_id of the type character(40)"),
        ("created_at", "timestamptz USING now()", "column created_at of the type timestamp with time zone"),
    ] {
        let Some(store) = Store::postgres("PostgreSQL columns of other types") else { return };
        store.client().run(&format!("ALTER TABLE ai.agno_learnings ALTER {column} TYPE {column_type}"));
        let folder = tempfile::TempDir::new().expect("a directory");
        let error = store.setup().try_start_in(folder).err().expect("it is refused");
        assert!(error.contains("databases[0].url") && error.contains(reason), "{reason} is not in {error}");
    }
}

#[test]
fn postgresql_domain_over_text_holds_ids_and_owners() {
    let Some(store) = Store::postgres("PostgreSQL domains") else { return };
    // The client of the tests writes no domains, so the record comes first.
    store.connect().insert(&[("rec".to_owned(), Some("alice"))]);
    store.client().run(
        "CREATE DOMAIN identifier AS varchar CHECK (VALUE <> '');
         ALTER TABLE ai.agno_learnings ALTER learning_id TYPE identifier, ALTER user_id TYPE identifier,
                                       ALTER agent_id TYPE uuid USING gen_random_uuid(), ALTER created_at TYPE integer",
    );
    let server = store.setup().start();
    assert_eq!(server.delete("/learnings/rec", Some(&user("bob"))).status, 404);
    assert_eq!(server.delete("/learnings/rec", Some(&user("alice"))).status, 204);
}

/// A privilege that is missing on the schema is named too.
#[test]
fn postgresql_user_without_usage_on_the_schema_is_refused_by_name() {
    let Some(store) = Store::postgres("PostgreSQL users without privileges on the schema") else { return };
    let Store::Postgres { cluster, database } = &store else { return };
    let user = format!("app_{database}");
    store.client().run(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"));
    let url = format!("postgres://{user}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", cluster.port);
    let setup = Setup { databases: vec![], further_databases: table("main", &url), ..Setup::jwt() };
    let error = setup.try_start_in(tempfile::TempDir::new().expect("a directory")).err().expect("it is refused");
    assert!(error.contains("lacks the privilege USAGE on its schema"), "{error}");
}
