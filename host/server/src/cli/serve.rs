//! `delete-learning serve`.

use super::CommandResult;
use super::signal::shutdown_signal;
use delete_learning_server::{Config, app, telemetry};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Serves until a signal, then drains the requests in flight.
pub(super) async fn serve(path: &Path) -> CommandResult {
    let config = Config::read(path, &|name| std::env::var(name).ok())?;
    telemetry::init(config.log.clone());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let policy = config.policy.name();
    let server = app::bind(config).await?;
    let shutdown = shutdown_signal()?;
    // Whoever started this process can connect from now on.
    writeln!(std::io::stdout(), "listening on http://{}", server.address())?;
    tracing::info!(address = %server.address(), policy, "listening");
    server
        .run(async {
            shutdown.await;
            tracing::info!("shutting down; draining requests in flight");
        })
        .await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
