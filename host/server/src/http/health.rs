//! `GET /health`: whether deletions can be served now, and which policy decides.

use super::response::{self, Body};
use delete_learning::Digests;
use delete_learning::storage::Databases;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// What `/health` reports of the policy.
#[derive(Clone, Debug)]
pub struct PolicyStatus {
    /// The components in force.
    pub digests: Digests,
    /// Whether others were to be put in force, and could not.
    pub last_reload_failed: bool,
}

/// The response body. Everybody can read it, so it contains no name of a database, no path and no reason; the log does.
#[derive(Serialize)]
struct Health {
    /// `ok`; `degraded` if some databases fail; `unavailable` if all do.
    status: &'static str,
    databases: Counts,
    /// `failing` if the audit log cannot be written, so that deletions are refused. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_log: Option<&'static str>,
    /// Absent if something else than a component decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyHealth>,
}

#[derive(Serialize)]
struct PolicyHealth {
    sha256: String,
    /// Outermost first.
    guards: Vec<GuardHealth>,
    /// `ok`, or `failed` if the last reload failed and an earlier policy is still in force.
    reload: &'static str,
}

#[derive(Serialize)]
struct GuardHealth {
    name: String,
    sha256: String,
}

impl From<PolicyStatus> for PolicyHealth {
    fn from(PolicyStatus { digests, last_reload_failed }: PolicyStatus) -> Self {
        let guards = digests.guards.into_iter();
        Self {
            sha256: digests.policy.to_string(),
            guards: guards.map(|(name, digest)| GuardHealth { name, sha256: digest.to_string() }).collect(),
            reload: if last_reload_failed { "failed" } else { "ok" },
        }
    }
}

#[derive(Default, Serialize)]
struct Counts {
    ok: usize,
    failing: usize,
}

/// Checks every database, each for at most `timeout`, all at the same time. Returns whether each responds.
pub(super) async fn check_databases(databases: &Databases, timeout: Duration) -> Vec<bool> {
    let mut checks = tokio::task::JoinSet::new();
    for (index, database) in databases.0.iter().cloned().enumerate() {
        checks.spawn(async move {
            let is_ok = match tokio::time::timeout(timeout, database.store.check()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(db_id = database.id, error = error.message, "health check failed");
                    false
                }
                Err(_) => {
                    tracing::warn!(db_id = database.id, "health check timed out");
                    false
                }
            };
            (index, is_ok)
        });
    }
    let mut results = vec![false; databases.0.len()];
    while let Some(check) = checks.join_next().await {
        if let Ok((index, is_ok)) = check
            && let Some(result) = results.get_mut(index)
        {
            *result = is_ok;
        }
    }
    results
}

/// Checks every database, each for at most `timeout`. Responds 503 if all fail.
pub(super) async fn respond(
    databases: &Databases,
    timeout: Duration,
    policy: Option<PolicyStatus>,
    is_audit_failing: bool,
) -> Response<Body> {
    let results = check_databases(databases, timeout).await;
    let ok = results.iter().filter(|is_ok| **is_ok).count();
    let counts = Counts { ok, failing: results.len() - ok };
    let (code, status) = match counts {
        Counts { failing: 0, .. } => (StatusCode::OK, "ok"),
        Counts { ok: 0, .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::OK, "degraded"),
    };
    let audit_log = is_audit_failing.then_some("failing");
    response::json(code, &Health { status, databases: counts, audit_log, policy: policy.map(Into::into) })
}
