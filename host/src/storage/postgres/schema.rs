//! Agno's table of learnings in PostgreSQL: found, or created with its columns and indexes.

use super::pool::{AskError, Sessions};
use super::session::Session;
use super::statements;
use crate::storage::columns::{self, COLUMNS, Kind, quoted};
use std::collections::HashSet;
use tokio_postgres::types::Type;

/// What was found.
pub(super) enum Found {
    /// A table that holds learnings, maybe made just now.
    Learnings,
    /// A table without this column, so one that holds something else.
    Foreign(&'static str),
}

/// Makes sure that the schema is there and has the table.
pub(super) async fn prepare(sessions: &Sessions, schema: &str, table: &str) -> Result<Found, AskError> {
    let mut present = sessions.with(async |session| present(session, schema, table).await).await?;
    if present.is_empty() {
        // Another host may be making it at the same moment; then this fails, and it is there.
        let created = sessions.with(async |session| session.execute(&creation(schema, table)).await).await;
        present = sessions.with(async |session| self::present(session, schema, table).await).await?;
        if present.is_empty() {
            created?;
        }
    }
    Ok(match COLUMNS.iter().find(|(name, ..)| !present.contains(*name)) {
        Some((column, ..)) => Found::Foreign(column),
        None => Found::Learnings,
    })
}

/// The columns that the table has; none where there is no such table.
async fn present(session: &Session, schema: &str, table: &str) -> Result<HashSet<String>, tokio_postgres::Error> {
    const COLUMNS: &str = "SELECT column_name::text FROM information_schema.columns
                           WHERE table_schema = $1 AND table_name = $2";
    let rows = session.ask_once(COLUMNS, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn creation(schema: &str, table: &str) -> String {
    let type_name = |kind| match kind {
        Kind::Text => "VARCHAR",
        Kind::Json => "JSONB",
        Kind::Time => "BIGINT",
    };
    let table_and_indexes = columns::creation(&statements::place(schema, table), table, type_name);
    format!("CREATE SCHEMA IF NOT EXISTS {}; {table_and_indexes}", quoted(schema))
}
