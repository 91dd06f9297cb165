//! Signals that end a command, or reload its policy.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// SIGHUP, which requests a reload. It no longer ends the process once this exists.
pub(super) struct ReloadSignal(Signal);

impl ReloadSignal {
    pub(super) fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next signal. Signals since the last one count as one.
    pub(super) async fn recv(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
