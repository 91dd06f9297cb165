//! Agno's table of learnings: found, or created with its columns and indexes.

use super::OpenError;
use super::worker::File;
use crate::storage::columns::{self, COLUMNS, Kind, quoted};
use rusqlite::Connection;
use std::collections::HashSet;

/// Makes sure that the file is there and has the table.
pub(super) fn prepare(file: &File) -> Result<(), OpenError> {
    let failed = |source| OpenError::Open { path: file.path.clone(), source };
    let connection = file.create().map_err(failed)?;
    let present = present(&connection, &file.table).map_err(failed)?;
    if present.is_empty() {
        return connection.execute_batch(&creation(&file.table)).map_err(failed);
    }
    match COLUMNS.iter().find(|(name, ..)| !present.contains(*name)) {
        Some((column, ..)) => Err(OpenError::Foreign { path: file.path.clone(), table: file.table.clone(), column }),
        None => Ok(()),
    }
}

/// The columns that the table has; none where there is no such table.
fn present(connection: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn creation(table: &str) -> String {
    let type_name = |kind| match kind {
        Kind::Text => "VARCHAR",
        Kind::Json => "JSON",
        Kind::Time => "BIGINT",
    };
    format!("BEGIN IMMEDIATE; {} COMMIT;", columns::creation(&quoted(table), table, type_name))
}
