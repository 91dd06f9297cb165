//! What PostgreSQL's errors mean to whoever asked.

use super::pool::AskError;
use crate::contract::{StorageError, StorageErrorKind};
use std::error::Error;
use tokio_postgres::error::SqlState;

/// Whether what failed may succeed another time (PostgreSQL's appendix A, "Error Codes").
pub(super) fn is_temporary(code: &SqlState) -> bool {
    // Of these classes all: connection exceptions, transactions rolled back, resources, interventions of an operator.
    let class = code.code().get(..2).unwrap_or_default();
    let others = [SqlState::LOCK_NOT_AVAILABLE, SqlState::READ_ONLY_SQL_TRANSACTION];
    matches!(class, "08" | "40" | "53" | "57") || others.contains(code)
}

/// Whether a table, or the schema in which it is looked for, is not there.
pub(super) fn is_without_table(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
}

/// Whether two transactions got into each other's way, so that this one was rolled back and may be tried again.
pub(super) fn is_conflict(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}

/// Whether the server says that a text has a character which none of its texts can have.
pub(super) fn is_unstorable_text(code: &SqlState) -> bool {
    [SqlState::CHARACTER_NOT_IN_REPERTOIRE, SqlState::UNTRANSLATABLE_CHARACTER].contains(code)
}

/// Whether the server ended the connection by force. It may do so after a commit, while it waits for a standby.
fn is_end_of_connection(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
}

/// An error with its causes, which tokio-postgres leaves to whoever prints it.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What is told of an error. `writing` is whether a deletion may have been under way.
pub(super) fn explain(place: &str, error: &AskError, writing: bool) -> StorageError {
    let kind = match error {
        AskError::NoSession(cause) if cause.is_temporary() => StorageErrorKind::Unavailable,
        AskError::NoSession(_) => StorageErrorKind::Internal,
        AskError::NoRoom(_) => StorageErrorKind::Unavailable,
        AskError::NoAnswer(_) | AskError::Unreplicated | AskError::Unintelligible if writing => {
            StorageErrorKind::OutcomeUnknown
        }
        AskError::NoAnswer(_) | AskError::Unreplicated => StorageErrorKind::Unavailable,
        AskError::Unintelligible => StorageErrorKind::Internal,
        AskError::Failed(cause) => match cause.code() {
            // The connection broke, and with it the answer.
            None if writing => StorageErrorKind::OutcomeUnknown,
            None => StorageErrorKind::Unavailable,
            Some(code) if writing && is_end_of_connection(code) => StorageErrorKind::OutcomeUnknown,
            // A statement that failed did nothing: it is a transaction of its own.
            Some(code) if is_without_table(code) => StorageErrorKind::UnknownTable,
            Some(code) if is_temporary(code) => StorageErrorKind::Unavailable,
            Some(_) => StorageErrorKind::Internal,
        },
    };
    StorageError::new(kind, format!("PostgreSQL, {place}: {error}"))
}
