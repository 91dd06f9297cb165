//! Errors of PostgreSQL databases, and what they mean for a request.

use delete_learning::{StorageError, StorageErrorKind};
use rustls::pki_types::InvalidDnsNameError;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a PostgreSQL database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection pool cannot be set up.
    #[error("cannot set up the connection pool: {0}")]
    Pool(#[from] deadpool::managed::BuildError),
    /// The database refuses, and will until the configuration or the database changes.
    #[error("{0}")]
    Refused(String),
}

/// Where a value of a URL comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The part before '?'.
    Authority(&'static str),
    /// A parameter after '?'.
    Parameter(&'static str),
    /// An environment variable.
    Variable(&'static str),
}

impl Origin {
    pub(super) const fn is_parameter(self) -> bool {
        matches!(self, Self::Parameter(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(name) | Self::Parameter(name) => formatter.write_str(name),
            Self::Variable(name) => write!(formatter, "the environment variable {name}"),
        }
    }
}

/// Why a URL is not one of a PostgreSQL database. No message repeats a value, because it can be a part of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be parsed.
    #[error("must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded")]
    Syntax,
    /// It can be parsed in two ways.
    #[error("can be read in two ways; write '/' in the password as %2F, or '@' in the database as %40")]
    Ambiguous,
    /// It has a parameter that is not known. There is no name if it can be a part of a password.
    #[error("has an unknown parameter{}; DATABASE_URLS.md lists the known ones", .0.as_ref().map_or_else(
        || " after '?' (special characters of a password must be percent-encoded)".to_owned(),
        |name| format!(", {name}")
    ))]
    UnknownParameter(Option<String>),
    /// A parameter is not supported. The text is what to do.
    #[error("{0} is not supported: {1}")]
    Unsupported(Origin, &'static str),
    /// A value of a parameter is not supported. The text is what to do.
    #[error("this value of {0} is not supported: {1}")]
    UnsupportedValue(Origin, &'static str),
    /// A parameter has an invalid value.
    #[error("the value of {0} must be {1}")]
    InvalidValue(Origin, &'static str),
    /// A parameter is given more than once, with different values.
    #[error("{0} is given twice with different values; remove one")]
    Repeated(&'static str),
    /// Two parameters contradict each other.
    #[error("{0}")]
    Conflict(&'static str),
    /// The numbers of hosts, addresses and ports differ.
    #[error(
        "there must be as many of host, hostaddr and port, or one port for all (PGHOST, PGHOSTADDR and PGPORT count too)"
    )]
    MismatchedHosts,
    /// There is no user.
    #[error("has no user, and the user of this process has no name; write one into the URL")]
    NoUser,
    /// The password file that a parameter names cannot be used.
    #[error("the file of {0} {1}")]
    PasswordFile(Origin, String),
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of root certificates cannot be used.
    #[error("the certificates of {} cannot be used: {reason}", path.display())]
    RootCertificates {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// This machine has no trusted certificate authority.
    #[error("this machine trusts no certificate authority; name one in sslrootcert")]
    NoRootCertificates,
    /// rustls cannot be configured.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The client certificate or its private key cannot be used.
    #[error("{parameter} {} cannot be used: {reason}", path.display())]
    ClientCertificate {
        /// The parameter that names the file.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason and what to do.
        reason: String,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host did not respond in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The host cannot be reached, or refuses.
    #[error("{}", with_causes(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The task that connects ended early: it panicked, or the server is shutting down.
    #[error("the attempt to connect was given up: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// The connection settings did not reach PostgreSQL.
    #[error(
        "the connection settings do not reach PostgreSQL: if a pooler in transaction mode, such as PgBouncer, is in \
         front of it, set transaction_pooling = true for this database"
    )]
    SettingsLost,
    /// The connection settings are refused.
    #[error(
        "the connection settings are refused ({}): if a pooler in transaction mode, such as PgBouncer, is in front of \
         PostgreSQL, set transaction_pooling = true for this database",
        with_causes(.0)
    )]
    SettingsRefused(#[source] tokio_postgres::Error),
    /// Deletes would not be durable.
    #[error(
        "synchronous_commit is off for this user or database, so a deletion could be undone after it was reported; set it \
         to on (ALTER ROLE … SET synchronous_commit = on)"
    )]
    NotDurable,
    /// None of several hosts accepts a connection.
    #[error("none of {} hosts: {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    AllHosts(Vec<ConnectError>),
}

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    /// There is no connection, so nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(#[source] ConnectError),
    /// No connection of the pool was free in time, so nothing was sent.
    #[error("no connection was free within {0:?}")]
    PoolTimeout(Duration),
    /// The server did not respond in time. The connection is discarded.
    #[error("no response within {0:?}")]
    ResponseTimeout(Duration),
    /// The server committed, but stopped waiting for its synchronous standbys.
    #[error("the server stopped waiting for its standbys")]
    NotReplicated,
    /// The result is not one of the statement.
    #[error("an unexpected result")]
    UnexpectedResult,
    /// The statement could not be prepared, so nothing was executed.
    #[error(transparent)]
    NotPrepared(Box<QueryError>),
    /// The server refused, or the connection broke.
    #[error("the statement failed: {}", with_causes(.0))]
    Failed(#[source] tokio_postgres::Error),
}

