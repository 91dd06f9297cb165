//! PostgreSQL with `synchronous_commit = off`, which answers before a delete is durable.

use super::store::table;
use super::token;
use crate::support::cluster::Cluster;
use crate::support::postgres::agno_tables;
use crate::support::server::Setup;
use tempfile::TempDir;

#[test]
fn synchronous_commit_off_is_overridden_or_prevents_startup() {
    let Some(cluster) = Cluster::shared("PostgreSQL with synchronous_commit = off") else { return };
    let database = cluster.create_database();
    let client = cluster.connect(&database);
    client.run(&agno_tables());
    // A trigger records the setting of the session that deletes.
    client.run(&format!(
        "ALTER DATABASE {database} SET synchronous_commit = off;
         CREATE TABLE recorded (setting text);
         CREATE FUNCTION record_setting() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO recorded VALUES (current_setting('synchronous_commit')); RETURN OLD; END $$;
         CREATE TRIGGER record_setting BEFORE DELETE ON ai.agno_learnings FOR EACH ROW EXECUTE FUNCTION record_setting();
         INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
             VALUES ('record', 'user_memory', 'alice', '{{}}', 1)"
    ));
    let default: String = cluster.connect(&database).query("SHOW synchronous_commit", &[])[0].get(0);
    assert_eq!(default, "off", "the default of a session");

    let further_databases = table("main", &cluster.url(&database));
    let setup = || Setup { databases: vec![], further_databases: further_databases.clone(), ..Setup::jwt() };
    let host = setup().start();
    host.delete("/learnings/record", Some(&token("alice"))).assert_deleted();
    let recorded: Vec<String> =
        client.query("SELECT setting FROM recorded", &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(recorded, ["on"]);

    // With transaction pooling, sessions are shared, so the server cannot change the setting.
    let pooled = Setup { further_databases: further_databases.clone() + "transaction_pooling = true\n", ..setup() };
    let error = pooled.try_start_in(TempDir::new().expect("a temporary directory")).err().expect("a startup error");
    assert!(error.contains("synchronous_commit"), "{error}");
}
