//! The log: how events are filtered and written to standard error. Of the spans, only those of level `warn` and `error` are on
//! its lines: they name what a line is about. The others are for traces.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

/// How the log is written. The keys of `[log]` in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
        text.parse().map_err(invalid)
    }
}

impl Serialize for LogFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self)
    }
}

/// The part of the process's subscriber that writes the log.
pub(super) fn layer<S>(config: LogConfig) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let targets = config.filter.0.with_target("audit", LevelFilter::INFO);
    let is_written = filter_fn(|metadata| !metadata.is_span() || *metadata.level() <= LevelFilter::WARN);
    let filter = targets.and(is_written.with_max_level_hint(LevelFilter::TRACE));
    let layer = match config.format {
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(io::stderr).boxed(),
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            json.with_writer(io::stderr).boxed()
        }
    };
    layer.with_filter(filter)
}