impl ConnectError {
    /// Whether it can succeed later: a network error, or a server that starts, stops or is a standby. Another refusal
    /// lasts until somebody changes the configuration.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Task(_) => true,
            Self::SettingsLost | Self::SettingsRefused(_) | Self::NotDurable => false,
            Self::AllHosts(errors) => errors.iter().any(Self::is_transient),
            Self::Postgres(error) => match error.as_db_error() {
                Some(error) => is_transient(error.code()),
                None => error.is_closed() || is_io_error(error),
            },
        }
    }
}

impl QueryError {
    fn has_code(&self, codes: &[SqlState]) -> bool {
        match self {
            Self::Failed(error) => error.code().is_some_and(|code| codes.contains(code)),
            _ => false,
        }
    }

    /// Whether the transaction was rolled back because of another one, and can be retried.
    pub(super) fn is_conflict(&self) -> bool {
        self.has_code(&[SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED])
    }

    /// Whether the database refused the statement of a batch and did nothing, so that each delete can be executed alone. A
    /// database that cannot be reached, or does not prepare statements now, would not execute those either.
    pub(super) fn is_of_statement(&self) -> bool {
        match self {
            Self::Failed(_) => !self.leaves_outcome_unknown(),
            Self::NotPrepared(error) => error.is_of_statement() && self.kind() != StorageErrorKind::Unavailable,
            _ => false,
        }
    }

    /// Whether the database would refuse every batch: it does not support the statement, or the user lacks a privilege.
    pub(super) fn is_of_every_batch(&self) -> bool {
        matches!(self, Self::NotPrepared(_)) || self.has_code(&[SqlState::INSUFFICIENT_PRIVILEGE])
    }

    /// Whether the statement can have been executed.
    pub(super) fn leaves_outcome_unknown(&self) -> bool {
        match self {
            // Nothing was sent, or nothing that executes something.
            Self::Connect(_) | Self::PoolTimeout(_) | Self::NotPrepared(_) => false,
            // No response, or a response after the commit.
            Self::ResponseTimeout(_) | Self::NotReplicated | Self::UnexpectedResult => true,
            Self::Failed(error) => !error.as_db_error().is_some_and(is_rolled_back),
        }
    }

