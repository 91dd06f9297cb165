//! Continues the trace of a client (W3C Trace Context): the header `traceparent` has the trace and the client's span.

use hyper::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes the span a part of the client's trace, if the headers have one that is valid. Returns the id of its trace, or of the
/// one that the span begins; `None` if it is in none.
pub fn continue_trace(span: &Span, headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let client = match (values.next(), values.next()) {
        (Some(value), None) if is_complete(value.as_bytes()) => {
            Some(TraceContextPropagator::new().extract(&HeaderExtractor(headers)))
        }
        // Nobody knows which of several is the right one.
        _ => None,
    };
    if span.is_disabled() {
        return client
            .map(|context| context.span().span_context().trace_id())
            .filter(is_valid)
            .map(|id| id.to_string());
    }
    if let Some(context) = client.filter(|context| context.span().span_context().is_valid()) {
        // It fails only for a span that has begun, which this one has not.
        let _ = span.set_parent(context);
    }
    Some(span.context().span().span_context().trace_id()).filter(is_valid).map(|id| id.to_string())
}

/// Whether a value of version 0 has the length that the version requires, which the library does not check.
fn is_complete(value: &[u8]) -> bool {
    value.len() == 55 || !value.starts_with(b"00-")
}

fn is_valid(id: &opentelemetry::TraceId) -> bool {
    *id != opentelemetry::TraceId::INVALID
}
