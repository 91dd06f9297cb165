//! What is counted of requests to delete a learning.

use super::counters::NamedCounters;
use super::histogram::Histogram;
use super::rules::RuleCounters;
use delete_learning::{Credential, Decision, IdentityError, PolicyError, RecordOutcome};
use prometheus_client::metrics::counter::Counter;
use std::time::Duration;

/// The value of the label `rule` if the task of a request failed, so that nothing decided.
pub const REQUEST_FAILED_RULE: &str = "request-failed";

/// The kinds of [`PolicyError`], but the queue timeout, for which no policy is responsible.
const VIOLATIONS: &[&str] = &[
    "trap",
    "execution-timeout",
    "cpu-time-limit",
    "memory-limit",
    "too-many-calls",
    "too-many-bytes",
    "exit",
    "sandbox",
    "false-success",
    "rejected-after-deletion",
    "guard-violation",
    "invalid-rejection",
];

/// The kinds of [`IdentityError`], as in the contract.
const AUTHENTICATION_ERRORS: &[&str] = &[
    "missing",
    "malformed",
    "invalid",
    "expired",
    "wrong-audience",
    "reserved-subject",
    "not-enabled",
    "rate-limited",
    "unavailable",
    "internal",
];

/// What is counted of requests.
pub struct RequestMetrics {
    rules: RuleCounters,
    deleted: Histogram,
    refused: Histogram,
    failed: Histogram,
    decisions: Histogram,
    records: NamedCounters,
    policy_violations: NamedCounters,
    guard_violations: NamedCounters,
    queue_timeouts: Counter,
    jwt_failures: NamedCounters,
    service_account_failures: NamedCounters,
    security_key_failures: NamedCounters,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self {
            rules: RuleCounters::default(),
            deleted: Histogram::of_durations(),
            refused: Histogram::of_durations(),
            failed: Histogram::of_durations(),
            decisions: Histogram::of_durations(),
            records: NamedCounters::new(&["deleted", "not-deleted", "unknown"]),
            policy_violations: NamedCounters::new(VIOLATIONS),
            guard_violations: NamedCounters::new(VIOLATIONS),
            queue_timeouts: Counter::default(),
            jwt_failures: NamedCounters::new(AUTHENTICATION_ERRORS),
            service_account_failures: NamedCounters::new(AUTHENTICATION_ERRORS),
            security_key_failures: NamedCounters::new(AUTHENTICATION_ERRORS),
        }
    }
}

impl RequestMetrics {
    /// Counts a request that was decided: the time of the decision alone, and that since the request was received.
    pub fn record_decision(&self, decision: &Decision, decision_time: Duration, duration: Duration) {
        let status = decision.answer.as_ref().err().map_or(204, |rejection| rejection.status);
        self.rules.increment(decision.rule(), status);
        self.durations_of(status).observe_duration(duration);
        self.decisions.observe_duration(decision_time);
        self.records.increment(decision.record.as_str());
        if let Some(error) = &decision.error {
            self.record_error(error);
        }
    }

    /// Counts a request whose task failed. Whether it deleted the record is unknown.
    pub fn record_failure(&self, duration: Duration) {
        self.rules.increment(REQUEST_FAILED_RULE, 500);
        self.failed.observe_duration(duration);
        self.records.increment(RecordOutcome::Unknown.as_str());
    }

    /// Counts a credential that could not be verified.
    pub fn record_authentication_error(&self, error: &IdentityError) {
        let counters = match error.credential {
            Credential::Jwt => &self.jwt_failures,
            Credential::ServiceAccount => &self.service_account_failures,
            Credential::SecurityKey | Credential::None => &self.security_key_failures,
        };
        counters.increment(error.kind.as_str());
    }

    fn record_error(&self, error: &PolicyError) {
        match error {
            PolicyError::Overloaded => drop(self.queue_timeouts.inc()),
            PolicyError::Guard { error, .. } => self.guard_violations.increment(error.kind()),
            error => self.policy_violations.increment(error.kind()),
        }
    }

    const fn durations_of(&self, status: u16) -> &Histogram {
        match status {
            204 => &self.deleted,
            500.. => &self.failed,
            _ => &self.refused,
        }
    }

    pub(super) const fn rules(&self) -> &RuleCounters {
        &self.rules
    }

    /// The outcomes and the durations of their requests, as in the log.
    pub(super) const fn durations(&self) -> [(&'static str, &Histogram); 3] {
        [("deleted", &self.deleted), ("refused", &self.refused), ("failed", &self.failed)]
    }

    pub(super) const fn decisions(&self) -> &Histogram {
        &self.decisions
    }

    pub(super) const fn records(&self) -> &NamedCounters {
        &self.records
    }

    /// The components and their violations.
    pub(super) const fn violations(&self) -> [(&'static str, &NamedCounters); 2] {
        [("policy", &self.policy_violations), ("guard", &self.guard_violations)]
    }

    pub(super) fn queue_timeouts(&self) -> u64 {
        self.queue_timeouts.get()
    }

    /// The credentials and the errors of their verification.
    pub(super) const fn authentication_errors(&self) -> [(Credential, &NamedCounters); 3] {
        [
            (Credential::Jwt, &self.jwt_failures),
            (Credential::ServiceAccount, &self.service_account_failures),
            (Credential::SecurityKey, &self.security_key_failures),
        ]
    }
}