    /// The kind of this error for a request whose statement was not executed.
    fn kind(&self) -> StorageErrorKind {
        match self {
            Self::Connect(cause) if !cause.is_transient() => StorageErrorKind::Internal,
            Self::Connect(_) | Self::PoolTimeout(_) | Self::ResponseTimeout(_) | Self::NotReplicated => {
                StorageErrorKind::Unavailable
            }
            Self::UnexpectedResult => StorageErrorKind::Internal,
            Self::NotPrepared(error) => error.kind(),
            Self::Failed(cause) => match cause.code() {
                // The connection broke.
                None => StorageErrorKind::Unavailable,
                Some(code) if is_table_missing(code) => StorageErrorKind::UnknownTable,
                Some(code) if is_transient(code) => StorageErrorKind::Unavailable,
                Some(_) => StorageErrorKind::Internal,
            },
        }
    }

    /// Whether a parameter is a text that the database cannot store, so that no row contains it.
    pub(super) fn is_unstorable_text(&self) -> bool {
        self.has_code(&[SqlState::CHARACTER_NOT_IN_REPERTOIRE, SqlState::UNTRANSLATABLE_CHARACTER])
    }
}

/// Whether the operating system or the network failed, rather than TLS or the protocol.
fn is_io_error(error: &tokio_postgres::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let inner = io.get_ref();
            // The second is a name of a host for which there is no certificate.
            return !inner.is_some_and(|inner| inner.is::<rustls::Error>() || inner.is::<InvalidDnsNameError>());
        }
        source = cause.source();
    }
    false
}

/// Whether a statement that failed with this code can succeed later (PostgreSQL documentation, appendix A).
fn is_transient(code: &SqlState) -> bool {
    // Whole classes: connection exceptions, rolled back transactions, insufficient resources, operator intervention.
    let class = code.code().get(..2).unwrap_or_default();
    let others = [SqlState::LOCK_NOT_AVAILABLE, SqlState::READ_ONLY_SQL_TRANSACTION];
    matches!(class, "08" | "40" | "53" | "57") || others.contains(code)
}

/// Whether the server has rolled the statement back, which is its own transaction.
///
/// An error that ends the session (`FATAL`, `PANIC`) can follow the commit: the server was waiting for a standby, or could
/// not write its log. PostgreSQL states the routine of each error; one without it comes from a pooler, which does not
/// know what became of the statement. The code 40003 is `statement_completion_unknown`.
fn is_rolled_back(error: &DbError) -> bool {
    error.parsed_severity() == Some(Severity::Error)
        && error.routine().is_some()
        && *error.code() != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}

/// Whether a table or its schema does not exist.
fn is_table_missing(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
}

/// Formats an error with its causes, which tokio-postgres does not print.
pub(super) fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Converts an error about this table. `is_delete` is whether the query can have deleted something.
pub(super) fn storage_error(table: &str, error: &QueryError, is_delete: bool) -> StorageError {
    let kind =
        if is_delete && error.leaves_outcome_unknown() { StorageErrorKind::OutcomeUnknown } else { error.kind() };
    StorageError::new(kind, format!("PostgreSQL, {table}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{ConnectError, QueryError, StorageErrorKind, storage_error};
    use std::time::Duration;

    /// The errors that a test can construct. Those of a connection are tested with a real one.
    #[test]
    fn outcome_is_unknown_only_after_the_statement_was_sent() {
        use StorageErrorKind::{Internal, OutcomeUnknown, Unavailable};
        let second = Duration::from_secs(1);
        let not_prepared = || QueryError::NotPrepared(Box::new(QueryError::ResponseTimeout(second)));
        for (error, delete, read) in [
            (QueryError::Connect(ConnectError::Timeout(second)), Unavailable, Unavailable),
            (QueryError::Connect(ConnectError::NotDurable), Internal, Internal),
            (QueryError::PoolTimeout(second), Unavailable, Unavailable),
            (not_prepared(), Unavailable, Unavailable),
            (QueryError::ResponseTimeout(second), OutcomeUnknown, Unavailable),
            (QueryError::NotReplicated, OutcomeUnknown, Unavailable),
            (QueryError::UnexpectedResult, OutcomeUnknown, Internal),
        ] {
            let kinds = [true, false].map(|is_delete| storage_error("t", &error, is_delete).kind);
            assert_eq!(kinds, [delete, read], "{error}");
        }
    }
}
