//! One connection to the database, made so that what is asked on it can be believed.

use super::errors;
use super::tls::{Tls, TlsError};
use super::url::PostgresUrl;
use crate::limits::Limits;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use std::collections::HashMap;
use std::error::Error;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};

/// Something that is asked of the database again and again. Its name is unlike that of any other.
#[derive(Clone)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) sql: String,
    pub(super) types: &'static [Type],
}

/// A connection that was not used for so long is tried before it is used.
const IDLE: Duration = Duration::from_secs(30);

/// Makes connections: to the host that was good last, or else to the next.
pub(super) struct Connector {
    hosts: Vec<Config>,
    good: AtomicUsize,
    tls: Tls,
    /// Whether a pooler in transaction mode stands between: then a connection has no settings and no statements of its
    /// own.
    transaction_pooling: bool,
    connect: Duration,
    statement: Duration,
}

/// A connection.
pub(super) struct Session {
    client: Client,
    tls: Tls,
    /// The statements that were prepared on it, by the names of their queries; none where it cannot keep any.
    prepared: Option<Mutex<HashMap<&'static str, Statement>>>,
    /// Set once the server has said that it stopped waiting for a standby.
    unreplicated: Arc<AtomicBool>,
    /// Set once it is not to be used again.
    bad: AtomicBool,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host did not answer in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// It could not be reached, or refused.
    #[error("{}", errors::text(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// Settings were sent and did not arrive.
    #[error(
        "the settings of this host's connections do not reach the server: where PgBouncer or another pooler in transaction \
         mode stands between, set transaction_pooling = true for this database"
    )]
    SettingsLost,
    /// Settings were sent and refused.
    #[error(
        "the settings of this host's connections are refused ({}): where PgBouncer or another pooler in transaction mode \
         stands between, set transaction_pooling = true for this database",
        errors::text(.0)
    )]
    SettingsRefused(#[source] tokio_postgres::Error),
    /// What is deleted would not be durable.
    #[error(
        "synchronous_commit is off for this user or database, so that a deletion could be undone after it was \
         answered; set it to on (ALTER ROLE … SET synchronous_commit = on)"
    )]
    NotDurable,
    /// None of several hosts could be connected to.
    #[error("none of {} hosts: {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoHost(Vec<ConnectError>),
}

impl ConnectError {
    /// Whether it may be another time: the network, a server that starts or stops or is a standby. What the server or
    /// the certificate refuses stays refused until somebody changes something.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::SettingsLost | Self::SettingsRefused(_) | Self::NotDurable => false,
            Self::NoHost(errors) => errors.iter().any(Self::is_temporary),
            Self::Postgres(error) => match error.as_db_error() {
                Some(error) => errors::is_temporary(error.code()),
                None => error.is_closed() || is_network(error),
            },
        }
    }
}

/// Whether the system or the network failed, rather than TLS or a rule of the protocol.
fn is_network(error: &tokio_postgres::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let inner = io.get_ref();
            return !inner.is_some_and(|inner| inner.is::<rustls::Error>() || inner.is::<TlsError>());
        }
        source = cause.source();
    }
    false
}

impl Connector {
    pub(super) fn new(url: &PostgresUrl, transaction_pooling: bool, limits: &Limits) -> Result<Self, TlsError> {
        let statement = limits.database_statement();
        let mut hosts = url.hosts.clone();
        if !transaction_pooling {
            for host in &mut hosts {
                let theirs = host.get_options().unwrap_or_default();
                // The server's own timeout, so that a statement which takes too long is known not to have happened.
                let options = format!("{theirs} -c statement_timeout={}", statement.as_millis());
                host.options(options.trim_start());
            }
        }
        let is_encrypted = hosts.iter().any(|host| host.get_ssl_mode() != SslMode::Disable);
        let check = if is_encrypted { url.check } else { super::tls::CertificateCheck::Nothing };
        Ok(Self {
            hosts,
            good: AtomicUsize::new(0),
            tls: Tls::new(check, url.root_certificates.as_deref())?,
            transaction_pooling,
            connect: limits.database_connect(),
            statement,
        })
    }

