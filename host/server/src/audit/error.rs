//! Errors of the audit log.

use super::note::NoteError;
use std::io;
use std::path::{Path, PathBuf};

/// Why the audit log cannot be used. It contains no value of an event.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Another server writes to the log.
    #[error("{} is in use by another server; each server needs a directory of its own", directory.display())]
    InUse {
        /// The directory of the log.
        directory: PathBuf,
    },
    /// A file of the journal is not the one that the server wrote.
    #[error("{} was replaced by another file; restore the directory, then restart the server", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The journal is damaged before its end.
    #[error(
        "entry {index} of the journal in {} {problem}; `delete-learning audit verify` names what was changed; restore the directory from a copy, \
         or move it away to begin a new log",
        directory.display()
    )]
    Damaged {
        /// The directory of the log.
        directory: PathBuf,
        /// The index of the first entry that is wrong.
        index: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// A checkpoint cannot be used.
    #[error("{}: {source}; if the key was replaced, list the former public key in audit.previous_public_keys", path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: NoteError,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread of the audit log: {0}")]
    Thread(#[source] io::Error),
    /// An event cannot be written as JSON.
    #[error("an event cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry exceeds what an entry bundle can contain.
    #[error("an entry has {0} bytes; it can have at most 65535")]
    EntryTooLong(usize),
    /// The operating system returned no random bytes for a salt.
    #[error("the operating system returned no random bytes")]
    NoRandomBytes,
    /// The log was closed, or its thread panicked.
    #[error("the audit log is closed")]
    Closed,
    /// The line was not written. It has the text of the error of the group of lines.
    #[error("{0}")]
    NotWritten(String),
    /// The line was written, and can be lost if the machine loses power. It has the text of the error of the group of lines.
    #[error("{0}")]
    NotSynced(String),
}

impl AuditError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
