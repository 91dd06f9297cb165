//! SQLite databases of learnings, created by the real Agno.

use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A database file that Agno created and filled.
pub struct AgnoDatabase(PathBuf);

/// The number of records that `tests/agno/learnings.py` stores.
pub const RECORD_COUNT: usize = 11;

/// Returns the path of a file of this repository.
pub fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

impl AgnoDatabase {
    /// Copies the database into a directory, under this file name.
    ///
    /// The source is the file that `AGNO_DATABASE` names, or the checked-in file if it is not set.
    pub fn copy_to(directory: &Path, name: &str) -> Self {
        let file = directory.join(name);
        match std::env::var_os("AGNO_DATABASE") {
            Some(source) => fs::copy(source, &file).expect("the database that AGNO_DATABASE names"),
            None => fs::copy(repository_path("tests/agno/learnings.db"), &file).expect("the checked-in database"),
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
        let mut statement = connection.prepare("SELECT learning_id FROM agno_learnings").expect("the table exists");
        let ids = statement.query_map([], |row| row.get(0)).expect("the table can be read");
        ids.collect::<Result<_, _>>().expect("ids are text")
    }

    pub fn contains(&self, id: &str) -> bool {
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
