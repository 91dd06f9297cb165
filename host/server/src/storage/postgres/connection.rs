//! One connection to the database, with the settings on which the meaning of its results depends.

use super::PostgresTarget;
use super::error::{ConnectError, TlsError, with_causes};
use super::options::PostgresOptions;
use super::tls;
use super::tls_settings::{CertificateCheck, TlsSettings};
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

/// A query that runs often. Each has its own name.
#[derive(Clone)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) sql: String,
    pub(super) types: &'static [Type],
}

/// A connection that was idle for longer is tested before it is used.
const IDLE_TEST_AFTER: Duration = Duration::from_secs(5);

/// Timeout of a cancel request, whose result nobody waits for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens connections, first to the host that accepted the last one, or to a random one.
pub(super) struct Connector {
    hosts: Vec<Config>,
    has_default_hosts: bool,
    is_random: bool,
    preferred_host: AtomicUsize,
    tls: MakeRustlsConnect,
    /// Whether the server connects through a pooler in transaction mode. Then a connection has no settings and no prepared statements.
    transaction_pooling: bool,
    connect_timeout: Duration,
    statement_timeout: Duration,
}

/// A connection.
pub(super) struct Connection {
    client: Client,
    tls: MakeRustlsConnect,
    /// Prepared statements by the names of their queries; `None` if the connection cannot keep any.
    prepared: Option<Mutex<HashMap<&'static str, Statement>>>,
    /// Set once the server has reported that it stopped waiting for a standby.
    unreplicated: Arc<AtomicBool>,
    /// Set once the connection must not be used again.
    discarded: AtomicBool,
}

impl Connector {
    pub(super) fn new(target: &PostgresTarget, options: &PostgresOptions) -> Result<Self, TlsError> {
        let (url, statement_timeout) = (&target.url, options.statement_timeout());
        let mut hosts = url.hosts.clone();
        if !target.transaction_pooling {
            for host in &mut hosts {
                let given = host.get_options().unwrap_or_default();
                // With a timeout of the server itself, a statement that takes too long is known to have done nothing.
                let options = format!("{given} -c statement_timeout={}", statement_timeout.as_millis());
                host.options(options.trim_start());
            }
        }
        let is_encrypted = hosts.iter().any(|host| host.get_ssl_mode() != SslMode::Disable);
        // Without TLS, the files of certificates need not exist.
        let unused = TlsSettings { check: CertificateCheck::None, client: None, ..url.tls.clone() };
        Ok(Self {
            hosts,
            has_default_hosts: url.has_default_hosts,
            is_random: url.is_random,
            preferred_host: AtomicUsize::new(0),
            tls: tls::connector(if is_encrypted { &url.tls } else { &unused })?,
            transaction_pooling: target.transaction_pooling,
            connect_timeout: url.connect_timeout(options),
            statement_timeout,
        })
    }

    async fn connect(&self, host: &Config) -> Result<Connection, ConnectError> {
        let (config, tls) = (host.clone(), self.tls.clone());
        // In a task of its own: a request runs on the stack of its sandbox, which is too small for a TLS handshake.
        let connected = AbortOnDropHandle::new(tokio::spawn(async move { config.connect(tls).await })).await?;
        let (client, mut driver) = connected.map_err(|error| match error.code() {
            // PgBouncer's error for parameters that it does not pass on.
            Some(&SqlState::PROTOCOL_VIOLATION) if !self.transaction_pooling => ConnectError::SettingsRefused(error),
            _ => ConnectError::Postgres(error),
        })?;
        let unreplicated = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&unreplicated);
        // Ends when the client is dropped or the connection breaks.
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| driver.poll_message(context)).await {
                match message {
                    // The only notice of the function that waits for standbys: it was made to stop waiting.
                    Ok(AsyncMessage::Notice(notice)) if notice.routine() == Some("SyncRepWaitForLSN") => {
                        flag.store(true, Ordering::SeqCst);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(error = with_causes(&error), "connection to PostgreSQL ended");
                        break;
                    }
                }
            }
        });
        let prepared = (!self.transaction_pooling).then(Mutex::default);
        let discarded = AtomicBool::new(false);
        let connection = Connection { client, tls: self.tls.clone(), prepared, unreplicated, discarded };
        self.verify_settings(&connection).await?;
        Ok(connection)
    }

    /// Checks that the statement timeout arrived and that commits are durable.
    async fn verify_settings(&self, connection: &Connection) -> Result<(), ConnectError> {
        const SETTINGS: &str = "SELECT (SELECT setting FROM pg_settings WHERE name = 'statement_timeout'),
                                       current_setting('synchronous_commit', true)";
        let rows = connection.client.query_typed(SETTINGS, &[]).await?;
        let row = rows.first();
        let timeout: Option<&str> = row.and_then(|row| row.try_get(0).ok().flatten());
        let commit: Option<&str> = row.and_then(|row| row.try_get(1).ok().flatten());
        if !self.transaction_pooling && timeout != Some(self.statement_timeout.as_millis().to_string().as_str()) {
            return Err(ConnectError::SettingsLost);
        }
        match commit {
            Some("off") if self.transaction_pooling => Err(ConnectError::NotDurable),
            Some("off") => Ok(connection.client.batch_execute("SET synchronous_commit = on").await?),
            _ => Ok(()),
        }
    }
}

