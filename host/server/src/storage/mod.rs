//! Learnings and service accounts in SQLite and PostgreSQL.

mod columns;
mod isolated;
pub mod postgres;
pub mod sqlite;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// The table of learnings in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearningsTable {
    /// Its name.
    pub name: String,
    /// Whether to create it as Agno does if it does not exist, with its SQLite file or PostgreSQL schema.
    pub create: bool,
}

impl LearningsTable {
    /// A table that exists.
    pub fn existing(name: impl Into<String>) -> Self {
        Self { name: name.into(), create: false }
    }
}

/// What to do about a missing database or table.
const CREATE_ADVICE: &str = "correct the name, or create it with create = true";

/// Lists names for a message: `no table`, `the table a`, or `the tables a, b`.
fn list_names(kind: &str, names: &[String]) -> String {
    match names {
        [] => format!("no {kind}"),
        [name] => format!("the {kind} {name}"),
        names => format!("the {kind}s {}", names.join(", ")),
    }
}

/// Maximum number of names in a message.
const MAX_NAMES: usize = 10;
