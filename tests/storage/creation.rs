//! The server creates Agno's table in PostgreSQL if it does not exist.

use super::store::{Store, table};
use crate::support::cluster::Cluster;
use crate::support::postgres::Client;
use crate::support::server::Setup;
use std::thread;

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
                let further_databases = table("main", &cluster.url(&database));
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
