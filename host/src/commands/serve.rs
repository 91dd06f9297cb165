//! `delete-learning serve`.

use super::{Ended, shutdown_signal};
use crate::logging;
use delete_learning::{Config, Server};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Serves until a signal, then lets requests in flight finish.
pub(crate) async fn serve(path: &Path) -> Ended {
    let config = Config::read(path, &|name| std::env::var(name).ok())?;
    logging::start(config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let policy = config.policy.name.clone();
    let server = Server::bind(config).await?;
    let shutdown = shutdown_signal()?;
    // For whoever started this: from now on a connection is accepted.
    writeln!(std::io::stdout(), "listening on http://{}", server.address())?;
    tracing::info!(address = %server.address(), policy, "listening");
    server
        .run(async {
            shutdown.await;
            tracing::info!("shutting down: no more connections, requests in flight are answered");
        })
        .await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