    async fn open(&self, host: &Config) -> Result<Session, ConnectError> {
        let connected = host.connect(self.tls.clone()).await;
        let (client, mut connection) = connected.map_err(|error| match error.code() {
            // What PgBouncer says of parameters that it does not pass on.
            Some(&SqlState::PROTOCOL_VIOLATION) if !self.transaction_pooling => ConnectError::SettingsRefused(error),
            _ => ConnectError::Postgres(error),
        })?;
        let unreplicated = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&unreplicated);
        // Ends when the client is dropped, or the connection breaks.
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    // The function that waits for standbys says so, and nothing else, when it is made to give up.
                    Ok(AsyncMessage::Notice(notice)) if notice.routine() == Some("SyncRepWaitForLSN") => {
                        flag.store(true, Ordering::SeqCst);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(error = errors::text(&error), "connection to PostgreSQL ended");
                        break;
                    }
                }
            }
        });
        let bad = AtomicBool::new(false);
        let prepared = (!self.transaction_pooling).then(Mutex::default);
        let session = Session { client, tls: self.tls.clone(), prepared, unreplicated, bad };
        self.settle(&session).await?;
        Ok(session)
    }

    /// Makes sure of the settings on which an answer's truth depends.
    async fn settle(&self, session: &Session) -> Result<(), ConnectError> {
        const SETTINGS: &str = "SELECT (SELECT setting FROM pg_settings WHERE name = 'statement_timeout'),
                                       current_setting('synchronous_commit', true)";
        let rows = session.client.query_typed(SETTINGS, &[]).await?;
        let row = rows.first();
        let timeout: Option<&str> = row.and_then(|row| row.try_get(0).ok().flatten());
        let commit: Option<&str> = row.and_then(|row| row.try_get(1).ok().flatten());
        if !self.transaction_pooling && timeout != Some(self.statement.as_millis().to_string().as_str()) {
            return Err(ConnectError::SettingsLost);
        }
        match commit {
            Some("off") if self.transaction_pooling => Err(ConnectError::NotDurable),
            Some("off") => Ok(session.client.batch_execute("SET synchronous_commit = on").await?),
            _ => Ok(()),
        }
    }
}

impl managed::Manager for Connector {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let first = self.good.load(Ordering::Relaxed);
        let mut errors = Vec::new();
        for step in 0..self.hosts.len() {
            let index = (first + step) % self.hosts.len();
            let Some(host) = self.hosts.get(index) else { continue };
            match tokio::time::timeout(self.connect, self.open(host)).await {
                Ok(Ok(session)) => {
                    self.good.store(index, Ordering::Relaxed);
                    return Ok(session);
                }
                Ok(Err(error)) => errors.push(error),
                Err(_) => errors.push(ConnectError::Timeout(self.connect)),
            }
        }
        match errors.pop() {
            Some(only) if errors.is_empty() => Err(only),
            last => {
                errors.extend(last);
                Err(ConnectError::NoHost(errors))
            }
        }
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<ConnectError> {
        if !session.is_good() {
            return Err(RecycleError::message("not to be used again"));
        }
        // Something on the way may have forgotten it meanwhile without a word; a delete sent into the void would end in
        // doubt.
        if metrics.last_used() > IDLE {
            let alive = tokio::time::timeout(self.connect, session.client.check_connection()).await;
            alive.map_err(|_| ConnectError::Timeout(self.connect))?.map_err(ConnectError::from)?;
        }
        Ok(())
    }
}

impl Session {
    /// Asks, by a statement that was prepared where the connection can have one.
    pub(super) async fn ask(
        &self,
        query: &Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let Some(prepared) = &self.prepared else {
            let typed: Vec<_> = parameters.iter().copied().zip(query.types.iter().cloned()).collect();
            return self.client.query_typed(&query.sql, &typed).await;
        };
        // A panic elsewhere leaves the map whole: every change to it is one call.
        let held = || prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held().get(query.name).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare_typed(&query.sql, query.types).await?;
                held().insert(query.name, statement.clone());
                statement
            }
        };
        self.client.query(&statement, parameters).await
    }

    /// Runs statements that have no parameters and no answer.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Asks once, by a statement that is not kept.
    pub(super) async fn ask_once(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(sql, parameters).await
    }

    /// Whether a commit on this connection was answered before its standbys had it.
    pub(super) fn is_unreplicated(&self) -> bool {
        self.unreplicated.load(Ordering::SeqCst)
    }

    /// Looks at an error: most of them leave a connection that is not used again.
    pub(super) fn judge(&self, error: &tokio_postgres::Error) {
        let harmless = [
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            SqlState::UNTRANSLATABLE_CHARACTER,
        ];
        if !error.code().is_some_and(|code| harmless.contains(code)) {
            self.bad.store(true, Ordering::SeqCst);
        }
    }

    /// Uses the connection no more, because something may still be going on in it, and asks the server to stop that.
    pub(super) fn give_up(&self) {
        /// For a request to stop that nobody waits for.
        const PATIENCE: Duration = Duration::from_secs(2);
        self.bad.store(true, Ordering::SeqCst);
        let (token, tls) = (self.client.cancel_token(), self.tls.clone());
        // Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(PATIENCE, token.cancel_query(tls)).await;
            });
        }
    }

    /// Whether it can be used again.
    fn is_good(&self) -> bool {
        !self.client.is_closed() && !self.bad.load(Ordering::SeqCst) && !self.is_unreplicated()
    }
}
