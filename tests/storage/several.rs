//! One server with several SQLite and PostgreSQL databases.

use super::store::{Store, table};
use super::token;
use crate::support::cluster::Cluster;
use crate::support::load::HttpClient;
use crate::support::postgres::agno_tables;
use crate::support::server::Setup;

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
    assert_eq!(
        HttpClient::new(&host, "").request("GET", "/health").expect("an answer").body,
        r#"{"status":"ok","databases":{"ok":5,"failing":0}}"#
    );
}
