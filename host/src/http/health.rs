//! `GET /health`: whether deletes can be served now.

use super::answer::{self, Body};
use crate::storage::Databases;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// What is told to anybody who asks, so without the names of databases: the log has them.
#[derive(Serialize)]
struct Health {
    /// `ok`, `degraded` where some databases fail, `unavailable` where all do.
    status: &'static str,
    databases: Counts,
}

#[derive(Default, Serialize)]
struct Counts {
    ok: usize,
    failing: usize,
}

/// Asks every database, each for at most `patience`. 503 where none answers.
pub(super) async fn answer(databases: &Databases, patience: Duration) -> Response<Body> {
    let mut checks = tokio::task::JoinSet::new();
    for database in databases.0.iter().cloned() {
        checks.spawn(async move {
            match tokio::time::timeout(patience, database.table.check()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(db_id = database.id, error = error.message, "database fails");
                    false
                }
                Err(_) => {
                    tracing::warn!(db_id = database.id, "database does not answer in time");
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
    answer::json(code, &Health { status, databases: counts })
}
