//! Traces: the spans of requests, sent to a collector.
//!
//! What is to be traced has a span of `tracing`, here and in the sandbox, which costs nothing while nobody collects it. With the
//! feature `otlp`, `exporter.rs` collects the spans and sends them with OTLP, and `propagation.rs` continues the trace of a client.

mod config;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod propagation;

pub use config::TracesConfig;

#[cfg(feature = "otlp")]
pub(super) use exporter::Traces;
#[cfg(feature = "otlp")]
pub use exporter::TracesError;
#[cfg(feature = "otlp")]
pub use propagation::continue_trace;

/// Whether this program was built to send traces.
pub const IS_SUPPORTED: bool = cfg!(feature = "otlp");

/// Without the feature `otlp` no trace is continued.
#[cfg(not(feature = "otlp"))]
pub const fn continue_trace(_span: &tracing::Span, _headers: &hyper::HeaderMap) -> Option<String> {
    None
}
