//! Errors of a start and of a reload.

use crate::audit::AuditError;
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
    /// The audit log cannot be opened.
    #[error("the audit log cannot be opened: {0}")]
    Audit(#[source] AuditError),
    /// The thread that reloads the policy cannot be started.
    #[error("cannot start the thread that reloads the policy: {0}")]
    ReloadThread(#[source] io::Error),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Why a policy was not put in force. The running one stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy or a guard cannot be loaded.
    #[error(transparent)]
    Load(#[from] StartError),
    /// The policy or a guard violated the contract or a limit.
    #[error("the policy does not withstand the conformance case {case:?}: {violation}")]
    Smoke { case: String, violation: String },
    /// The conformance cases do not have their format.
    #[error("the conformance cases cannot be read: {0}")]
    Cases(#[source] delete_learning::conformance::CaseError),
    /// The compiler, or something else, panicked.
    #[error("a panic occurred while the policy was loaded")]
    Panicked,
}
