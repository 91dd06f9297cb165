//! The log: how events are filtered and written to standard error.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::io;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

/// How the log is written. The keys of `[log]` in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The format of a line.
    pub format: LogFormat,
    /// The events to write: a level such as `info`, or a level for each target, such as `warn,delete_learning=debug`.
    /// Audit events are always written.
    pub filter: LogFilter,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: LogFilter(Targets::new().with_default(LevelFilter::INFO)) }
    }
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Which events are written.
#[derive(Clone, Debug)]
pub struct LogFilter(Targets);

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = |_| {
            D::Error::custom(format!("{text:?} is not a filter such as \"info\" or \"warn,delete_learning=debug\""))
        };
        text.parse().map(Self).map_err(invalid)
    }
}

/// Installs the log for the whole process. Call it once, before anything is logged.
pub fn init(config: LogConfig) {
    let targets = config.filter.0.with_target("audit", LevelFilter::INFO);
    let layer = match config.format {
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(io::stderr).boxed(),
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            json.with_writer(io::stderr).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets));
    // It fails only if another subscriber is installed already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
