//! What is known of a request from its head, for the log and the trace.

use super::request_id::RequestId;
use crate::telemetry::traces;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// Writes an access line: the one line that every request has in the log. A query can contain a token, so it is left out.
macro_rules! access_line {
    ($target:literal, $request:expr, $status:expr, $duration:expr $(, $field:ident)*) => {
        tracing::info!(
            target: $target,
            client = %$request.client,
            method = $request.method.as_str(),
            path = $request.uri.path(),
            status = $status,
            $($field,)*
            duration_us = u64::try_from($duration.as_micros()).unwrap_or(u64::MAX),
        )
    };
}

/// What is known of a request from its head.
pub(super) struct RequestContext {
    pub(super) id: RequestId,
    /// The address of the client, perhaps from a trusted proxy.
    pub(super) client: IpAddr,
    pub(super) received: Instant,
    method: Method,
    uri: Uri,
}

/// What the access line of a request to delete has in addition.
pub(super) struct DeleteSummary<'a> {
    /// The id of the record, if it can name one.
    pub(super) learning_id: Option<&'a str>,
    /// `deleted`, `refused` or `failed`.
    pub(super) outcome: &'static str,
    /// The rule that decided.
    pub(super) rule: &'a str,
}

/// The spans of a request: what is on its log lines, and what is in its trace.
pub(super) struct RequestSpans {
    log: Span,
    trace: Span,
}

impl RequestSpans {
    /// Runs a part of the request in both.
    pub(super) fn run<F: Future>(&self, part: F) -> impl Future<Output = F::Output> + use<F> {
        part.instrument(self.trace.clone()).instrument(self.log.clone())
    }

    /// Calls a function in both.
    pub(super) fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
        self.log.in_scope(|| self.trace.in_scope(function))
    }
}

impl RequestContext {
    pub(super) fn new(head: &Parts, id: RequestId, client: IpAddr, received: Instant) -> Self {
        Self { id, client, received, method: head.method.clone(), uri: head.uri.clone() }
    }

    /// Begins the spans of a request to delete, in the client's trace if it has one.
    pub(super) fn spans(&self, head: &Parts) -> RequestSpans {
        let log = self.log_span();
        // The fields are those of OpenTelemetry's conventions for HTTP.
        let trace = tracing::info_span!(
            parent: &log,
            "request",
            otel.name = "DELETE /learnings/{learning_id}",
            otel.kind = "server",
            http.request.method = "DELETE",
            http.route = "/learnings/{learning_id}",
            http.response.status_code = Empty,
            url.path = self.uri.path(),
            client.address = %self.client,
            request_id = self.id.as_str(),
            error.type = Empty,
            otel.status_code = Empty,
        );
        if let Some(trace_id) = traces::continue_trace(&trace, &head.headers) {
            log.record("trace_id", trace_id);
        }
        RequestSpans { log, trace }
    }

    /// The span of the log lines of this request. It is of the highest level, so that every line has the id, whatever the log
    /// level is.
    fn log_span(&self) -> Span {
        tracing::error_span!("request", request_id = self.id.as_str(), trace_id = Empty)
    }

    /// Writes the access line of a request to delete, in whose span it is called.
    pub(super) fn log_delete(&self, status: u16, summary: DeleteSummary<'_>, duration: Duration) {
        let DeleteSummary { learning_id, outcome, rule } = summary;
        access_line!("request", self, status, duration, learning_id, outcome, rule);
    }

    /// Writes the access line of another request that is answered now. Those of monitors have a target of their own, so that the
    /// log can be without them.
    pub(super) fn log_other(&self, status: StatusCode, is_of_monitor: bool) {
        let (status, duration) = (status.as_u16(), self.received.elapsed());
        self.log_span().in_scope(|| {
            if is_of_monitor {
                access_line!("request::monitor", self, status, duration);
            } else {
                access_line!("request", self, status, duration);
            }
        });
    }
}
