//! An SQLite file and how connections to it are opened.

use super::options::SqliteOptions;
use rusqlite::{Connection, OpenFlags, OptionalExtension, ffi};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file, the table in it, and the settings of its connections.
#[derive(Clone)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) table: String,
    pub(super) busy_timeout: Duration,
    page_cache_bytes: usize,
}

impl DatabaseFile {
    pub(super) fn new(path: &Path, table: &str, options: &SqliteOptions) -> Self {
        Self {
            path: path.to_owned(),
            table: table.to_owned(),
            busy_timeout: options.busy_timeout(),
            page_cache_bytes: options.page_cache_bytes,
        }
    }

    /// Opens a connection and creates the file if it does not exist.
    pub(super) fn create(&self) -> rusqlite::Result<Connection> {
        self.open(OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens a connection to the existing file. A file that was deleted since the start is not replaced by an empty one.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        self.open(OpenFlags::empty())
    }

    /// Opens a connection on which a committed transaction is durable: WAL mode, with a sync at every commit.
    fn open(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        // SQLite falls back to read-only access. Using such a connection would create a WAL that nobody can write to, and
        // that stays when the file becomes writable.
        if connection.is_readonly(rusqlite::MAIN_DB)? {
            let reason = "attempt to write a readonly database".to_owned();
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), Some(reason)));
        }
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A negative cache size is in KiB.
        let cache_size = i64::try_from(self.page_cache_bytes / 1024).unwrap_or(i64::MAX);
        connection.pragma_update(None, "cache_size", -cache_size)?;
        Ok(connection)
    }

    /// Whether the table does not exist.
    pub(super) fn is_table_missing(&self, connection: &Connection) -> bool {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
        matches!(connection.query_row(sql, [&self.table], |_| Ok(())).optional(), Ok(None))
    }
}

/// What distinguishes files: device and inode number.
#[cfg(unix)]
pub(super) type FileId = (u64, u64);
/// On other systems an open file can be neither deleted nor replaced.
#[cfg(not(unix))]
pub(super) type FileId = ();

/// The file at this path now. SQLite continues with the file that it opened when that is deleted or replaced, and deletes
/// made there are lost.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    let file = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    return Some((std::os::unix::fs::MetadataExt::dev(&file), std::os::unix::fs::MetadataExt::ino(&file)));
    #[cfg(not(unix))]
    return Some(drop(file));
}

#[cfg(test)]
mod tests {
    use super::DatabaseFile;
    use crate::storage::sqlite::SqliteOptions;
    use rusqlite::Connection;

    fn journal_mode_and_synchronous(connection: &Connection) -> (String, i64) {
        let journal_mode = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        let synchronous = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        (journal_mode, synchronous)
    }

    /// In WAL mode a committed transaction survives a power loss only if `synchronous` is at least FULL (2).
    #[test]
    fn every_connection_syncs_the_wal_at_each_commit() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = DatabaseFile::new(&directory.path().join("a.db"), "t", &SqliteOptions::default());
        for connection in [file.create().unwrap(), file.connect().unwrap()] {
            assert_eq!(journal_mode_and_synchronous(&connection), ("wal".to_owned(), 2));
        }
    }
}
