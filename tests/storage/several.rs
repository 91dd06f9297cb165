//! One server with several SQLite and PostgreSQL databases.

use super::store::{Store, table};
use super::token;
use crate::support::cluster::Cluster;
use crate::support::load::HttpClient;
use crate::support::postgres::agno_tables;
use crate::support::server::{Setup, assert_health};

#[test]
fn request_deletes_only_in_the_database_that_it_names() {
    let skipped = "SQLite and PostgreSQL databases of one server";
    let Some(cluster) = Cluster::shared(skipped) else { return };
    let stores = [
        ("sqlite", Store::sqlite()),
        ("main", Store::postgres(skipped).expect("a cluster")),
        ("second sqlite", Store::sqlite()),
        ("second", Store::postgres(skipped).expect("a cluster")),
    ];
    // A schema and a table whose names must be quoted.
    let database = cluster.create_database();
    let other = agno_tables()
        .replace("EXISTS ai;", "EXISTS \"Our AI\";")
        .replace("ai.agno_learnings", "\"Our AI\".\"What's learned\"");
    let named = cluster.connect(&database);
    named.run(&other);
    named.run(
        "INSERT INTO \"Our AI\".\"What's learned\" (learning_id, learning_type, user_id, content, created_at)
               VALUES ('the_same', 'user_memory', 'alice', '{}', 1)",
    );

    let mut further: String = stores.iter().map(|(id, store)| store.table(id)).collect();
    further += &table("named", &cluster.url(&database));
    further += "schema = \"Our AI\"\ntable = \"What's learned\"\n";
    let mut records: Vec<_> = stores.iter().map(|(_, store)| store.connect()).collect();
    for records in &mut records {
        records.insert(&[("the_same".to_owned(), Some("alice"))]);
    }
    let host = Setup { databases: vec![], further_databases: further, ..Setup::jwt() }.start();
    let mut client = HttpClient::new(&host, &token("alice"));
    let mut delete = |query: &str| {
        let reply = client.delete(&format!("/learnings/the_same{query}")).expect("an answer");
        (reply.status, reply.body)
    };
    assert_eq!(delete("").0, 400, "without db_id");
    assert_eq!(delete("?db_id=third").0, 404);
    assert_eq!(delete("?db_id=main&table=others").0, 404);
    for (index, (id, _)) in stores.iter().enumerate() {
        let exists: Vec<bool> = records.iter_mut().map(|records| records.has("the_same")).collect();
        let expected: Vec<bool> = (0..stores.len()).map(|other| other >= index).collect();
        assert_eq!(exists, expected, "before the delete in {id}");
        let id = id.replace(' ', "%20");
        assert_eq!(delete(&format!("?db_id={id}&table=agno_learnings")), (204, String::new()), "{id}");
        assert_eq!(delete(&format!("?db_id={id}")).0, 404, "{id}, second delete");
    }
    assert_eq!(delete("?db_id=named&table=What%27s%20learned"), (204, String::new()));
    assert!(named.query("SELECT 1 FROM \"Our AI\".\"What's learned\"", &[]).is_empty());
    let health = HttpClient::new(&host, "").request("GET", "/health").expect("an answer");
    assert_health(&health.body, "ok", 5, 0);
}

/// Agno gives both tables of one database the same id, and selects between them by `table`.
#[test]
fn table_selects_among_tables_of_one_database() {
    let create = |qualified: &str, table: &str| {
        let columns = "learning_id VARCHAR PRIMARY KEY, learning_type VARCHAR, namespace VARCHAR, user_id VARCHAR,
                       agent_id VARCHAR, team_id VARCHAR, workflow_id VARCHAR, session_id VARCHAR, entity_id VARCHAR,
                       entity_type VARCHAR, content JSON, metadata JSON, created_at BIGINT, updated_at BIGINT";
        let insert =
            format!("INSERT INTO {qualified} (learning_id, user_id) VALUES ('both', 'alice'), ('in_{table}', 'alice')");
        (format!("CREATE TABLE {qualified} ({columns})"), insert)
    };
    for store in Store::all("two tables in one PostgreSQL database") {
        let schema = if matches!(store, Store::Sqlite { .. }) { "" } else { "ai." };
        let mut sections = String::new();
        for name in ["team_learnings", "other_learnings", "missing_later"] {
            let (table_sql, insert) = create(&format!("{schema}{name}"), name);
            store.run(&format!("{table_sql}; {insert}"));
            sections += &format!("{}table = \"{name}\"\n", store.table("main"));
        }
        let server = Setup { databases: vec![], further_databases: sections, ..Setup::jwt() }.start();
        store.run(&format!("DROP TABLE {schema}missing_later"));
        let delete = |target: &str| server.delete(target, Some(&token("alice"))).status;
        let what = store.name();
        assert_eq!(delete("/learnings/in_other_learnings"), 404, "{what}: the first table is meant");
        assert_eq!(delete("/learnings/in_other_learnings?db_id=main"), 404, "{what}: the first table is meant");
        assert_eq!(delete("/learnings/in_team_learnings?db_id=main&table=other_learnings"), 404, "{what}");
        assert_eq!(delete("/learnings/both?db_id=main&table=agno_learnings"), 404, "{what}: not configured");
        assert_eq!(delete("/learnings/both?db_id=main&table=missing_later"), 404, "{what}: does not exist");
        assert_eq!(delete("/learnings/both?table=other_learnings"), 400, "{what}: table without db_id");
        assert_eq!(delete("/learnings/both?db_id=main&table=other_learnings"), 204, "{what}");
        assert_eq!(delete("/learnings/both?db_id=main&table=other_learnings"), 404, "{what}: deleted there");
        assert_eq!(delete("/learnings/both"), 204, "{what}: and still in the first table");
        assert_eq!(delete("/learnings/in_team_learnings?db_id=main&table=team_learnings"), 204, "{what}");
        let audit = server.wait_for_log(&["deleted-as-owner", "other_learnings"]);
        assert_eq!(audit["table"], "other_learnings", "{what}: {audit}");
    }
}
