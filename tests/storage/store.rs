//! A database with Agno's table, on SQLite or PostgreSQL, and what other programs do to it while the server runs.

use crate::support::cluster::Cluster;
use crate::support::database::AgnoDatabase;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::{LONG_TIMEOUTS, Setup};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The database of a test.
pub enum Store {
    Sqlite { _directory: TempDir, file: PathBuf },
    Postgres { cluster: &'static Cluster, database: String },
}

impl Store {
    /// Creates an SQLite file without records.
    pub fn sqlite() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let file = AgnoDatabase::copy_to(directory.path(), "main.db");
        file.execute("DELETE FROM agno_learnings; PRAGMA journal_mode = WAL");
        Self::Sqlite { file: file.path().to_owned(), _directory: directory }
    }

    /// Creates a PostgreSQL database without records, in the cluster that the tests share.
    pub fn postgres(skipped: &str) -> Option<Self> {
        let cluster = Cluster::shared(skipped)?;
        let database = cluster.create_database();
        cluster.connect(&database).run(&agno_tables());
        Some(Self::Postgres { cluster, database })
    }

    /// Creates a database of every kind that this machine supports.
    pub fn all(skipped: &str) -> impl Iterator<Item = Self> {
        std::iter::once(Self::sqlite()).chain(Self::postgres(skipped))
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Returns its URL as in a configuration.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { file, .. } => format!("sqlite:{}", file.display()),
            Self::Postgres { cluster, database } => cluster.url(database),
        }
    }

    /// Returns its `[[databases]]` section of a configuration.
    pub fn table(&self, id: &str) -> String {
        table(id, &self.url())
    }

    /// Returns a setup with tokens and with this database only.
    pub fn setup(&self) -> Setup {
        let (further_databases, settings) = (self.table("main"), LONG_TIMEOUTS.to_owned());
        Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }
    }

    /// Checks the database after the server was killed.
    ///
    /// Asserts that an SQLite file with its WAL passes the integrity check. Waits until PostgreSQL has ended the
    /// connections of the server.
    pub fn check_after_crash(&self) {
        match self {
            Self::Sqlite { file, .. } => assert_integrity(file),
            Self::Postgres { cluster, database } => cluster.connect(database).wait_for(
                "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity
                 WHERE application_name = 'delete-learning' AND datname = current_database())",
            ),
        }
    }

    /// Connects to PostgreSQL.
    ///
    /// # Panics
    /// If the store is SQLite.
    pub fn client(&self) -> Client {
        match self {
            Self::Sqlite { .. } => panic!("the store is SQLite"),
            Self::Postgres { cluster, database } => cluster.connect(database),
        }
    }

    /// Runs statements as another program.
    pub fn run(&self, sql: &str) {
        match self {
            Self::Sqlite { file, .. } => AgnoDatabase::open(file.clone()).execute(sql),
            Self::Postgres { cluster, database } => cluster.connect(database).run(sql),
        }
    }

    /// Connects as another program.
    pub fn connect(&self) -> Box<dyn Records> {
        match self {
            Self::Sqlite { file, .. } => {
                let connection = AgnoDatabase::open(file.clone()).connect();
                connection.busy_timeout(Duration::from_secs(60)).expect("the busy timeout is set");
                Box::new(connection)
            }
            Self::Postgres { cluster, database } => Box::new(cluster.connect(database)),
        }
    }
}

pub fn assert_integrity(file: &Path) {
    let check = |file: Connection| file.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(Connection::open(file).and_then(check).expect("the file is read"), "ok");
}

/// Returns a `[[databases]]` section with this id and URL.
pub fn table(id: &str, url: &str) -> String {
    format!("[[databases]]\nid = \"{id}\"\nurl = \"{url}\"\n")
}

/// Changes that another program makes. Each function is one transaction.
pub trait Records: Send {
    /// Inserts records with their owners.
    fn insert(&mut self, records: &[(String, Option<&str>)]);

    /// Changes the owner of the record. Returns whether it existed.
    fn set_owner(&mut self, id: &str, owner: Option<&str>) -> bool;

    /// Deletes the record. Returns whether it existed.
    fn remove(&mut self, id: &str) -> bool;

    /// Deletes the record and inserts it again with this owner. Returns whether it existed.
    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool;

    /// Sets a column of the record to the value of this SQL expression. Returns whether it existed.
    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool;

    /// Runs a statement on Agno's table, which it calls `learnings`. Returns the number of rows that it changed.
    fn execute_on_table(&mut self, sql: &str) -> usize;

