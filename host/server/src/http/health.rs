//! `GET /health`: whether deletions can be served now.

use super::response::{self, Body};
use delete_learning::storage::Databases;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// The response body. Everybody can read it, so it does not name databases; the log does.
#[derive(Serialize)]
struct Health {
    /// `ok`; `degraded` if some databases fail; `unavailable` if all do.
    status: &'static str,
    databases: Counts,
}

#[derive(Default, Serialize)]
struct Counts {
    ok: usize,
    failing: usize,
}

/// Checks every database, each for at most `timeout`. Responds 503 if all fail.
pub(super) async fn respond(databases: &Databases, timeout: Duration) -> Response<Body> {
    let mut checks = tokio::task::JoinSet::new();
    for database in databases.0.iter().cloned() {
        checks.spawn(async move {
            match tokio::time::timeout(timeout, database.store.check()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(db_id = database.id, error = error.message, "health check failed");
                    false
                }
                Err(_) => {
                    tracing::warn!(db_id = database.id, "health check timed out");
                    false
                }
            }
        });
    }
    let mut counts = Counts::default();
    while let Some(check) = checks.join_next().await {
        match check {
            Ok(true) => counts.ok += 1,
            Ok(false) | Err(_) => counts.failing += 1,
        }
    }
    let (code, status) = match counts {
        Counts { failing: 0, .. } => (StatusCode::OK, "ok"),
        Counts { ok: 0, .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::OK, "degraded"),
    };
    response::json(code, &Health { status, databases: counts })
}
