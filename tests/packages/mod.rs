//! What packages install: the service under systemd, completions, manual pages, the health command, and nginx in front.
//!
//! `tests/packages/run` builds the packages and installs them.

mod command_line;
mod nginx;
mod systemd;
