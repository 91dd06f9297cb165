//! `delete-learning serve`.

use super::CommandResult;
use super::signal::{ReloadSignal, shutdown_signal};
use super::systemd::{self, ServiceManager, State};
use delete_learning_server::audit::describe_guards;
use delete_learning_server::config::ConfigError;
use delete_learning_server::{Config, Environment, app, telemetry};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Reads the configuration: the file, if there is one, and the environment.
pub(super) fn read_config(path: Option<&Path>) -> Result<Config, ConfigError> {
    let environment = Environment::of_process();
    path.map_or_else(|| Config::from_environment(&environment), |path| Config::read(path, &environment))
}

/// Serves until a signal, then drains the requests in flight. SIGHUP reloads the policy and its guards.
pub(super) async fn serve(path: Option<&Path>) -> CommandResult {
    let path = path.map(Path::to_owned);
    let read_config = move || read_config(path.as_deref());
    let config = read_config()?;
    let telemetry = telemetry::init(config.log.clone(), config.traces.as_ref())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let policy = config.policy.name();
    let mut reload = ReloadSignal::listen()?;
    let (listen, socket) = (config.http.listen, systemd::inherited_socket()?);
    let is_inherited = socket.is_some();
    let (server, reloader) = app::bind_with_reloader(config, socket, read_config).await?;
    if is_inherited && server.address() != listen {
        tracing::warn!(server.listen = %listen, address = %server.address(), "the socket of the service manager replaces server.listen");
    }
    let shutdown = shutdown_signal()?;
    // Whoever started this process can connect from now on.
    writeln!(std::io::stdout(), "listening on http://{}", server.address())?;
    let digests = reloader.digests();
    let metrics_address = server.metrics_address().map(tracing::field::display);
    tracing::info!(
        address = %server.address(),
        metrics_address,
        policy,
        policy_sha256 = %digests.policy,
        guards_sha256 = describe_guards(&digests.guards),
        "listening"
    );
    let manager = ServiceManager::from_environment();
    manager.notify(State::Ready).await;
    let serving = server.run(async {
        shutdown.await;
        manager.notify(State::Stopping).await;
        tracing::info!("shutting down; draining requests in flight");
    });
    let reloading = async {
        loop {
            reload.recv().await;
            manager.notify(State::Reloading).await;
            reloader.request().await;
            manager.notify(State::Ready).await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = reloading => {}
        () = manager.feed_watchdog() => {}
    }
    telemetry.shutdown();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
