//! Finds or creates Agno's table of learnings.

use super::error::OpenError;
use super::file::DatabaseFile;
use crate::storage::columns::{self, COLUMNS, ColumnType, quote};
use rusqlite::Connection;
use std::collections::HashSet;

/// Creates the file and the table if they do not exist, and checks the columns of the table.
pub(super) fn prepare(file: &DatabaseFile) -> Result<(), OpenError> {
    let open_error = |source| OpenError::Open { path: file.path.clone(), source };
    let connection = file.create().map_err(open_error)?;
    let existing = existing_columns(&connection, &file.table).map_err(open_error)?;
    if existing.is_empty() {
        return connection.execute_batch(&create_statements(&file.table)).map_err(open_error);
    }
    match COLUMNS.iter().find(|(name, ..)| !existing.contains(*name)) {
        Some((column, ..)) => {
            Err(OpenError::NotLearnings { path: file.path.clone(), table: file.table.clone(), column })
        }
        None => Ok(()),
    }
}

/// The columns of the table; none if it does not exist.
fn existing_columns(connection: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn create_statements(table: &str) -> String {
    let type_name = |column_type| match column_type {
        ColumnType::Text => "VARCHAR",
        ColumnType::Json => "JSON",
        ColumnType::Timestamp => "BIGINT",
    };
    format!("BEGIN IMMEDIATE; {} COMMIT;", columns::create_statements(&quote(table), table, type_name))
}
