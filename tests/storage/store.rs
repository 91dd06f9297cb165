//! A database of either kind, with Agno's table, and what other programs do to it while the host serves it.

use crate::support::cluster::Cluster;
use crate::support::database::AgnoDatabase;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::Setup;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Limits of a host on a machine that does much else: what is tested with them is whether answers are right, and how long
/// they took is printed.
const PATIENT: &str = "sqlite.busy_timeout_ms = 8000\npostgres.connect_timeout_ms = 8000\npostgres.acquire_timeout_ms = 8000\n\
                       postgres.statement_timeout_ms = 8000\nsandbox.execution_timeout_ms = 40000\nsandbox.queue_timeout_ms = 8000\n";

/// A database of one test.
pub enum Store {
    Sqlite { _folder: TempDir, file: PathBuf },
    Postgres { cluster: &'static Cluster, database: String },
}

impl Store {
    /// An SQLite file, without records.
    pub fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = AgnoDatabase::in_folder(folder.path(), "main.db");
        file.execute("DELETE FROM agno_learnings; PRAGMA journal_mode = WAL");
        Self::Sqlite { file: file.path().to_owned(), _folder: folder }
    }

    /// A PostgreSQL database, without records, in the cluster that tests share.
    pub fn postgres(left_out: &str) -> Option<Self> {
        let cluster = Cluster::shared(left_out)?;
        let database = cluster.make_database();
        cluster.connect(&database).run(&agno_tables());
        Some(Self::Postgres { cluster, database })
    }

    /// A database of each kind that this machine has.
    pub fn each(left_out: &str) -> impl Iterator<Item = Self> {
        std::iter::once(Self::sqlite()).chain(Self::postgres(left_out))
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Its address, as a configuration has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { file, .. } => format!("sqlite:{}", file.display()),
            Self::Postgres { cluster, database } => cluster.url(database),
        }
    }

    /// Text of a configuration that names it.
    pub fn table(&self, id: &str) -> String {
        table(id, &self.url())
    }

    /// A deployment of users with tokens on this database alone.
    pub fn setup(&self) -> Setup {
        let (further_databases, settings) = (self.table("main"), PATIENT.to_owned());
        Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }
    }

    /// What whoever comes next finds after the host was killed: an SQLite file that is whole, with the log that the host
    /// left; and in PostgreSQL nothing that is still going on.
    pub fn check_after_crash(&self) {
        match self {
            Self::Sqlite { file, .. } => passes_integrity_check(file),
            Self::Postgres { cluster, database } => cluster.connect(database).wait_for(
                "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity
                 WHERE application_name = 'delete-learning' AND datname = current_database())",
            ),
        }
    }

    /// A connection to PostgreSQL.
    pub fn client(&self) -> Client {
        match self {
            Self::Sqlite { .. } => panic!("it is SQLite"),
            Self::Postgres { cluster, database } => cluster.connect(database),
        }
    }

    /// A connection of another program.
    pub fn connect(&self) -> Box<dyn Records> {
        match self {
            Self::Sqlite { file, .. } => {
                let connection = AgnoDatabase::open(file.clone()).connect();
                connection.busy_timeout(Duration::from_secs(60)).expect("a timeout can be set");
                Box::new(connection)
            }
            Self::Postgres { cluster, database } => Box::new(cluster.connect(database)),
        }
    }
}

pub fn passes_integrity_check(file: &Path) {
    let ask = |file: Connection| file.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(Connection::open(file).and_then(ask).expect("it can be read"), "ok");
}

/// Text of a configuration that names a database by its address.
pub fn table(id: &str, url: &str) -> String {
    format!("[[databases]]\nid = \"{id}\"\nurl = \"{url}\"\n")
}

/// What another program does. Each function is one transaction.
pub trait Records: Send {
    /// Adds records, each with the owner beside it.
    fn insert(&mut self, records: &[(String, Option<&str>)]);

    /// Gives the record to this owner; whether it was there.
    fn give(&mut self, id: &str, owner: Option<&str>) -> bool;

    /// Deletes the record; whether it was there.
    fn remove(&mut self, id: &str) -> bool;

    /// Deletes the record and adds it again with this owner; whether it was there.
    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool;

    /// Sets one column of the record to the value of this SQL expression; whether it was there.
    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool;

    /// The ids of all records.
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
            self.prepare_cached(SQLITE_INSERT).expect("a statement").execute((id, owner)).expect("it can be added");
        }
        self.execute_batch("COMMIT").expect("a transaction");
    }

    fn give(&mut self, id: &str, owner: Option<&str>) -> bool {
        let sql = "UPDATE agno_learnings SET user_id = ?2 WHERE learning_id = ?1";
        self.execute(sql, (id, owner)).expect("it runs") == 1
    }

    fn remove(&mut self, id: &str) -> bool {
        self.execute("DELETE FROM agno_learnings WHERE learning_id = ?1", [id]).expect("it runs") == 1
    }

    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        let was_there = Records::remove(self, id);
        Connection::execute(self, SQLITE_INSERT, (id, owner)).expect("it can be added");
        self.execute_batch("COMMIT").expect("a transaction");
        was_there
    }

    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool {
        let sql = format!("UPDATE agno_learnings SET {column} = {expression} WHERE learning_id = ?1");
        self.execute(&sql, [id]).expect("it runs") == 1
    }

    fn ids(&mut self) -> BTreeSet<String> {
        let mut statement = self.prepare("SELECT learning_id FROM agno_learnings").expect("the table is there");
        let ids = statement.query_map([], |row| row.get(0)).expect("it can be read");
        ids.collect::<Result<_, _>>().expect("ids are text")
    }

    fn has(&mut self, id: &str) -> bool {
        let sql = "SELECT 1 FROM agno_learnings WHERE learning_id = ?1";
        self.query_row(sql, [id], |_| Ok(())).optional().expect("it can be read").is_some()
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

    fn give(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.execute("UPDATE ai.agno_learnings SET user_id = $2 WHERE learning_id = $1", &[&id, &owner]) == 1
    }

    fn remove(&mut self, id: &str) -> bool {
        self.execute("DELETE FROM ai.agno_learnings WHERE learning_id = $1", &[&id]) == 1
    }

    fn recreate(&mut self, id: &str, owner: Option<&str>) -> bool {
        self.run("BEGIN");
        let was_there = Records::remove(self, id);
        self.execute(POSTGRES_INSERT, &[&id, &owner]);
        self.run("COMMIT");
        was_there
    }

    fn set(&mut self, id: &str, column: &str, expression: &str) -> bool {
        let sql = format!("UPDATE ai.agno_learnings SET {column} = {expression} WHERE learning_id = $1");
        self.execute(&sql, &[&id]) == 1
    }

    fn ids(&mut self) -> BTreeSet<String> {
        let rows = self.query("SELECT learning_id FROM ai.agno_learnings", &[]);
        rows.iter().map(|row| row.get(0)).collect()
    }
}
