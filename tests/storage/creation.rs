//! Agno's table in PostgreSQL, made where there is none.

use super::store::{Store, table};
use crate::support::cluster::Cluster;
use crate::support::postgres::Client;
use crate::support::server::Setup;
use std::thread;

/// What Agno relies on: columns with their types, and indexes.
fn structure(client: &Client) -> Vec<String> {
    let sql = "SELECT 'column ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull AS line
               FROM pg_attribute WHERE attrelid = 'ai.agno_learnings'::regclass AND attnum > 0
               UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'ai' ORDER BY line";
    client.query(sql, &[]).iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_table_is_made_with_agnos_columns_and_indexes_also_by_hosts_that_start_at_once() {
    let left_out = "making Agno's table in PostgreSQL";
    let Some(cluster) = Cluster::shared(left_out) else { return };
    let database = cluster.make_database();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let further_databases = table("main", &cluster.url(&database));
                let host = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
                assert_eq!(host.request("GET", "/health", &[]).status, 200, "{}", host.log());
            });
        }
    });
    let agnos = Store::postgres(left_out).expect("there is a cluster");
    let made = structure(&cluster.connect(&database));
    assert_eq!(made, structure(&agnos.client()));
    assert_eq!(made.len(), 14 + 11);
}
