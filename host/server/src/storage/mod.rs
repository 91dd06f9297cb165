//! Learnings and service accounts in SQLite and PostgreSQL.

mod columns;
pub mod postgres;
pub mod sqlite;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
