//! Finds or creates Agno's table of learnings.

use super::error::OpenError;
use super::file::DatabaseFile;
use super::statements::Statements;
use crate::storage::columns::{self, COLUMNS, COMPARED, ColumnType, quote};
use rusqlite::Connection;
use std::collections::HashMap;

/// Creates the file and the table if they do not exist, and checks the table.
pub(super) fn prepare(file: &DatabaseFile) -> Result<(), OpenError> {
    let open_error = |source| OpenError::Open { path: file.path.clone(), source };
    let (path, table) = (file.path.clone(), file.table.clone());
    let connection = file.create().map_err(open_error)?;
    let existing = existing_columns(&connection, &table).map_err(open_error)?;
    if existing.is_empty() {
        return connection.execute_batch(&create_statements(&table)).map_err(open_error);
    }
    if !is_ordinary_table(&connection, &table).map_err(open_error)? {
        return Err(OpenError::NotATable { path, table });
    }
    if let Some((column, ..)) = COLUMNS.iter().find(|(name, ..)| !existing.contains_key(*name)) {
        return Err(OpenError::NotLearnings { path, table, column });
    }
    for column in COMPARED {
        if let Some(column_type) = existing.get(column).filter(|column_type| converts_numbers(column_type)) {
            let column_type = column_type.clone();
            return Err(OpenError::NotText { path, table, column, column_type });
        }
    }
    if !has_unique_id(&connection, &table).map_err(open_error)? {
        return Err(OpenError::NotUnique { path, table });
    }
    Statements::new(&table).check(&connection).map_err(|source| OpenError::Uncompilable { path, table, source })
}

/// Whether a column of this declared type converts text that looks like a number. Then `007` would equal `7`.
///
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>
fn converts_numbers(column_type: &str) -> bool {
    let column_type = column_type.to_ascii_uppercase();
    let has_any = |parts: &[&str]| parts.iter().any(|part| column_type.contains(part));
    has_any(&["INT"]) || !(column_type.is_empty() || has_any(&["CHAR", "CLOB", "TEXT", "BLOB"]))
}

/// Whether it is a table, and neither a view nor a virtual table.
fn is_ordinary_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE AND type = 'table'";
    connection.prepare(sql)?.exists([table])
}

/// Whether `learning_id` alone is the primary key or has a unique index over all rows.
fn has_unique_id(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM pragma_index_list(?1) AS list WHERE list.\"unique\" AND NOT list.partial
               AND (SELECT group_concat(name) FROM pragma_index_info(list.name)) = 'learning_id'
               UNION ALL
               SELECT 1 FROM pragma_table_info(?1) WHERE name = 'learning_id' AND pk = 1
               AND (SELECT max(pk) FROM pragma_table_info(?1)) = 1";
    connection.prepare(sql)?.exists([table])
}

/// The columns of the table and their declared types; none if it does not exist.
fn existing_columns(connection: &Connection, table: &str) -> rusqlite::Result<HashMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let columns = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    columns.collect()
}

fn create_statements(table: &str) -> String {
    let type_name = |column_type| match column_type {
        ColumnType::Text => "VARCHAR",
        ColumnType::Json => "JSON",
        ColumnType::Timestamp => "BIGINT",
    };
    format!("BEGIN IMMEDIATE; {} COMMIT;", columns::create_statements(&quote(table), table, type_name))
}
