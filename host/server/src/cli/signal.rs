//! Signals that end a command.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Returns a future that completes at Ctrl-C or SIGTERM.
pub(super) fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
