//! Agno's table of learnings: found, or created with its columns and indexes.

use super::OpenError;
use super::worker::File;
use rusqlite::Connection;
use std::collections::HashSet;

/// The columns in the order in which `find` reads them: name, type, and whether a record must have it. The key is first.
pub(super) const COLUMNS: [(&str, &str, bool); 14] = [
    ("learning_id", "VARCHAR", true),
    ("learning_type", "VARCHAR", true),
    ("namespace", "VARCHAR", false),
    ("user_id", "VARCHAR", false),
    ("agent_id", "VARCHAR", false),
    ("team_id", "VARCHAR", false),
    ("workflow_id", "VARCHAR", false),
    ("session_id", "VARCHAR", false),
    ("entity_id", "VARCHAR", false),
    ("entity_type", "VARCHAR", false),
    ("content", "JSON", true),
    ("metadata", "JSON", false),
    ("created_at", "BIGINT", true),
    ("updated_at", "BIGINT", false),
];

/// Columns that Agno does not index; the key has its own index.
const NOT_INDEXED: [&str; 4] = ["learning_id", "content", "metadata", "updated_at"];

/// Makes sure that the file is there and has the table.
pub(super) fn prepare(file: &File) -> Result<(), OpenError> {
    let failed = |source| OpenError::Open { path: file.path.clone(), source };
    let connection = file.create().map_err(failed)?;
    let present = columns(&connection, &file.table).map_err(failed)?;
    if present.is_empty() {
        return connection.execute_batch(&creation(&file.table)).map_err(failed);
    }
    match COLUMNS.iter().find(|(name, ..)| !present.contains(*name)) {
        Some((column, ..)) => Err(OpenError::Foreign { path: file.path.clone(), table: file.table.clone(), column }),
        None => Ok(()),
    }
}

/// The columns that the table has; none where there is no such table.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

fn creation(table: &str) -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, kind, required)| format!("{name} {kind}{}", if *required { " NOT NULL" } else { "" }))
        .collect();
    let mut sql = format!(
        "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY (learning_id));",
        quoted(table),
        columns.join(", ")
    );
    for (name, ..) in COLUMNS.iter().filter(|(name, ..)| !NOT_INDEXED.contains(name)) {
        let index = quoted(&format!("idx_{table}_{name}"));
        sql += &format!(" CREATE INDEX IF NOT EXISTS {index} ON {} ({name});", quoted(table));
    }
    sql + " COMMIT;"
}

/// A name as an SQL identifier. Only names from the configuration get here.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
