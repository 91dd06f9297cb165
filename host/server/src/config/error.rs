//! Errors of a configuration.

use std::path::PathBuf;

/// A configuration that is wrong: in which file, at which key, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {key}: {reason}", file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The key, such as `auth.jwt.algorithm`.
    pub key: String,
    /// The reason and what to do. It never contains a secret.
    pub reason: String,
}
