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
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Sandbox(LoadError),
    /// The policy or a guard cannot be loaded.
    #[error("{key}: {component}: {source}")]
    Component {
        /// The section of the configuration, such as `guards[0]`.
        key: String,
        /// The file of the component, or the default policy.
        component: String,
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