/// Returns a random number, or zero if there is none: then the first host is first.
fn random() -> usize {
    let mut bytes = [0; size_of::<usize>()];
    let filled = getrandom::fill(&mut bytes);
    filled.map_or(0, |()| usize::from_ne_bytes(bytes))
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = ConnectError;

    async fn create(&self) -> Result<Connection, ConnectError> {
        let first = if self.is_random { random() } else { self.preferred_host.load(Ordering::Relaxed) };
        let mut errors = Vec::new();
        for step in 0..self.hosts.len() {
            let index = first.wrapping_add(step) % self.hosts.len();
            let Some(host) = self.hosts.get(index) else { continue };
            match tokio::time::timeout(self.connect_timeout, self.connect(host)).await {
                Ok(Ok(connection)) => {
                    self.preferred_host.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                // The default hosts are one server, so another of them would not accept either.
                Ok(Err(error)) if self.has_default_hosts && !error.is_transient() => return Err(error),
                Ok(Err(error)) => errors.push(error),
                Err(_) => errors.push(ConnectError::Timeout(self.connect_timeout)),
            }
        }
        match errors.pop() {
            Some(only) if errors.is_empty() => Err(only),
            last => {
                errors.extend(last);
                Err(ConnectError::AllHosts(errors))
            }
        }
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<ConnectError> {
        if !connection.is_reusable() {
            return Err(RecycleError::message("the connection was discarded"));
        }
        // A firewall can drop an idle connection silently; the outcome of a delete sent on it would be unknown.
        if metrics.last_used() > IDLE_TEST_AFTER {
            let alive = tokio::time::timeout(self.connect_timeout, connection.client.check_connection()).await;
            alive.map_err(|_| ConnectError::Timeout(self.connect_timeout))?.map_err(ConnectError::from)?;
        }
        Ok(())
    }
}

impl Connection {
    /// Returns the prepared statement of a query; `None` if the connection cannot keep any. Executes nothing.
    pub(super) async fn prepare(&self, query: &Query) -> Result<Option<Statement>, tokio_postgres::Error> {
        let Some(prepared) = &self.prepared else { return Ok(None) };
        // A panic cannot leave the map inconsistent, because every change is one call.
        let statements = || prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = statements().get(query.name).cloned();
        Ok(Some(match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare_typed(&query.sql, query.types).await?;
                statements().insert(query.name, statement.clone());
                statement
            }
        }))
    }

    /// Runs a query with what [`prepare`](Self::prepare) returned for it.
    pub(super) async fn query(
        &self,
        query: &Query,
        prepared: Option<&Statement>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match prepared {
            Some(statement) => self.client.query(statement, parameters).await,
            None => {
                let typed: Vec<_> = parameters.iter().copied().zip(query.types.iter().cloned()).collect();
                self.client.query_typed(&query.sql, &typed).await
            }
        }
    }

    /// Runs a query that is not kept as a prepared statement.
    pub(super) async fn query_once(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(sql, parameters).await
    }

    /// Executes statements without parameters and results.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Whether a commit on this connection was confirmed before its synchronous standbys had it.
    pub(super) fn is_unreplicated(&self) -> bool {
        self.unreplicated.load(Ordering::SeqCst)
    }

    /// Discards the connection after an error, except after errors that affect one statement only.
    pub(super) fn discard_unless_reusable(&self, error: &tokio_postgres::Error) {
        let of_one_statement = [
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            SqlState::UNTRANSLATABLE_CHARACTER,
        ];
        if !error.code().is_some_and(|code| of_one_statement.contains(code)) {
            self.discarded.store(true, Ordering::SeqCst);
        }
    }

    /// Discards the connection while a statement can still run on it, and asks the server to cancel the statement.
    pub(super) fn cancel_and_discard(&self) {
        self.discarded.store(true, Ordering::SeqCst);
        let (token, tls) = (self.client.cancel_token(), self.tls.clone());
        // Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls)).await;
            });
        }
    }

    fn is_reusable(&self) -> bool {
        !self.client.is_closed() && !self.discarded.load(Ordering::SeqCst) && !self.is_unreplicated()
    }
}

#[cfg(test)]
mod tests {
    use super::random;
    use std::collections::BTreeSet;

    #[test]
    fn hosts_are_selected_at_random() {
        let selected: BTreeSet<usize> = (0..100).map(|_| random() % 3).collect();
        assert_eq!(selected, [0, 1, 2].into(), "by chance once in 10^17 runs");
    }
}
