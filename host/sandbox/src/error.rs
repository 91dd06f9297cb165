//! The errors of this crate.

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

/// Why a component cannot be loaded as a policy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
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
    /// The component imports something that no policy gets.
    #[error("the component imports {}; a policy can import only `identity` and `storage` of learnings:plugin@0.1.0", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// The component imports WASI, which is not enabled.
    #[error("the component imports {}; WASI is off unless the configuration has `enabled = true` under `[wasi]`", .0.join(", "))]
    WasiDisabled(Vec<String>),
    /// The component does not implement the contract.
    #[error("the component does not implement the world `policy` of learnings:plugin@0.1.0: {0:#}")]
    IncompatibleWorld(#[source] wasmtime::Error),
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
    /// It called a WASI function that the operator does not grant.
    #[error("{0}")]
    NotGranted(WasiNotGranted),
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

/// A call to WASI that the operator does not grant. It stops the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WasiNotGranted {
    /// A clock or a timer.
    #[error("it called a clock, which needs `clocks = true` under `[wasi]`")]
    Clocks,
    /// Random bytes.
    #[error("it called the random number generator, which needs `random = true` under `[wasi]`")]
    Random,
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
