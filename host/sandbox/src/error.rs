//! The errors of this crate.

use crate::description::World;
use std::io;
use std::path::PathBuf;
use wasmtime::Trap;

/// A limit that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at least {min}")]
pub struct LimitError {
    /// The name of the limit.
    pub key: &'static str,
    /// Its smallest valid value.
    pub min: u64,
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A limit is too small for any component to run.
    #[error("the limit {key} {0}", key = .0.key)]
    Limit(#[from] LimitError),
    /// The component is larger than `max_component_bytes`.
    #[error("the component has {bytes} bytes, which exceeds max_component_bytes ({max})")]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// The bytes are a core module instead of a component.
    #[error("this is a core WebAssembly module; a policy is a component (wrap it with `wasm-tools component new`)")]
    CoreModule,
    /// The bytes are not a valid component.
    #[error("this is not a valid WebAssembly component: {0:#}")]
    Invalid(#[source] wasmtime::Error),
    /// The component needs more memories, tables or instances than the limits allow.
    #[error("the component exceeds max_memory_bytes, max_table_elements or max_core_instances: {0:#}")]
    ExceedsLimits(#[source] wasmtime::Error),
    /// The component creates more core instances than the limits allow.
    #[error("the component has {instances} core instances, which exceeds max_core_instances ({max})")]
    TooManyCoreInstances {
        /// The number of core instances that it creates itself.
        instances: u32,
        /// The limit.
        max: u32,
    },
    /// The component imports something that no component gets.
    #[error("the component imports {}; a component can import `identity` and `storage` of learnings:plugin@0.1.0, wasi:config/store@0.2.0-rc.1, and the interfaces of WASI 0.2 that it is granted", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// The component imports interfaces that it is not granted.
    #[error("the component imports {}, which it is not granted; to grant it, set: grants = [{}]", missing.join(", "), quoted(needed))]
    NotGranted {
        /// The imports that are not granted.
        missing: Vec<String>,
        /// All imports that need a grant.
        needed: Vec<String>,
    },
    /// An interface that cannot be granted.
    #[error(
        "{0:?} cannot be granted; an interface of WASI 0.2 can, by the exact name that the component imports, such as \"wasi:clocks/wall-clock@0.2.0\""
    )]
    UnknownGrant(String),
    /// The component implements the other world of the contract.
    #[error("the component is a {}, not a {}", found.as_str(), expected.as_str())]
    WrongWorld {
        /// The world that it must implement.
        expected: World,
        /// The world that it implements.
        found: World,
    },
    /// The component does not implement the contract.
    #[error("the component does not implement the world `{}` of learnings:plugin@0.1.0: {source:#}", world.as_str())]
    IncompatibleWorld {
        /// The world that it must implement.
        world: World,
        /// The mismatch.
        source: wasmtime::Error,
    },
    /// There are more guards than `max_guards`.
    #[error("there are {guards} guards, which exceeds max_guards ({max})")]
    TooManyGuards {
        /// The number of guards.
        guards: usize,
        /// The limit.
        max: u32,
    },
    /// A guard was loaded by another sandbox than the policy.
    #[error("the guard {0:?} was loaded by another sandbox")]
    GuardOfOtherSandbox(String),
    /// wasmtime cannot be set up on this machine.
    #[error("cannot set up the sandbox: {0:#}")]
    Engine(#[source] wasmtime::Error),
    /// The ticker thread cannot be started.
    #[error("cannot start the ticker thread of the sandbox: {0}")]
    Thread(#[source] io::Error),
}

/// Why the file of a policy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is too large.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Why a directory cannot cache compiled policies.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be used or created.
    #[error("{}: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The reason of the operating system.
        source: io::Error,
    },
    /// Another user could put code into the directory.
    #[error("{} belongs to another user, or others can write to it; compiled code is read only from a private directory", directory.display())]
    NotPrivate {
        /// The directory.
        directory: PathBuf,
    },
    /// This operating system does not report who can write to the directory.
    #[error("this operating system does not report who can write to {}", directory.display())]
    Unsupported {
        /// The directory.
        directory: PathBuf,
    },
}

/// Why a policy did not run to a valid result. The caller was answered 500, or 503 for [`Overloaded`](Self::Overloaded).
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trapped(Trap),
    /// It exceeded `execution_timeout_ms`.
    #[error("it exceeded the execution timeout")]
    ExecutionTimeout,
    /// It exceeded `cpu_time_limit_ms`.
    #[error("it exceeded the CPU time limit")]
    CpuTimeLimit,
    /// It exceeded `max_host_calls` or `max_wasi_calls`.
    #[error("it called the host too often")]
    TooManyCalls,
    /// It exceeded `max_host_call_bytes`.
    #[error("it passed too many bytes to the host")]
    TooManyBytes,
    /// It exited instead of returning.
    #[error("it exited with status {0} instead of returning")]
    Exited(i32),
    /// It needs more memory or table elements to start than the limits allow.
    #[error("it needs more memory or table elements than the limits allow")]
    ExceedsLimits,
    /// The sandbox stopped it for another reason: a value that the contract does not have, a pointer outside its memory,
    /// too many bytes in one call, or too many handles.
    #[error("it failed in the sandbox: {0:#}")]
    Sandbox(wasmtime::Error),
    /// It returned success although storage deleted nothing.
    #[error("it reported a deletion that did not happen")]
    FalseSuccess,
    /// It returned a rejection although storage deleted the record.
    #[error("it rejected the request after deleting the record, by the rule {rule:?}")]
    RejectedAfterDeletion {
        /// The rule of the rejection.
        rule: String,
    },
    /// It is a guard, and violated a rule of guards (`wit/world.wit`). What it returned was not used.
    #[error("it violated a rule of guards: {reason}")]
    GuardViolation {
        /// The violation.
        reason: &'static str,
    },
    /// One of the policy's guards failed.
    #[error("the guard {name:?} failed: {error}")]
    Guard {
        /// The name of the guard.
        name: String,
        /// How it failed.
        error: Box<PolicyError>,
    },
    /// It returned a rejection that violates the contract.
    #[error("its rejection violates the contract: {reason}")]
    InvalidRejection {
        /// The violation.
        reason: &'static str,
    },
    /// It did not run: no permit was free within `queue_timeout_ms`. The caller was answered 503.
    #[error("no sandbox instance was free within the queue timeout")]
    Overloaded,
}

