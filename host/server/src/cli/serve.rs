//! `delete-learning serve`.

use super::CommandResult;
use super::signal::{ReloadSignal, shutdown_signal};
use delete_learning_server::audit::describe_guards;
use delete_learning_server::{Config, app, telemetry};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Serves until a signal, then drains the requests in flight. SIGHUP reloads the policy and its guards.
pub(super) async fn serve(path: &Path) -> CommandResult {
    let path = path.to_owned();
    let read_config = move || Config::read(&path, &|name| std::env::var(name).ok());
    let config = read_config()?;
    telemetry::init(config.log.clone());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let policy = config.policy.name();
    let mut reload = ReloadSignal::listen()?;
    let (server, reloader) = app::bind_with_reloader(config, read_config).await?;
    let shutdown = shutdown_signal()?;
    // Whoever started this process can connect from now on.
    writeln!(std::io::stdout(), "listening on http://{}", server.address())?;
    let digests = reloader.digests();
    tracing::info!(
        address = %server.address(),
        policy,
        policy_sha256 = %digests.policy,
        guards_sha256 = describe_guards(&digests.guards),
        "listening"
    );
    let serving = server.run(async {
        shutdown.await;
        tracing::info!("shutting down; draining requests in flight");
    });
    let reloading = async {
        loop {
            reload.recv().await;
            reloader.request();
        }
    };
    tokio::select! {
        () = serving => {}
        () = reloading => {}
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
