//! What the server reports about itself: its log, its metrics and its traces. It is the lowest layer: other modules call it.

mod log;
pub mod metrics;
pub mod traces;

pub use log::{LogConfig, LogFilter, LogFormat};
pub use metrics::MetricsConfig;
pub use traces::TracesConfig;
#[cfg(feature = "otlp")]
pub use traces::TracesError;

use tracing_subscriber::layer::SubscriberExt;

/// The log and the traces of this process.
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    traces: Option<traces::Traces>,
}

/// What can prevent the start of the traces: nothing, without the feature `otlp`.
#[cfg(not(feature = "otlp"))]
pub type TracesError = std::convert::Infallible;

/// Installs the log and the traces for the whole process. Call it once, before anything is logged. Without the feature `otlp`,
/// `traces` has no effect.
///
/// # Errors
/// [`TracesError`] if traces cannot be sent, whatever the collector answers.
pub fn init(log: LogConfig, traces: Option<&TracesConfig>) -> Result<Telemetry, TracesError> {
    let subscriber = tracing_subscriber::registry().with(log::layer(log));
    #[cfg(feature = "otlp")]
    let telemetry = Telemetry { traces: traces.map(traces::Traces::start).transpose()? };
    #[cfg(not(feature = "otlp"))]
    let (telemetry, _) = (Telemetry {}, traces);
    // It fails only if another subscriber is installed already.
    #[cfg(feature = "otlp")]
    if let Some(traces) = &telemetry.traces {
        let _ = tracing::subscriber::set_global_default(subscriber.with(traces.layer()));
        return Ok(telemetry);
    }
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(telemetry)
}

impl Telemetry {
    /// Sends the spans that are left. Waits at most five seconds.
    pub fn shutdown(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.shutdown();
        }
    }
}
