//! A blocking PostgreSQL client for the tests, and Agno's schema.

use super::database::repository_path;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, NoTls, Row};

/// A connection that runs one statement at a time.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Client {
    pub fn connect(url: &str) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            // Runs only while `block_on` waits for a statement.
            tokio::spawn(connection);
            Ok::<_, Error>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs statements and ignores their rows.
    pub fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> u64 {
        let changed = self.runtime.block_on(self.client.execute(sql, values));
        changed.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let rows = self.runtime.block_on(self.client.query(sql, values));
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Repeats a query until it returns true, for at most 30 seconds.
    pub fn wait_for(&self, sql: &str) {
        for _ in 0..600 {
            if self.query(sql, &[]).first().is_some_and(|row| row.get(0)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("not true within 30 seconds: {sql}");
    }
}

/// Returns the statements that create Agno's schema and table.
pub fn agno_tables() -> String {
    std::fs::read_to_string(repository_path("tests/storage/agno.sql")).expect("the file exists")
}
