//! Errors of a start.

use crate::config::ConfigError;
use delete_learning::LoadError;
use std::io;
use std::net::SocketAddr;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something that the configuration names cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy cannot be loaded.
    #[error("{policy}: {source}")]
    Policy {
        /// The file of the policy, or the default policy.
        policy: String,
        /// The reason.
        source: LoadError,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}
