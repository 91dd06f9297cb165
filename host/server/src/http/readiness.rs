//! `GET /readyz`: whether the server can serve every delete now, for load balancers. `GET /livez`: whether it responds.
//!
//! Checks of the databases are shared: a check that is in progress, or ended less than a second ago, serves everybody who
//! asks.

use super::health::check_databases;
use super::response::{self, Body};
use crate::audit::AuditLog;
use crate::telemetry::metrics::ReadyState;
use delete_learning::storage::Databases;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For how long the result of a check is used again.
const REUSE_TIME: Duration = Duration::from_secs(1);

/// The result of a check: whether each table responds, and when that was known.
type Checked = (Arc<[bool]>, Instant);

/// Knows whether the server is ready.
pub(super) struct Readiness {
    databases: Databases,
    timeout: Duration,
    audit_log: Option<Arc<AuditLog>>,
    is_stopping: AtomicBool,
    /// The latest check. It is `None` inside while the check is in progress.
    latest: Mutex<Option<watch::Receiver<Option<Checked>>>>,
}

/// The response body. Everybody can read it, so it contains no name of a database and no reason; the log does.
#[derive(Serialize)]
struct Report {
    /// `ready`, or `not-ready` if a part is neither `ok` nor absent.
    status: &'static str,
    /// `ok`, or `failing` if a database does not respond.
    databases: &'static str,
    /// `ok`: the server does not start without a policy, and a reload that fails leaves the running one in force.
    policy: &'static str,
    /// `ok`, or `failing` if the audit log cannot be written, so that deletions are refused. Absent without an audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_log: Option<&'static str>,
    /// `ok`, or `stopping` from the request to shut down on.
    server: &'static str,
}

/// `GET /livez`: 200 as long as the process responds.
pub(super) fn respond_live() -> Response<Body> {
    #[derive(Serialize)]
    struct Alive {
        status: &'static str,
    }
    response::json(StatusCode::OK, &Alive { status: "ok" })
}

impl Readiness {
    /// A check waits at most `timeout` for each database.
    pub(super) fn new(databases: Databases, timeout: Duration, audit_log: Option<Arc<AuditLog>>) -> Self {
        Self { databases, timeout, audit_log, is_stopping: AtomicBool::new(false), latest: Mutex::default() }
    }

    /// Records that the server was requested to shut down. It is not ready from now on.
    pub(super) fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server was requested to shut down.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// `GET /readyz`: 200 if every part is ready, otherwise 503 with the parts that are not.
    pub(super) async fn respond(&self) -> Response<Body> {
        let (state, audit_log) = (self.state().await, self.audit_log.as_ref().map(|log| log.is_failing()));
        let or_failing = |is_failing| if is_failing { "failing" } else { "ok" };
        let report = Report {
            status: if state.is_ready { "ready" } else { "not-ready" },
            databases: or_failing(state.databases.contains(&false)),
            policy: "ok",
            audit_log: audit_log.map(or_failing),
            server: if self.is_stopping() { "stopping" } else { "ok" },
        };
        let status = if state.is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response::json(status, &report)
    }

    /// The state of all parts.
    pub(super) async fn state(&self) -> ReadyState {
        let databases = self.check().await.to_vec();
        let is_failing = self.audit_log.as_ref().is_some_and(|log| log.is_failing());
        let is_ready = !databases.contains(&false) && !is_failing && !self.is_stopping();
        ReadyState { is_ready, databases }
    }

    /// Whether each table responds.
    async fn check(&self) -> Arc<[bool]> {
        let mut result = self.join_or_start();
        let result = result.wait_for(Option::is_some).await;
        // The task does not end without a result unless it panics.
        let checked = result.ok().and_then(|result| result.as_ref().map(|(databases, _)| Arc::clone(databases)));
        checked.unwrap_or_else(|| self.databases.0.iter().map(|_| false).collect())
    }

    /// The check that is in progress or recent, or a new one.
    fn join_or_start(&self) -> watch::Receiver<Option<Checked>> {
        // A panic cannot leave it inconsistent, because every change is one assignment.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = latest.as_ref().filter(|check| match *check.borrow() {
            Some((_, end)) => end.elapsed() < REUSE_TIME,
            // If the sender is gone, the task panicked.
            None => check.has_changed().is_ok(),
        });
        if let Some(check) = usable {
            return check.clone();
        }
        let (sender, receiver) = watch::channel(None);
        *latest = Some(receiver.clone());
        drop(latest);
        let (databases, timeout) = (self.databases.clone(), self.timeout);
        // A task of its own, so that it ends also if the client that caused it disconnects.
        tokio::spawn(async move {
            let checked = check_databases(&databases, timeout).await;
            let _ = sender.send(Some((checked.into(), Instant::now())));
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Databases, Duration, Ordering, REUSE_TIME, Readiness};
    use delete_learning::storage::Database;
    use delete_learning::{BoxFuture, Condition, Learning, LearningStore, Outcome, StorageError, StorageErrorKind};
    use std::sync::atomic::AtomicUsize;

    /// Counts its checks.
    #[derive(Default)]
    struct Counts(AtomicUsize);

    fn error() -> StorageError {
        StorageError::new(StorageErrorKind::Internal, "not called")
    }

    impl LearningStore for Counts {
        fn find(&self, _: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
            Box::pin(async { Err(error()) })
        }

        fn delete(&self, _: String, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
            Box::pin(async { Err(error()) })
        }

        fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn result_of_a_check_is_used_again_for_a_moment() {
        let store = Arc::new(Counts::default());
        let checks = || store.0.load(Ordering::Relaxed);
        let (id, table) = ("main".to_owned(), "learnings".to_owned());
        let databases = Databases(vec![Database { id, table, store: Arc::<Counts>::clone(&store) }]);
        let readiness = Readiness::new(databases, Duration::from_secs(20), None);
        for _ in 0..3 {
            assert!(readiness.state().await.is_ready);
        }
        assert_eq!(checks(), 1);
        tokio::time::sleep(REUSE_TIME + Duration::from_millis(50)).await;
        assert!(readiness.state().await.is_ready);
        assert_eq!(checks(), 2);
        readiness.set_stopping();
        assert!(!readiness.state().await.is_ready);
    }
}
