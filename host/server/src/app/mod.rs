//! The composition root: builds the server from its configuration. `config` only validates; this module opens the
//! databases, the key set and the policy, and passes them to `http` and `auth`.
//!
//! # Life of a request
//!
//! The files in the order in which a `DELETE /learnings/{learning_id}` passes through them:
//!
//! | step | file |
//! |---|---|
//! | accept the connection, serve HTTP/1.1 | `http/server.rs`, `http/connection.rs` |
//! | check the head, answer a preflight | `http/request_head.rs`, `http/cors/mod.rs` |
//! | give it an id and its spans | `http/request_id.rs`, `http/request_context.rs` |
//! | match the path and the method | `http/service.rs`, `http/route.rs` |
//! | parse the id and the query | `http/delete_request.rs` |
//! | determine the address of the client | `http/client_address.rs` |
//! | authenticate the caller | `auth/authenticator.rs`, then `auth/security_key.rs`, `auth/jwt/mod.rs` or `auth/service_accounts/mod.rs` |
//! | resolve the record | crate `delete_learning`: `storage/databases.rs` |
//! | run the policy in a fresh instance | crate `delete_learning`: `policy.rs`, `offload.rs`, `deadline.rs` |
//! | decide | crate `delete_learning_policy`: `policy.rs` |
//! | answer the policy's calls | crate `delete_learning`: `host_state.rs` |
//! | run the guards | crate `delete_learning`: `guard.rs`, `guard_rules.rs` |
//! | delete | `storage/sqlite/writer.rs` or `storage/postgres/mod.rs` |
//! | validate the policy's answer | crate `delete_learning`: `decision.rs` |
//! | write the audit event | `audit/trace.rs`, and `audit/request.rs` with an audit log |
//! | build the response, discard the body | `http/response.rs`, `http/request_body.rs` |

mod audit;
mod authentication;
mod check;
mod current_policy;
mod databases;
mod error;
mod policy;
mod reload;
mod smoke;

pub use check::check;
pub use error::StartError;
pub use reload::Reloader;

use crate::config::{Config, ConfigError};
use crate::http::{MetricsListener, PolicyStatus, Server, Service, ServiceParts};
use crate::telemetry::metrics::{PolicyState, Sources};
use delete_learning::Decide;
use reload::LoadedPolicy;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::SystemTime;

/// Opens everything that a configuration names, and binds the server to its address.
///
/// # Errors
/// [`StartError`] if something that the configuration names cannot be used.
pub async fn bind(config: Config) -> Result<Server, StartError> {
    let start = SystemTime::now();
    let loaded = LoadedPolicy::load(&config)?;
    bind_loaded(config, None, &loaded, start).await
}

/// Like [`bind`], with a [`Reloader`] of the policy and its guards, which reads the configuration again with
/// `read_config`. It serves on `socket`, if there is one, in place of the configured address.
///
/// # Errors
/// See [`bind`].
pub async fn bind_with_reloader(
    config: Config,
    socket: Option<TcpListener>,
    read_config: impl Fn() -> Result<Config, ConfigError> + Send + 'static,
) -> Result<(Server, Reloader), StartError> {
    let start = SystemTime::now();
    let loaded = LoadedPolicy::load(&config)?;
    let server = bind_loaded(config, socket, &loaded, start).await?;
    Ok((server, Reloader::start(loaded, read_config)?))
}

async fn bind_loaded(
    config: Config,
    socket: Option<TcpListener>,
    loaded: &LoadedPolicy,
    start: SystemTime,
) -> Result<Server, StartError> {
    let policy = Arc::clone(&loaded.current);
    let (for_status, for_metrics, sandbox) = (Arc::clone(&policy), Arc::clone(&policy), loaded.sandbox.clone());
    let reports = PolicyReports {
        status: Box::new(move || for_status.status()),
        state: Box::new(move || for_metrics.state(&sandbox)),
    };
    bind_service(config, socket, policy, Some(reports), start).await
}

/// What a policy that can be replaced reports to `/health` and to the metrics.
struct PolicyReports {
    status: Box<dyn Fn() -> PolicyStatus + Send + Sync>,
    state: Box<dyn Fn() -> PolicyState + Send + Sync>,
}

/// Like [`bind`], with another policy than the configured one.
///
/// # Errors
/// See [`bind`].
pub async fn bind_with(config: Config, policy: Arc<dyn Decide>) -> Result<Server, StartError> {
    bind_service(config, None, policy, None, SystemTime::now()).await
}

async fn bind_service(
    config: Config,
    socket: Option<TcpListener>,
    policy: Arc<dyn Decide>,
    reports: Option<PolicyReports>,
    start: SystemTime,
) -> Result<Server, StartError> {
    let (address, origin) = (config.http.listen, config.origin("server.listen"));
    let metrics_listener = bind_metrics(&config).await?;
    let (databases, sources) = databases::open(&config).await?;
    let audit_log = audit::open(&config, &databases)?;
    let service_accounts = databases::open_service_accounts(&config)?;
    let jwks = authentication::open_jwks(&config).await?;
    let authenticator = authentication::build(config.auth, config.authorization, jwks, service_accounts);
    let health_timeout = config.sqlite.busy_timeout();
    let (caches, requests) = (authenticator.caches(), Arc::default());
    let (policy_status, policy_state) = reports.map(|reports| (reports.status, reports.state)).unzip();
    let for_metrics = audit_log.clone();
    let parts = ServiceParts {
        authenticator,
        databases,
        policy,
        policy_status,
        health_timeout,
        audit_log,
        requests: Arc::clone(&requests),
    };
    let service = Service::new(parts, &config.http);
    let server = match socket {
        Some(socket) => Server::on_socket(service, config.http, socket),
        None => Server::bind(service, config.http).await,
    };
    let server = server.map_err(|source| StartError::Listen { key: "server.listen", origin, address, source })?;
    let Some(listener) = metrics_listener else { return Ok(server) };
    let sources = Sources {
        start,
        requests,
        connections: Box::new(server.connections()),
        policy: policy_state,
        databases: sources,
        caches,
        audit: for_metrics.map(|log| Box::new(move || log.state()) as _),
    };
    Ok(server.with_metrics(listener, sources))
}

/// Binds the address of the metrics, if they are to be served.
async fn bind_metrics(config: &Config) -> Result<Option<MetricsListener>, StartError> {
    let Some(metrics) = &config.metrics else { return Ok(None) };
    let (key, address) = ("metrics.listen", metrics.listen);
    let bound = MetricsListener::bind(address).await;
    bound.map(Some).map_err(|source| StartError::Listen { key, origin: config.origin(key), address, source })
}
