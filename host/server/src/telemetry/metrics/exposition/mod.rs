//! The metrics as text: their names, labels and descriptions.

mod databases;

use crate::telemetry::metrics::families::{Families, Labels};
use crate::telemetry::metrics::sources::{AuditState, InUse, PolicyState, ReadyState, Sources};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The type of the text: version 0.0.4 of the text format of Prometheus.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

impl Sources {
    /// Returns the metrics as text.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn encode(self: &Arc<Self>, ready: ReadyState) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape { sources: Arc::clone(self), ready }));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// One scrape.
struct Scrape {
    sources: Arc<Sources>,
    ready: ReadyState,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.write_process(&mut families)?;
        self.write_requests(&mut families)?;
        self.write_credentials(&mut families)?;
        if let Some(policy) = &self.sources.policy {
            write_policy(&mut families, &policy())?;
        }
        databases::write(&mut families, &self.sources.databases, &self.ready)?;
        if let Some(audit) = &self.sources.audit {
            write_audit(&mut families, audit())?;
        }
        Ok(())
    }
}

impl Scrape {
    fn write_process(&self, families: &mut Families<'_>) -> fmt::Result {
        families.fractional_gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970-01-01T00:00:00Z",
            seconds(self.sources.start),
        )?;
        families.info(
            "delete_learning_build_info",
            "The version of the server",
            &vec![("version", env!("CARGO_PKG_VERSION"))],
        )?;
        families.gauge(
            "delete_learning_ready",
            "Whether the server is ready (1), as GET /readyz reports it",
            [none(u64::from(self.ready.is_ready))],
        )?;
        let InUse { used, max } = (self.sources.connections)();
        families.gauge("delete_learning_http_connections", "Connections of HTTP clients", [none(used as u64)])?;
        families.gauge("delete_learning_http_connections_max", "server.max_connections", [none(max as u64)])
    }

    fn write_requests(&self, families: &mut Families<'_>) -> fmt::Result {
        let requests = &self.sources.requests;
        families.counter(
            "delete_learning_requests_total",
            "Requests to delete a learning, by the status of the response and the rule that decided",
            requests.rules().counts().map(|(rule, status, count)| (vec![("status", status), ("rule", rule)], count)),
        )?;
        families.histogram(
            "delete_learning_request_duration_seconds",
            "Time from the head of a request to its decision, with authentication, storage and audit log",
            requests.durations().map(|(outcome, histogram)| (vec![("outcome", outcome)], histogram)),
        )?;
        families.histogram(
            "delete_learning_decision_duration_seconds",
            "Time of the policy, with its wait for an instance and its calls to storage",
            [(Labels::new(), requests.decisions())],
        )?;
        families.counter(
            "delete_learning_records_total",
            "Decisions by what happened to the record",
            requests.records().counts().map(|(outcome, count)| (vec![("outcome", outcome)], count)),
        )?;
        families.counter(
            "delete_learning_policy_violations_total",
            "Decisions in which the policy or a guard exceeded a limit or violated the contract",
            requests.violations().into_iter().flat_map(|(component, counters)| {
                counters.counts().map(move |(kind, count)| (vec![("component", component), ("kind", kind)], count))
            }),
        )?;
        families.counter(
            "delete_learning_queue_timeouts_total",
            "Requests that got no instance within sandbox.queue_timeout_ms",
            [none(requests.queue_timeouts())],
        )
    }

    fn write_credentials(&self, families: &mut Families<'_>) -> fmt::Result {
        families.counter(
            "delete_learning_authentication_errors_total",
            "Requests whose credential could not be verified, by the expected kind of credential and the kind of error",
            self.sources.requests.authentication_errors().into_iter().flat_map(|(credential, counters)| {
                let labels = move |kind| vec![("credential", credential.as_str()), ("kind", kind)];
                counters.counts().map(move |(kind, count)| (labels(kind), count))
            }),
        )?;
        families.counter(
            "delete_learning_credential_cache_requests_total",
            "Credentials that were looked up in the cache of verified ones",
            self.sources.caches.iter().flat_map(|(credential, metrics)| {
                let labels = |result| vec![("credential", credential.as_str()), ("result", result)];
                metrics.counts().map(|(result, count)| (labels(result), count))
            }),
        )
    }
}

fn write_policy(families: &mut Families<'_>, policy: &PolicyState) -> fmt::Result {
    let guards = policy.guards.to_string();
    families.info(
        "delete_learning_policy_info",
        "The SHA-256 of the policy in force, and the number of its guards",
        &vec![("sha256", policy.sha256.as_str()), ("guards", guards.as_str())],
    )?;
    families.counter(
        "delete_learning_policy_reloads_total",
        "Reloads of the policy and its guards since the start",
        [("ok", policy.reloads), ("failed", policy.failed_reloads)]
            .map(|(result, count)| (vec![("result", result)], count)),
    )?;
    families.gauge(
        "delete_learning_policy_last_reload_successful",
        "Whether the last reload succeeded (1), or there was none",
        [none(u64::from(!policy.last_reload_failed))],
    )?;
    families.fractional_gauge(
        "delete_learning_policy_loaded_timestamp_seconds",
        "When the policy in force was loaded, in seconds since 1970-01-01T00:00:00Z",
        seconds(policy.loaded),
    )?;
    families.gauge(
        "delete_learning_instances",
        "Instances in use; a policy and its guards are one",
        [none(policy.instances.used as u64)],
    )?;
    families.gauge(
        "delete_learning_instances_max",
        "sandbox.max_concurrent_instances",
        [none(policy.instances.max as u64)],
    )
}

fn write_audit(families: &mut Families<'_>, audit: AuditState) -> fmt::Result {
    families.gauge(
        "delete_learning_audit_failing",
        "Whether the last write or sync of the audit log failed (1), so that deletions are refused",
        [none(u64::from(audit.is_failing))],
    )?;
    families.counter(
        "delete_learning_audit_entries_total",
        "Entries of the audit log since it was created",
        [none(audit.entries)],
    )?;
    families.gauge(
        "delete_learning_audit_unsynced_entries",
        "Entries of the audit log that are not on disk for certain",
        [none(audit.unsynced)],
    )?;
    families.gauge(
        "delete_learning_audit_unpublished_entries",
        "Entries of the audit log that no published checkpoint covers",
        [none(audit.unpublished)],
    )?;
    families.counter(
        "delete_learning_audit_dropped_decisions_total",
        "Refusals since the start that exceeded audit.max_refusal_bytes and were only counted",
        [none(audit.dropped)],
    )
}

/// A sample without labels.
const fn none(value: u64) -> (Labels<'static>, u64) {
    (Labels::new(), value)
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
