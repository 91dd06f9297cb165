//! A missing database or table: refused by default, created with `create = true`.

use super::store::{Store, table};
use super::token;
use crate::support::cluster::{Cluster, PASSWORD, USER};
use crate::support::database::AgnoDatabase;
use crate::support::postgres::{Client, agno_tables};
use crate::support::proxy::Proxy;
use crate::support::server::{Setup, TestServer};
use std::fs;
use std::thread;
use tempfile::TempDir;

/// Starts a server in this directory on one database, with these further keys of its section.
fn start(directory: TempDir, url: &str, keys: &str) -> Result<TestServer, String> {
    let further_databases = table("main", url) + keys;
    Setup { databases: vec![], further_databases, ..Setup::jwt() }.try_start_in(directory)
}

/// Asserts that the server does not start, and that its error contains these parts.
fn assert_refused(directory: TempDir, url: &str, keys: &str, parts: &[&str]) {
    let error = start(directory, url, keys).err().unwrap_or_else(|| panic!("{url}, {keys}: the server started"));
    println!("{}", error.trim());
    for part in parts {
        assert!(error.contains(part), "{url}, {keys}: the error contains {part:?}: {error}");
    }
}

#[test]
fn missing_sqlite_file_is_refused_with_the_databases_beside_it() {
    let directory = TempDir::new().expect("a directory");
    AgnoDatabase::copy_to(directory.path(), "agno.db");
    fs::write(directory.path().join("notes.txt"), "not a database").expect("a file");
    let path = directory.path().join("agn.db");
    let parts = ["databases[0].url", "agn.db does not exist", "the database agno.db", "create = true"];
    assert_refused(directory, "sqlite:agn.db", "", &parts);
    assert!(!path.exists());

    let empty = || TempDir::new().expect("a directory");
    assert_refused(empty(), "sqlite:agno.db", "", &["agno.db does not exist", "no database"]);
    assert_refused(empty(), "sqlite:data/agno.db", "", &["agno.db does not exist", "neither does its directory"]);
}

#[test]
fn missing_sqlite_table_is_refused_with_the_tables_of_the_file() {
    let directory = TempDir::new().expect("a directory");
    let database = AgnoDatabase::copy_to(directory.path(), "agno.db");
    database.execute("CREATE TABLE unrelated (a)");
    let parts = ["has no table agno_lernings", "the table agno_learnings;", "create = true"];
    assert_refused(directory, "sqlite:agno.db", "table = \"agno_lernings\"\n", &parts);

    let directory = TempDir::new().expect("a directory");
    AgnoDatabase::open(directory.path().join("agno.db")).execute("CREATE TABLE unrelated (a)");
    assert_refused(directory, "sqlite:agno.db", "", &["has no table agno_learnings", "the table unrelated"]);

    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("agno.db"), "").expect("a file");
    assert_refused(directory, "sqlite:agno.db", "", &["has no table agno_learnings; it has no table"]);
}

#[test]
fn missing_postgres_table_is_refused_with_the_tables_of_learnings() {
    let Some(cluster) = Cluster::shared("missing tables in PostgreSQL") else { return };
    let database = cluster.create_database();
    let url = cluster.url(&database);
    let refused = |keys: &str, parts: &[&str]| assert_refused(TempDir::new().expect("a directory"), &url, keys, parts);
    let missing = |schema: &str, table: &str| format!("the table \"{schema}\".\"{table}\" does not exist");
    refused("", &["databases[0].url", &missing("ai", "agno_learnings"), "no table with learnings", "create = true"]);

    let client = cluster.connect(&database);
    client.run(&agno_tables());
    let keys = "table = \"agno_lernings\"\n";
    refused(keys, &[&missing("ai", "agno_lernings"), "the table ai.agno_learnings with learnings"]);
    refused("schema = \"AI\"\n", &[&missing("AI", "agno_learnings"), "the table ai.agno_learnings with learnings"]);
    let sql =
        "SELECT 1 FROM pg_namespace WHERE nspname = 'AI' UNION SELECT 1 FROM pg_class WHERE relname LIKE '%lernings'";
    assert!(client.query(sql, &[]).is_empty(), "nothing was created");
}

/// A server that cannot reach its database at the start looks for the table when it can.
#[test]
fn table_that_is_missing_once_postgresql_is_reached_is_answered_404_if_it_is_named() {
    let Some(cluster) = Cluster::shared("a missing table in a PostgreSQL that is reached late") else { return };
    let proxy = Proxy::new(cluster.port);
    proxy.hang();
    let url =
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{}?sslmode=disable", proxy.port, cluster.create_database());
    let settings = "postgres.connect_timeout_ms = 500\n".to_owned();
    let server = Setup { databases: vec![], further_databases: table("main", &url), settings, ..Setup::jwt() }.start();
    server.wait_for_log(&["database unavailable"]);
    proxy.resume();
    for (query, status) in [("", 500), ("?db_id=main&table=agno_learnings", 404)] {
        let target = format!("/learnings/a{query}");
        assert_eq!(server.delete(&target, Some(&token("alice"))).status, status, "{query:?}: {}", server.log());
    }
    server.wait_for_log(&["storage failed", "agno_learnings", "does not exist"]);
}

#[test]
fn created_sqlite_file_that_is_deleted_is_not_created_again() {
    let server = start(TempDir::new().expect("a directory"), "sqlite:main.db", "create = true\n");
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let database = server.database("main");
    database.insert("a", Some("alice"));
    server.delete("/learnings/a", Some(&token("alice"))).assert_deleted();
    fs::remove_file(database.path()).expect("the file is deleted");
    assert_eq!(server.delete("/learnings/a", Some(&token("alice"))).status, 500);
    assert!(!database.path().exists());
    server.wait_for_log(&["main.db does not exist"]);
}

/// Returns the columns with their types, and the indexes.
fn schema(client: &Client) -> Vec<String> {
    let sql = "SELECT 'column ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull AS line
               FROM pg_attribute WHERE attrelid = 'ai.agno_learnings'::regclass AND attnum > 0
               UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'ai' ORDER BY line";
    client.query(sql, &[]).iter().map(|row| row.get(0)).collect()
}

#[test]
fn concurrent_servers_create_table_with_columns_and_indexes() {
    let skipped = "creating Agno's table in PostgreSQL";
    let Some(cluster) = Cluster::shared(skipped) else { return };
    let database = cluster.create_database();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let further_databases = table("main", &cluster.url(&database)) + "create = true\n";
                let host = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
                assert_eq!(host.request("GET", "/health", &[]).status, 200, "{}", host.log());
            });
        }
    });
    let agno = Store::postgres(skipped).expect("a cluster");
    let created = schema(&cluster.connect(&database));
    assert_eq!(created, schema(&agno.client()));
    assert_eq!(created.len(), 14 + 11);
}
