//! Errors of SQLite databases.

use super::file::DatabaseFile;
use crate::storage::{CREATE_ADVICE, list_names};
use delete_learning::{StorageError, StorageErrorKind};
use rusqlite::{Connection, ErrorCode};
use std::path::PathBuf;

/// Why an SQLite file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened for writing, or is not a database.
    #[error("cannot open {}: {source}{}", path.display(), open_advice(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The file does not exist.
    #[error("{} does not exist; {}", path.display(), databases.as_ref().map_or_else(
        || "neither does its directory".to_owned(),
        |names| format!("its directory has {}; {CREATE_ADVICE}", list_names("database", names)),
    ))]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// The databases in its directory; `None` if the directory does not exist either.
        databases: Option<Vec<String>>,
    },
    /// The table does not exist.
    #[error("{} has no table {table}; it has {}; {CREATE_ADVICE}", path.display(), list_names("table", tables))]
    TableMissing {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The tables of the file that look like learnings, or all of them if none does.
        tables: Vec<String>,
    },
    /// The table does not hold learnings.
    #[error("the table {table} of {} has no column {column}, so it holds no learnings", path.display())]
    NotLearnings {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The missing column.
        column: &'static str,
    },
    /// There is a view, a virtual table or something else in place of the table.
    #[error("{table} of {} is not an ordinary table, so it cannot hold learnings", path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
    },
    /// The column converts text to numbers, so different ids or owners would be equal.
    #[error(
        "the column {column} of the table {table} of {} has the type {column_type}, which is not text, so ids and \
         owners cannot be compared byte for byte",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
        /// Its declared type.
        column_type: String,
    },
    /// The table, an index or a trigger uses a collation or function that SQLite does not know.
    #[error("nothing can be deleted from the table {table} of {}: {source}", path.display())]
    Uncompilable {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Several rows can have the same id.
    #[error("the table {table} of {} has no unique index on learning_id, so it cannot hold learnings", path.display())]
    NotUnique {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread for {}: {source}", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// What to do about a file that cannot be opened.
fn open_advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "; the user of this process must be able to write to the file and its directory"
        }
        Some(ErrorCode::NotADatabase) => "; name the SQLite file of the AgentOS",
        _ => "",
    }
}

impl OpenError {
    /// Whether the file can be opened later, because another process has locked it now.
    pub(super) fn is_busy(&self) -> bool {
        let busy = [Some(ErrorCode::DatabaseBusy), Some(ErrorCode::DatabaseLocked)];
        matches!(self, Self::Open { source, .. } | Self::Uncompilable { source, .. }
            if busy.contains(&source.sqlite_error_code()))
    }

    /// Converts the error of a connection that a request needs.
    pub(super) fn into_storage_error(self) -> StorageError {
        match self {
            Self::TableMissing { .. } => StorageError::new(StorageErrorKind::UnknownTable, format!("SQLite, {self}")),
            _ if self.is_busy() => StorageError::new(StorageErrorKind::Unavailable, format!("SQLite, {self}")),
            _ => StorageError::new(StorageErrorKind::Internal, format!("SQLite, {self}")),
        }
    }
}

/// Converts an error of SQLite. `connection` is the connection that it occurred on, if it is open.
pub(super) fn storage_error(
    file: &DatabaseFile,
    connection: Option<&Connection>,
    error: &rusqlite::Error,
) -> StorageError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StorageErrorKind::Unavailable,
        // SQLite has no error code for a missing table.
        Some(ErrorCode::Unknown) if connection.is_some_and(|connection| file.is_table_missing(connection)) => {
            StorageErrorKind::UnknownTable
        }
        _ => StorageErrorKind::Internal,
    };
    // The text of an I/O error does not contain the operation that failed; its extended code does.
    let detail = match error {
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::SystemIoFailure => {
            format!(" (extended code {})", failure.extended_code)
        }
        _ => String::new(),
    };
    message(file, kind, &format!("{error}{detail}"))
}

/// The error of a delete whose condition holds, and that a trigger prevented.
pub(super) fn vetoed(file: &DatabaseFile) -> StorageError {
    let message = format!("vetoed: a trigger of SQLite, {}, retained the record", file.path.display());
    StorageError::new(StorageErrorKind::Internal, message)
}

/// Creates an error about this file.
pub(super) fn message(file: &DatabaseFile, kind: StorageErrorKind, reason: &str) -> StorageError {
    StorageError::new(kind, format!("SQLite, {}: {reason}", file.path.display()))
}

#[cfg(test)]
mod tests {
    use super::{OpenError, StorageErrorKind};
    use rusqlite::ffi;
    use std::path::Path;

    #[test]
    fn kind_of_an_error_to_open_says_whether_a_retry_can_help() {
        let (path, table) = (Path::new("/a.db"), "t".to_owned());
        let source = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let uncompilable =
            |code| OpenError::Uncompilable { path: path.into(), table: table.clone(), source: source(code) };
        let missing = OpenError::TableMissing { path: path.into(), table: table.clone(), tables: Vec::new() };
        for (error, kind) in [
            (missing, StorageErrorKind::UnknownTable),
            (uncompilable(ffi::SQLITE_BUSY), StorageErrorKind::Unavailable),
            (uncompilable(ffi::SQLITE_LOCKED), StorageErrorKind::Unavailable),
            (uncompilable(ffi::SQLITE_ERROR), StorageErrorKind::Internal),
            (OpenError::NotUnique { path: path.into(), table: table.clone() }, StorageErrorKind::Internal),
        ] {
            let text = error.to_string();
            assert_eq!(error.into_storage_error().kind, kind, "{text}");
        }
    }
}
