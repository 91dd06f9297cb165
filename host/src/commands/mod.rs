//! What the binary's commands do.

mod check;
mod demo;
mod serve;

pub(crate) use check::{CheckForm, check};
pub(crate) use demo::demo;
pub(crate) use serve::serve;

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// How a command ends: with a code, or with an error that `main` prints.
type Ended = Result<ExitCode, Box<dyn Error>>;

/// Waits for Ctrl-C or SIGTERM.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
