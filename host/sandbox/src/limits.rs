//! The limits of the sandbox.

use crate::error::LimitError;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Limits of the sandbox and of each policy instance. The keys of `[sandbox]` in a server configuration.
///
/// The contract itself limits a rejection: a detail of at most 1024 bytes and a rule of at most 64 (`wit/types.wit`).
///
/// Start from the defaults and set what differs:
///
/// ```
/// use delete_learning::Limits;
///
/// let limits = Limits::default().max_concurrent_instances(32).execution_timeout_ms(2_000);
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum size of a policy component in bytes. A larger component is refused before it is parsed.
    pub max_component_bytes: usize,
    /// Maximum number of policies that run at once, each with its guards. A further request waits for a permit.
    pub max_concurrent_instances: u32,
    /// Maximum number of guards in front of the storage. The pool has room for a policy and this many guards for each
    /// permit, so that a request that has a permit never waits for an instance.
    pub max_guards: u32,
    /// Milliseconds that a request waits for a permit before it is answered 503.
    pub queue_timeout_ms: u64,
    /// Milliseconds from the start of a policy to its result, guards and storage calls included. Exceeding it is
    /// answered 500.
    pub execution_timeout_ms: u64,
    /// Milliseconds of CPU time that an instance can use, calls to the host excluded. Exceeding it is answered 500.
    ///
    /// CPU time is counted in ticks of a twenty-fifth of this limit, which is its precision. A policy that has used two
    /// ticks, or one of whose guards has, continues on a low-priority thread together with its guards; what they use
    /// there counts for each of them. There are as many such threads as processors; a policy that waits
    /// `queue_timeout_ms` for one is stopped.
    pub cpu_time_limit_ms: u64,
    /// Maximum bytes of linear memory of an instance, all its memories together. Growing beyond fails in the policy.
    pub max_memory_bytes: usize,
    /// Maximum elements of the tables of an instance together. Growing beyond fails in the policy. It is also the
    /// maximum number of resource handles; one more is answered 500.
    pub max_table_elements: usize,
    /// Maximum bytes of stack of an instance. Exceeding it traps and is answered 500.
    pub max_stack_bytes: usize,
    /// Maximum number each of core instances, memories and tables of a component. A component with more is refused when
    /// it is loaded.
    pub max_core_instances: u32,
    /// Maximum number of calls of an instance to `identity` and `storage` in one request. One more is answered 500.
    ///
    /// The last of several guards makes the most calls: the reads of all guards before it, again after each change of the
    /// record. For four guards of the SDK that retry three times these are 36.
    pub max_host_calls: u32,
    /// Maximum bytes that an instance can pass to the host in one request: strings in calls, the rejection, and output.
    /// It also limits everything that one call copies. Exceeding it is answered 500.
    pub max_host_call_bytes: usize,
    /// Maximum number of calls to WASI in one request. One more is answered 500.
    pub max_wasi_calls: u32,
    /// Maximum bytes of standard output and standard error that are captured for the log in one request. Further bytes
    /// are counted and dropped.
    pub max_captured_output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_component_bytes: 16 * 1024 * 1024,
            max_concurrent_instances: 256,
            max_guards: 4,
            queue_timeout_ms: 2_000,
            execution_timeout_ms: 10_000,
            cpu_time_limit_ms: 100,
            max_memory_bytes: 16 * 1024 * 1024,
            max_table_elements: 10_000,
            max_stack_bytes: 256 * 1024,
            max_core_instances: 16,
            max_host_calls: 64,
            max_host_call_bytes: 64 * 1024,
            max_wasi_calls: 1000,
            max_captured_output_bytes: 4096,
        }
    }
}

/// Implements a method for each limit that sets it.
macro_rules! setters {
    ($($limit:ident: $type:ty),+ $(,)?) => {
        impl Limits {$(
            #[doc = concat!("Sets [`", stringify!($limit), "`](Self#structfield.", stringify!($limit), ").")]
            #[must_use]
            pub const fn $limit(mut self, value: $type) -> Self {
                self.$limit = value;
                self
            }
        )+}
    };
}