    /// Begins a transaction that the other functions become part of.
    fn begin(&mut self);

    /// Commits the transaction.
    fn commit(&mut self);

    /// Returns the ids of all records.
    fn ids(&mut self) -> BTreeSet<String>;

    fn has(&mut self, id: &str) -> bool {
        self.ids().contains(id)
    }
}

const SQLITE_INSERT: &str = "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
    VALUES (?1, 'user_memory', ?2, '{}', 1790000000)";

impl Records for Connection {
    fn insert(&mut self, records: &[(String, Option<&str>)]) {
        self.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        for (id, owner) in records {
            self.prepare_cached(SQLITE_INSERT)
                .expect("a statement")
                .execute((id, owner))
                .expect("the record is inserted");
        }
        self.execute_batch("COMMIT").expect("a transaction");
    }

    fn set_owner(&mut self, id: &str, owner: Option<&str>) -> bool {
        let sql = "UPDATE agno_learnings SET user_id = ?2 WHERE learning_id = ?1";
        self.execute(sql, (id, owner)).expect("the statement runs") == 1
    }

    fn remove(&mut self, id: &str) -> bool {
        self.execute("DELETE FROM agno_learnings WHERE learning_id = ?1", [id]).expect("the statement runs") == 1
    }

    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        let existed = Records::remove(self, id);
        Connection::execute(self, SQLITE_INSERT, (id, owner)).expect("the record is inserted");
        self.execute_batch("COMMIT").expect("a transaction");
        existed
    }

    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool {
        let sql = format!("UPDATE agno_learnings SET {column} = {expression} WHERE learning_id = ?1");
        self.execute(&sql, [id]).expect("the statement runs") == 1
    }

    fn execute_on_table(&mut self, sql: &str) -> usize {
        self.execute(&sql.replacen("learnings", "agno_learnings", 1), []).expect("the statement runs")
    }

    fn begin(&mut self) {
        self.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    }

    fn commit(&mut self) {
        self.execute_batch("COMMIT").expect("a transaction");
    }

    fn ids(&mut self) -> BTreeSet<String> {
        let mut statement = self.prepare("SELECT learning_id FROM agno_learnings").expect("the table exists");
        let ids = statement.query_map([], |row| row.get(0)).expect("the query runs");
        ids.collect::<Result<_, _>>().expect("ids are strings")
    }

    fn has(&mut self, id: &str) -> bool {
        let sql = "SELECT 1 FROM agno_learnings WHERE learning_id = ?1";
        self.query_row(sql, [id], |_| Ok(())).optional().expect("the query runs").is_some()
    }
}

const POSTGRES_INSERT: &str = "INSERT INTO ai.agno_learnings
    (learning_id, learning_type, user_id, content, created_at) VALUES ($1, 'user_memory', $2, '{}', 1790000000)";

impl Records for Client {
    fn insert(&mut self, records: &[(String, Option<&str>)]) {
        self.run("BEGIN");
        for (id, owner) in records {
            self.execute(POSTGRES_INSERT, &[id, owner]);
        }
        self.run("COMMIT");
    }

    fn set_owner(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.execute("UPDATE ai.agno_learnings SET user_id = $2 WHERE learning_id = $1", &[&id, &owner]) == 1
    }

    fn remove(&mut self, id: &str) -> bool {
        self.execute("DELETE FROM ai.agno_learnings WHERE learning_id = $1", &[&id]) == 1
    }

    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.run("BEGIN");
        let existed = Records::remove(self, id);
        self.execute(POSTGRES_INSERT, &[&id, &owner]);
        self.run("COMMIT");
        existed
    }

    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool {
        let sql = format!("UPDATE ai.agno_learnings SET {column} = {expression} WHERE learning_id = $1");
        self.execute(&sql, &[&id]) == 1
    }

    fn execute_on_table(&mut self, sql: &str) -> usize {
        let changed = self.execute(&sql.replacen("learnings", "ai.agno_learnings", 1), &[]);
        usize::try_from(changed).expect("a small number")
    }

    fn begin(&mut self) {
        self.run("BEGIN");
    }

    fn commit(&mut self) {
        self.run("COMMIT");
    }

    fn ids(&mut self) -> BTreeSet<String> {
        let rows = self.query("SELECT learning_id FROM ai.agno_learnings", &[]);
        rows.iter().map(|row| row.get(0)).collect()
    }
}
