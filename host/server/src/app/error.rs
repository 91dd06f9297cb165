//! Errors of a start and of a reload.

use crate::audit::AuditError;
use crate::config::{ConfigError, Origin};
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
    #[error("{key} ({origin}): {component}: {source}")]
    Component {
        /// The key of the component, such as `guards[0].component`.
        key: String,
        /// Where it is configured.
        origin: Origin,
        /// The file of the component, or the default policy.
        component: String,
        /// The reason.
        source: Box<LoadError>,
    },
    /// The audit log cannot be opened.
    #[error("audit.directory ({origin}): the audit log cannot be opened: {source}")]
    Audit {
        /// Where its directory is configured.
        origin: Origin,
        /// The reason.
        source: AuditError,
    },
    /// The thread that reloads the policy cannot be started.
    #[error("cannot start the thread that reloads the policy: {0}")]
    ReloadThread(#[source] io::Error),
    /// The address cannot be bound.
    #[error("{key} = {address} ({origin}): {source}; {}", listen_advice(.source))]
    Listen {
        /// The key of the address, such as `server.listen`.
        key: &'static str,
        /// Where the address is configured.
        origin: Origin,
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// What to do about an address that cannot be bound.
fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that listens there (`ss -ltnp` shows it), or set another port",
        io::ErrorKind::AddrNotAvailable => "set an address of this machine, or 0.0.0.0 for all of them",
        io::ErrorKind::PermissionDenied => "set a port from 1024 on, or permit the lower one (CAP_NET_BIND_SERVICE)",
        _ => "set another address",
    }
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

#[cfg(test)]
mod tests {
    use super::listen_advice;
    use std::io;

    #[test]
    fn each_reason_why_an_address_cannot_be_bound_has_its_advice() {
        for (kind, part) in [
            (io::ErrorKind::AddrInUse, "stop the program"),
            (io::ErrorKind::AddrNotAvailable, "an address of this machine"),
            (io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (io::ErrorKind::Other, "set another address"),
        ] {
            assert!(listen_advice(&kind.into()).contains(part), "{kind}");
        }
    }
}