setters! {
    max_component_bytes: usize,
    max_concurrent_instances: u32,
    max_guards: u32,
    queue_timeout_ms: u64,
    execution_timeout_ms: u64,
    cpu_time_limit_ms: u64,
    max_memory_bytes: usize,
    max_table_elements: usize,
    max_stack_bytes: usize,
    max_core_instances: u32,
    max_host_calls: u32,
    max_host_call_bytes: usize,
    max_wasi_calls: u32,
    max_captured_output_bytes: usize,
}

impl Limits {
    /// Checks that every limit is large enough for a policy to run.
    ///
    /// # Errors
    /// The first limit that is too small.
    pub fn validate(&self) -> Result<(), LimitError> {
        for (key, value, min) in [
            ("max_component_bytes", self.max_component_bytes as u64, 1),
            ("max_concurrent_instances", self.max_concurrent_instances.into(), 1),
            ("execution_timeout_ms", self.execution_timeout_ms, 1),
            ("cpu_time_limit_ms", self.cpu_time_limit_ms, 1),
            ("max_memory_bytes", self.max_memory_bytes as u64, 64 * 1024),
            ("max_stack_bytes", self.max_stack_bytes as u64, 16 * 1024),
            ("max_core_instances", self.max_core_instances.into(), 1),
            ("max_host_calls", self.max_host_calls.into(), 1),
            ("max_host_call_bytes", self.max_host_call_bytes as u64, 1024),
        ] {
            if value < min {
                return Err(LimitError { key, min });
            }
        }
        Ok(())
    }

    /// The number of policies that can run at once, as a semaphore can count them.
    pub(crate) fn max_permits(&self) -> usize {
        usize::try_from(self.max_concurrent_instances).unwrap_or(Semaphore::MAX_PERMITS)
    }

    pub(crate) fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }

    pub(crate) fn execution_timeout(&self) -> Duration {
        Duration::from_millis(self.execution_timeout_ms)
    }

    pub(crate) fn cpu_time_limit(&self) -> Duration {
        Duration::from_millis(self.cpu_time_limit_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn smallest_valid_limits_are_valid_and_smaller_ones_are_named() {
        let smallest = || {
            Limits::default()
                .max_component_bytes(1)
                .max_concurrent_instances(1)
                .execution_timeout_ms(1)
                .cpu_time_limit_ms(1)
                .max_memory_bytes(64 * 1024)
                .max_stack_bytes(16 * 1024)
                .max_core_instances(1)
                .max_host_calls(1)
                .max_host_call_bytes(1024)
        };
        assert!(Limits::default().validate().is_ok() && smallest().validate().is_ok());
        for (limits, key, min) in [
            (smallest().max_component_bytes(0), "max_component_bytes", 1),
            (smallest().max_concurrent_instances(0), "max_concurrent_instances", 1),
            (smallest().execution_timeout_ms(0), "execution_timeout_ms", 1),
            (smallest().cpu_time_limit_ms(0), "cpu_time_limit_ms", 1),
            (smallest().max_memory_bytes(65_535), "max_memory_bytes", 65_536),
            (smallest().max_stack_bytes(16_383), "max_stack_bytes", 16_384),
            (smallest().max_core_instances(0), "max_core_instances", 1),
            (smallest().max_host_calls(0), "max_host_calls", 1),
            (smallest().max_host_call_bytes(1023), "max_host_call_bytes", 1024),
        ] {
            let error = limits.validate().expect_err(key);
            assert_eq!((error.key, error.min), (key, min));
        }
    }

    #[test]
    fn permits_are_the_concurrent_instances() {
        assert_eq!(Limits::default().max_concurrent_instances(7).max_permits(), 7);
    }
}
