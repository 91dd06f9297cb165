//! PostgreSQL that answers before a deletion is durable, as a deployment may have set it.

use super::store::table;
use super::token;
use crate::support::cluster::Cluster;
use crate::support::postgres::agno_tables;
use crate::support::server::Setup;
use tempfile::TempDir;

#[test]
fn a_deletion_is_durable_though_synchronous_commit_is_off_and_refused_where_it_cannot_be() {
    let Some(cluster) = Cluster::shared("PostgreSQL with synchronous_commit = off") else { return };
    let database = cluster.make_database();
    let client = cluster.connect(&database);
    client.run(&agno_tables());
    // What the deleting session has is seen from within it.
    client.run(&format!(
        "ALTER DATABASE {database} SET synchronous_commit = off;
         CREATE TABLE seen (setting text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN OLD; END $$;
         CREATE TRIGGER see BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION see();
         INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
             VALUES ('its', 'user_memory', 'alice', '{{}}', 1)"
    ));
    let default: String = cluster.connect(&database).query("SHOW synchronous_commit", &[])[0].get(0);
    assert_eq!(default, "off", "a session that says nothing");

    let further_databases = table("main", &cluster.url(&database));
    let setup = || Setup { databases: vec![], further_databases: further_databases.clone(), ..Setup::jwt() };
    let host = setup().start();
    host.delete("/learnings/its", Some(&token("alice"))).is_deleted();
    let seen: Vec<String> = client.query("SELECT setting FROM seen", &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, ["on"]);

    // Behind a pooler a session's settings are not its own.
    let pooled = Setup { further_databases: further_databases.clone() + "transaction_pooling = true\n", ..setup() };
    let said = pooled.try_start_in(TempDir::new().expect("a folder")).err().expect("it does not start");
    assert!(said.contains("synchronous_commit"), "{said}");
}
