//! What is measured of a store of learnings and counted of a pool of connections.

use super::counters::NamedCounters;
use super::histogram::Histogram;
use delete_learning::StorageError;
use prometheus_client::metrics::counter::Counter;
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// An operation of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A record is deleted.
    Delete,
    /// A record is read.
    Find,
    /// The table is checked.
    Check,
}

/// The kind of an error, as in the contract, or of an operation whose request stopped waiting.
const ERROR_KINDS: &[&str] = &[
    "invalid-learning-id",
    "unknown-table",
    "unsupported",
    "denied",
    "unavailable",
    "outcome-unknown",
    "internal",
    ABANDONED,
];

/// The kind of an operation whose request stopped waiting, for example because of the execution timeout.
const ABANDONED: &str = "abandoned";

/// What is measured of a store.
pub struct StorageMetrics {
    system: &'static str,
    deletes: Histogram,
    finds: Histogram,
    checks: Histogram,
    errors: NamedCounters,
    batches: Histogram,
}

impl StorageMetrics {
    /// Nothing is measured yet. `system` is what OpenTelemetry calls the database, such as `sqlite`.
    #[must_use]
    pub fn new(system: &'static str) -> Self {
        Self {
            system,
            deletes: Histogram::of_durations(),
            finds: Histogram::of_durations(),
            checks: Histogram::of_durations(),
            errors: NamedCounters::new(ERROR_KINDS),
            batches: Histogram::of_batches(),
        }
    }

    /// Performs an operation in a span of its own, measures its time and counts its error.
    ///
    /// # Errors
    /// That of the operation.
    pub async fn measure<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let mut running = Running { metrics: self, operation, start: Instant::now(), is_complete: false };
        let span = self.span(operation);
        let result = work.instrument(span.clone()).await;
        running.is_complete = true;
        drop(running);
        if let Err(error) = &result {
            span.record("otel.status_code", "ERROR").record("error.type", error.kind.as_str());
            self.errors.increment(error.kind.as_str());
        }
        result
    }

    /// The span of an operation. Its fields are those of OpenTelemetry's conventions for databases. A check belongs to no
    /// request, so it has none.
    fn span(&self, operation: Operation) -> Span {
        let name = match operation {
            Operation::Delete => "DELETE",
            Operation::Find => "SELECT",
            Operation::Check => return Span::none(),
        };
        tracing::debug_span!(
            "storage",
            otel.kind = "client",
            db.system.name = self.system,
            db.operation.name = name,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// Counts a batch: a transaction or a statement with this number of deletes.
    pub fn record_batch(&self, deletes: usize) {
        self.batches.observe(deletes as u64);
    }

    /// The operations and their durations.
    pub(super) const fn durations(&self) -> [(&'static str, &Histogram); 3] {
        [("delete", &self.deletes), ("find", &self.finds), ("check", &self.checks)]
    }

    pub(super) const fn errors(&self) -> &NamedCounters {
        &self.errors
    }

    pub(super) const fn batches(&self) -> &Histogram {
        &self.batches
    }

    const fn durations_of(&self, operation: Operation) -> &Histogram {
        match operation {
            Operation::Delete => &self.deletes,
            Operation::Find => &self.finds,
            Operation::Check => &self.checks,
        }
    }
}

/// An operation in progress. Its time is measured also if it is abandoned.
struct Running<'a> {
    metrics: &'a StorageMetrics,
    operation: Operation,
    start: Instant,
    is_complete: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.durations_of(self.operation).observe_duration(self.start.elapsed());
        if !self.is_complete {
            self.metrics.errors.increment(ABANDONED);
        }
    }
}

/// What is counted of a pool of connections.
pub struct PoolMetrics {
    acquires: Histogram,
    timeouts: Counter,
}

impl Default for PoolMetrics {
    fn default() -> Self {
        Self { acquires: Histogram::of_durations(), timeouts: Counter::default() }
    }
}

impl PoolMetrics {
    /// Counts the time in which a connection was acquired, or could not be opened.
    pub fn record_acquire(&self, duration: Duration) {
        self.acquires.observe_duration(duration);
    }

    /// Counts a request that got no connection within the timeout.
    pub fn record_timeout(&self) {
        self.timeouts.inc();
    }

    pub(super) const fn acquires(&self) -> &Histogram {
        &self.acquires
    }

    pub(super) fn timeouts(&self) -> u64 {
        self.timeouts.get()
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, StorageMetrics};
    use delete_learning::StorageError;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn operation_that_is_dropped_is_counted_as_abandoned_and_measured() {
        let metrics = StorageMetrics::new("sqlite");
        let counts = || {
            let abandoned = metrics.errors().counts().find(|(name, _)| *name == "abandoned").map(|(_, count)| count);
            (abandoned, metrics.finds.value().count)
        };
        let mut context = Context::from_waker(Waker::noop());
        let complete = metrics.measure(Operation::Find, ready(Ok::<(), StorageError>(())));
        assert!(pin!(complete).poll(&mut context).is_ready());
        assert_eq!(counts(), (Some(0), 1));
        let mut dropped = Box::pin(metrics.measure(Operation::Find, pending::<Result<(), StorageError>>()));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        assert_eq!(counts(), (Some(0), 1), "it is in progress");
        drop(dropped);
        assert_eq!(counts(), (Some(1), 2));
    }
}
