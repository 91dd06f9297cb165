//! Errors of a configuration.

use super::origin::Origin;

/// A configuration that is wrong: at which key, where its value comes from, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}{key}{}: {reason}", origin.before_key(), origin.after_key())]
pub struct ConfigError {
    /// Where the wrong value comes from.
    pub origin: Origin,
    /// The key, such as `auth.jwt.algorithm`.
    pub key: String,
    /// The reason and what to do. It never contains a secret.
    pub reason: String,
}
