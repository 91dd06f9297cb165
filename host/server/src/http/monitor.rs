//! What monitors ask for: the probes, on both addresses, and the metrics.

use super::health::{self, PolicyStatus};
use super::readiness::{self, Readiness};
use super::response::{self, Body};
use crate::audit::AuditLog;
use crate::telemetry::metrics::{CONTENT_TYPE, Sources};
use delete_learning::storage::Databases;
use hyper::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// What a monitor asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// `/health`.
    Health,
    /// `/livez`.
    Live,
    /// `/readyz`.
    Ready,
}

/// Responds to monitors.
pub(super) struct Monitor {
    databases: Databases,
    health_timeout: Duration,
    policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
    audit_log: Option<Arc<AuditLog>>,
    readiness: Readiness,
}

impl Monitor {
    /// A check waits at most `health_timeout` for each database.
    pub(super) fn new(
        databases: Databases,
        health_timeout: Duration,
        policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
        audit_log: Option<Arc<AuditLog>>,
    ) -> Self {
        let readiness = Readiness::new(databases.clone(), health_timeout, audit_log.clone());
        Self { databases, health_timeout, policy_status, audit_log, readiness }
    }

    /// Reports from now on that the server is not ready.
    pub(super) fn set_stopping(&self) {
        self.readiness.set_stopping();
    }

    /// Whether the server was requested to shut down.
    pub(super) fn is_stopping(&self) -> bool {
        self.readiness.is_stopping()
    }

    /// Responds to a probe.
    pub(super) async fn probe(&self, probe: Probe) -> Response<Body> {
        match probe {
            Probe::Live => readiness::respond_live(),
            Probe::Ready => self.readiness.respond().await,
            Probe::Health => {
                let policy = self.policy_status.as_ref().map(|status| status());
                let is_audit_failing = self.audit_log.as_ref().is_some_and(|log| log.is_failing());
                health::respond(&self.databases, self.health_timeout, policy, is_audit_failing).await
            }
        }
    }

    /// Responds with the metrics of these sources.
    pub(super) async fn metrics(&self, sources: Arc<Sources>) -> Response<Body> {
        let ready = self.readiness.state().await;
        // Some sources are files, for which a request must not wait.
        let text = tokio::task::spawn_blocking(move || sources.encode(ready)).await;
        match text {
            Ok(Ok(text)) => response::text(text, CONTENT_TYPE),
            Ok(Err(_)) | Err(_) => {
                response::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "INTERNAL_SERVER_ERROR")
            }
        }
    }
}
