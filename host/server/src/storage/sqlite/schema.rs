//! Finds, checks or creates Agno's table of learnings.

use super::error::OpenError;
use super::file::DatabaseFile;
use super::statements::Statements;
use crate::storage::MAX_NAMES;
use crate::storage::columns::{self, COLUMNS, COMPARED, ColumnType, quote};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Opens connections to a file with a checked table of learnings.
///
/// Every new connection checks the table, because the file at the path can have been replaced. A file or table that is
/// missing is created only until the table was found once: one that somebody deletes later must not come back empty.
pub(super) struct Schema {
    create: bool,
    was_found: AtomicBool,
}

impl Schema {
    pub(super) fn new(create: bool) -> Arc<Self> {
        Arc::new(Self { create, was_found: AtomicBool::new(false) })
    }

    /// Opens a connection, creates what is missing if that is configured, and checks the table.
    pub(super) fn open(&self, file: &DatabaseFile) -> Result<Connection, OpenError> {
        let open_error = |source| OpenError::Open { path: file.path.clone(), source };
        let creates = self.create && !self.was_found.load(Ordering::Acquire);
        if !creates && !file.path.exists() {
            return Err(OpenError::FileMissing { path: file.path.clone(), databases: databases_beside(&file.path) });
        }
        let connection = if creates { file.create() } else { file.connect() }.map_err(open_error)?;
        let mut columns = existing_columns(&connection, &file.table).map_err(open_error)?;
        if columns.is_empty() {
            if !creates {
                let tables = table_names(&connection).map_err(open_error)?;
                return Err(OpenError::TableMissing { path: file.path.clone(), table: file.table.clone(), tables });
            }
            connection.execute_batch(&create_statements(&file.table)).map_err(open_error)?;
            columns = existing_columns(&connection, &file.table).map_err(open_error)?;
        }
        check(file, &connection, &columns)?;
        self.was_found.store(true, Ordering::Release);
        Ok(connection)
    }
}

/// Checks that the table holds learnings and that they can be deleted by id.
fn check(file: &DatabaseFile, connection: &Connection, columns: &HashMap<String, String>) -> Result<(), OpenError> {
    let open_error = |source| OpenError::Open { path: file.path.clone(), source };
    let (path, table) = (file.path.clone(), file.table.clone());
    if !is_ordinary_table(connection, &table).map_err(open_error)? {
        return Err(OpenError::NotATable { path, table });
    }
    if let Some((column, ..)) = COLUMNS.iter().find(|(name, ..)| !columns.contains_key(*name)) {
        return Err(OpenError::NotLearnings { path, table, column });
    }
    for column in COMPARED {
        if let Some(column_type) = columns.get(column).filter(|column_type| converts_numbers(column_type)) {
            let column_type = column_type.clone();
            return Err(OpenError::NotText { path, table, column, column_type });
        }
    }
    if !has_unique_id(connection, &table).map_err(open_error)? {
        return Err(OpenError::NotUnique { path, table });
    }
    Statements::new(&table).check(connection).map_err(|source| OpenError::Uncompilable { path, table, source })
}

/// The SQLite files in the directory of this path; `None` if the directory does not exist.
fn databases_beside(path: &Path) -> Option<Vec<String>> {
    let is_database = |path: &Path| {
        let mut start = [0; 16];
        path.is_file()
            && File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
            && start == *b"SQLite format 3\0"
    };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = fs::read_dir(directory).ok()?.flatten().filter(|file| is_database(&file.path()));
    let mut names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(MAX_NAMES);
    Some(names)
}

/// The tables of the file; if some have a column `learning_id`, only these.
fn table_names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name, EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = 'learning_id')
               FROM sqlite_schema AS t WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 2 DESC, 1";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let names: Vec<(String, bool)> = names.collect::<Result<_, _>>()?;
    let is_learnings = names.first().is_some_and(|(_, is_learnings)| *is_learnings);
    Ok(names.into_iter().filter(|name| name.1 == is_learnings).map(|name| name.0).take(MAX_NAMES).collect())
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
