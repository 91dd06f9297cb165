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
mod current_policy;
mod databases;
mod error;
mod policy;
mod reload;
mod smoke;

pub use error::StartError;
pub use reload::Reloader;

use crate::config::{Config, ConfigError};
use crate::http::{PolicyStatus, Server, Service};
use delete_learning::Decide;
use reload::LoadedPolicy;
use std::sync::Arc;

/// Opens everything that a configuration names, and binds the server to its address.
///
/// # Errors
/// [`StartError`] if something that the configuration names cannot be used.
pub async fn bind(config: Config) -> Result<Server, StartError> {
    let loaded = LoadedPolicy::load(&config)?;
    bind_loaded(config, &loaded).await
}

/// Like [`bind`], with a [`Reloader`] of the policy and its guards, which reads the configuration again with
/// `read_config`.
///
/// # Errors
/// See [`bind`].
pub async fn bind_with_reloader(
    config: Config,
    read_config: impl Fn() -> Result<Config, ConfigError> + Send + 'static,
) -> Result<(Server, Reloader), StartError> {
    let loaded = LoadedPolicy::load(&config)?;
    let server = bind_loaded(config, &loaded).await?;
    Ok((server, Reloader::start(loaded, read_config)?))
}

async fn bind_loaded(config: Config, loaded: &LoadedPolicy) -> Result<Server, StartError> {
    let policy = Arc::clone(&loaded.current);
    let for_status = Arc::clone(&policy);
    bind_service(config, policy, Some(Box::new(move || for_status.status()))).await
}

/// Like [`bind`], with another policy than the configured one.
///
/// # Errors
/// See [`bind`].
pub async fn bind_with(config: Config, policy: Arc<dyn Decide>) -> Result<Server, StartError> {
    bind_service(config, policy, None).await
}

async fn bind_service(
    config: Config,
    policy: Arc<dyn Decide>,
    policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
) -> Result<Server, StartError> {
    let databases = databases::open(&config).await?;
    let audit_log = audit::open(&config, &databases)?;
    let service_accounts = databases::open_service_accounts(&config)?;
    let jwks = authentication::open_jwks(&config).await?;
    let authenticator = authentication::build(config.auth, config.authorization, jwks, service_accounts);
    let health_timeout = config.sqlite.busy_timeout();
    let service =
        Service::new(authenticator, databases, policy, policy_status, &config.http, health_timeout, audit_log);
    let address = config.http.listen;
    Server::bind(service, config.http).await.map_err(|source| StartError::Listen { address, source })
}
