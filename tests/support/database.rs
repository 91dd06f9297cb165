//! Databases of learnings, made by the real Agno.

use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A database file that Agno created and filled: made now where Agno is at hand, else the one that is checked in.
pub struct AgnoDatabase(PathBuf);

/// What Agno stored, by `learnings.py` beside it.
pub const RECORDS: usize = 11;

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

impl AgnoDatabase {
    /// A copy for one test, in this folder.
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        let file = folder.join(name);
        match std::env::var_os("AGNO_DATABASE") {
            Some(made) => fs::copy(made, &file).expect("the database that AGNO_DATABASE names"),
            None => fs::copy(project("tests/agno/learnings.db"), &file).expect("the database that is checked in"),
        };
        Self(file)
    }

    pub fn open(file: PathBuf) -> Self {
        Self(file)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn connect(&self) -> Connection {
        let connection = Connection::open(&self.0).expect("the database opens");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout can be set");
        connection
    }

    pub fn ids(&self) -> BTreeSet<String> {
        let connection = self.connect();
        let mut statement = connection.prepare("SELECT learning_id FROM agno_learnings").expect("the table is there");
        let ids = statement.query_map([], |row| row.get(0)).expect("it can be read");
        ids.collect::<Result<_, _>>().expect("ids are text")
    }

    pub fn has(&self, id: &str) -> bool {
        self.ids().contains(id)
    }

    pub fn insert(&self, id: &str, owner: Option<&str>) {
        let sql = "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
                   VALUES (?1, 'user_memory', ?2, '{}', 1790000000)";
        self.connect().execute(sql, (id, owner)).expect("a record can be inserted");
    }

    pub fn execute(&self, sql: &str) {
        self.connect().execute_batch(sql).expect("the statement runs");
    }
}
