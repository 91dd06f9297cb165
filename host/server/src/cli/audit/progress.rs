//! Progress of a command on standard error, if that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time between two updates.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line that is rewritten while a command reads a log.
pub(super) struct ProgressLine {
    is_terminal: bool,
    last: Instant,
    is_visible: bool,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), last: Instant::now(), is_visible: false }
    }

    /// Shows how many entries were read, of how many if that is known.
    pub(super) fn show(&mut self, done: u64, total: Option<u64>) {
        if !self.is_terminal || self.last.elapsed() < INTERVAL {
            return;
        }
        self.last = Instant::now();
        self.is_visible = true;
        let total = total.map_or_else(String::new, |total| format!(" of {total}"));
        let _ = write!(io::stderr(), "\r\x1b[K{done}{total} entries");
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.is_visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
