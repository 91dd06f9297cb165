//! Finds or creates Agno's table of learnings.

use super::connection::Connection;
use super::error::QueryError;
use super::pool::Pool;
use super::statements;
use crate::storage::columns::{self, COLUMNS, ColumnType, quote};
use std::collections::HashSet;
use tokio_postgres::types::Type;

/// The table that was found.
pub(super) enum Table {
    /// It holds learnings.
    Learnings,
    /// It lacks this column, so it holds something else.
    MissingColumn(&'static str),
}

/// Creates the schema and the table if they do not exist, and checks the columns of the table.
pub(super) async fn prepare(pool: &Pool, schema: &str, table: &str) -> Result<Table, QueryError> {
    let mut existing = pool.with(async |connection| existing_columns(connection, schema, table).await).await?;
    if existing.is_empty() {
        // Another server can create it at the same moment; then this fails, and the table exists.
        let created = pool.with(async |connection| connection.execute(&create_statements(schema, table)).await).await;
        existing = pool.with(async |connection| existing_columns(connection, schema, table).await).await?;
        if existing.is_empty() {
            created?;
        }
    }
    Ok(match COLUMNS.iter().find(|(name, ..)| !existing.contains(*name)) {
        Some((column, ..)) => Table::MissingColumn(column),
        None => Table::Learnings,
    })
}

/// The columns of the table; none if it does not exist.
async fn existing_columns(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<HashSet<String>, tokio_postgres::Error> {
    const COLUMNS: &str = "SELECT column_name::text FROM information_schema.columns
                           WHERE table_schema = $1 AND table_name = $2";
    let rows = connection.query_once(COLUMNS, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn create_statements(schema: &str, table: &str) -> String {
    let type_name = |column_type| match column_type {
        ColumnType::Text => "VARCHAR",
        ColumnType::Json => "JSONB",
        ColumnType::Timestamp => "BIGINT",
    };
    let statements = columns::create_statements(&statements::qualify(schema, table), table, type_name);
    format!("CREATE SCHEMA IF NOT EXISTS {}; {statements}", quote(schema))
}
