//! How events are written: text or JSON, on standard error.

use delete_learning::config::{Log, LogFormat, LogLevel};
use std::io;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

/// Writes events from now on. Audit records are written whatever the level: silencing the log does not silence them.
pub(crate) fn start(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Of the libraries underneath only what goes wrong.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets([("delete_learning", level), ("request", level), ("policy", level)])
        .with_target("audit", LevelFilter::INFO);
    let layer = match log.format {
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(io::stderr).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets));
    // It fails only where somebody set another one before; this is the first thing that the process does.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