impl PolicyError {
    /// The name of the error; of an error of a guard, that of the guard's. It contains nothing that a component wrote.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trapped(_) => "trap",
            Self::ExecutionTimeout => "execution-timeout",
            Self::CpuTimeLimit => "cpu-time-limit",
            Self::TooManyCalls => "too-many-calls",
            Self::TooManyBytes => "too-many-bytes",
            Self::Exited(_) => "exit",
            Self::ExceedsLimits => "memory-limit",
            Self::Sandbox(_) => "sandbox",
            Self::FalseSuccess => "false-success",
            Self::RejectedAfterDeletion { .. } => "rejected-after-deletion",
            Self::GuardViolation { .. } => "guard-violation",
            Self::Guard { error, .. } => error.kind(),
            Self::InvalidRejection { .. } => "invalid-rejection",
            Self::Overloaded => "queue-timeout",
        }
    }

    /// Whether the policy or a guard exceeded a limit of time. On a busy machine one that uses little can exceed it too.
    #[must_use]
    pub fn is_time_limit(&self) -> bool {
        match self {
            Self::ExecutionTimeout | Self::CpuTimeLimit => true,
            Self::Guard { error, .. } => error.is_time_limit(),
            _ => false,
        }
    }
}

/// Stops a policy that exceeds `cpu_time_limit_ms`.
#[derive(Debug, thiserror::Error)]
#[error("the policy exceeded the CPU time limit")]
pub(crate) struct CpuTimeExceeded;

/// Stops a policy that exceeds `max_host_calls` or `max_wasi_calls`.
#[derive(Debug, thiserror::Error)]
#[error("the policy called the host too often")]
pub(crate) struct TooManyCalls;

/// Stops a policy that exceeds `max_host_call_bytes`.
#[derive(Debug, thiserror::Error)]
#[error("the policy passed too many bytes to the host")]
pub(crate) struct TooManyBytes;

/// The names as a list of TOML strings.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::PolicyError;

    #[test]
    fn guard_that_exceeds_a_limit_of_time_exceeds_it_for_the_policy() {
        let of_guard = |error| PolicyError::Guard { name: "g".to_owned(), error: Box::new(error) };
        assert!(PolicyError::ExecutionTimeout.is_time_limit() && of_guard(PolicyError::CpuTimeLimit).is_time_limit());
        assert!(!PolicyError::TooManyCalls.is_time_limit() && !of_guard(PolicyError::TooManyCalls).is_time_limit());
    }
}
