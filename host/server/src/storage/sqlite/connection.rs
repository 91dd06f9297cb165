//! A connection that is opened when it is needed, and reopened after an error or when the file is replaced.

use super::error::{self, OpenError};
use super::file::{DatabaseFile, FileId, file_id};
use super::schema::Schema;
use super::wal::WalState;
use delete_learning::{StorageError, StorageErrorKind};
use rusqlite::Connection;
use std::sync::Arc;

/// A connection to whatever file is at the path now.
pub(super) struct ReopeningConnection<'a> {
    pub(super) file: &'a DatabaseFile,
    /// Checks the table of learnings, if the connection uses it.
    schema: Option<&'a Schema>,
    /// Observes the commits on the connection, if it is the writer's.
    wal: Option<&'a Arc<WalState>>,
    open: Option<(Connection, FileId)>,
}

impl<'a> ReopeningConnection<'a> {
    /// A connection that does not use the table of learnings.
    pub(super) const fn new(file: &'a DatabaseFile) -> Self {
        Self { file, schema: None, wal: None, open: None }
    }

    /// A connection that uses the table of learnings.
    pub(super) const fn for_learnings(file: &'a DatabaseFile, schema: &'a Schema) -> Self {
        Self { file, schema: Some(schema), wal: None, open: None }
    }

    /// The connection of the writer, whose commits are observed.
    pub(super) const fn for_writer(file: &'a DatabaseFile, schema: &'a Schema, wal: &'a Arc<WalState>) -> Self {
        Self { file, schema: Some(schema), wal: Some(wal), open: None }
    }

    /// Returns a connection to the file that is at the path now.
    pub(super) fn get(&mut self) -> Result<&mut Connection, StorageError> {
        let current = file_id(&self.file.path);
        let open = match self.open.take().filter(|(_, opened)| current == Some(*opened)) {
            Some(open) => open,
            None => {
                let connection = self.connect()?;
                let opened = file_id(&self.file.path).filter(|opened| current == Some(*opened)).ok_or_else(|| {
                    let reason = "it was replaced while it was being opened";
                    error::message(self.file, StorageErrorKind::Unavailable, reason)
                })?;
                (connection, opened)
            }
        };
        Ok(&mut self.open.insert(open).0)
    }

    fn connect(&self) -> Result<Connection, StorageError> {
        let storage_error = |error| error::storage_error(self.file, None, &error);
        let mut connection = match self.schema {
            Some(schema) => schema.open(self.file).map_err(OpenError::into_storage_error)?,
            None => self.file.connect().map_err(storage_error)?,
        };
        if let Some(wal) = self.wal {
            wal.observe(&mut connection).map_err(storage_error)?;
        }
        Ok(connection)
    }

    /// Runs a query. After an error the connection is discarded, unless the error is transient.
    pub(super) fn query<T>(
        &mut self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let result = query(self.get()?);
        result.map_err(|error| {
            let error = error::storage_error(self.file, self.opened(), &error);
            self.discard_unless_transient(error.kind);
            error
        })
    }

    /// Whether the path leads to another file than the open one, or to none.
    pub(super) fn is_replaced(&self) -> bool {
        self.open.as_ref().is_some_and(|(_, opened)| file_id(&self.file.path) != Some(*opened))
    }

    /// The open connection.
    pub(super) fn opened(&self) -> Option<&Connection> {
        self.open.as_ref().map(|(connection, _)| connection)
    }

    /// Closes the connection after an error that can lie in the connection itself.
    pub(super) fn discard_unless_transient(&mut self, kind: StorageErrorKind) {
        if kind != StorageErrorKind::Unavailable {
            self.open = None;
        }
    }
}
