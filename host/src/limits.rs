//! Every limit of the server and the sandbox, in one place.
//!
//! What a policy says to a caller has limits of its own, which are the contract's and not to be configured: a detail of
//! at most 1024 bytes, a rule of at most 64 (`wit/types.wit`). Saying more is answered 500.

use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a request, a connection and a policy may use. The keys of `[limits]` in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections served at once. A further one waits in the listener's queue until one ends.
    pub connections: usize,
    /// Bytes of a request's line and headers together. More is answered 431 (or 414 by the line alone).
    pub request_head_bytes: usize,
    /// Milliseconds in which the head of a request must arrive, counted from the connection's opening or from the end
    /// of its previous answer. Then the connection is closed.
    pub request_head_ms: u64,
    /// Milliseconds that requests in flight are given at shutdown. Then their connections are closed.
    pub drain_ms: u64,
    /// Bytes of a learning id, percent-decoded. A longer one is answered 400.
    pub learning_id_bytes: usize,

    /// Bytes of a policy's component. A larger one is refused before it is read further.
    pub policy_bytes: usize,
    /// Policies that run at once. A further request waits for its turn.
    pub concurrent_policies: u32,
    /// Milliseconds that a request waits for its turn. Then it is answered 503.
    pub queue_ms: u64,
    /// Milliseconds from a policy's start to its answer, storage included. Then it is answered 500.
    pub policy_wall_ms: u64,
    /// Milliseconds of processor time that a policy may use itself; waiting for storage is not counted. Counted in
    /// ticks of a twenty-fifth, so it is exact to about that. Then it is stopped and answered 500. One that has used two
    /// goes on with a low priority, on a thread of its own; as many as there are processors do so at once, and one that
    /// has waited `queue_ms` for that is stopped as well.
    pub policy_cpu_ms: u64,
    /// Bytes of linear memory of a policy, all its memories together. Growing beyond fails inside the policy.
    pub policy_memory_bytes: usize,
    /// Elements of a policy's tables together. Growing beyond fails inside the policy. As many handles to resources of
    /// its own may it hold; one more stops it: 500.
    pub policy_table_elements: usize,
    /// Bytes of a policy's stack. Exceeding it traps, and is answered 500.
    pub policy_stack_bytes: usize,
    /// Core instances, memories and tables that a policy may be made of, each. A policy that is made of more is refused
    /// when it is loaded.
    pub policy_parts: u32,
    /// Calls of a policy to `identity` and `storage` together, in one request. One more stops it: 500.
    pub policy_host_calls: u32,
    /// Bytes that a policy may pass to the host in one request, in strings of its calls and its answer and in what it
    /// writes to its outputs; and in one call, whatever it passes. More stops it: 500.
    pub policy_host_bytes: usize,
    /// Calls of a policy to WASI in one request, where it has WASI. More stop it: 500.
    pub policy_wasi_calls: u32,
    /// Bytes of what a policy writes to its outputs in one request that are logged. What is beyond is left out.
    pub policy_output_bytes: usize,

    /// Requests that are at work on one database at once. A further one waits for its turn, as `queue_ms` has it. Less
    /// than `concurrent_policies` where there are several databases, so that one which hangs leaves room for the others.
    pub database_requests: usize,
    /// Milliseconds that a database is waited for while another process holds it. Then 503. Must be less than
    /// `policy_wall_ms`, or a policy would be stopped before it hears.
    pub database_busy_ms: u64,
    /// Deletes that share one transaction of SQLite, at most.
    pub database_batch: usize,
    /// Bytes of pages that each connection to an SQLite file keeps, as much as SQLite itself would. What is not among
    /// them is read from the system's cache of the file.
    pub database_cache_bytes: usize,
    /// Bytes of SQLite's write-ahead log from which it is carried over into the file, beside the deletes; it grows
    /// somewhat further meanwhile. The longer it is, the fewer pages are written twice, and the longer takes the first
    /// opening after a crash.
    pub database_log_bytes: usize,
    /// Connections to each PostgreSQL database, at most.
    pub database_connections: usize,
    /// Milliseconds that a request waits for one of them to be free. Then 503.
    pub database_pool_ms: u64,
    /// Milliseconds in which each host of a PostgreSQL database must take a connection. Then the next one is tried, or
    /// 503.
    pub database_connect_ms: u64,
    /// Milliseconds that a statement on PostgreSQL may take. Then the server stops it: 503, and nothing was deleted. A
    /// server that has not answered after a quarter more is given up, and whether it deleted is unknown: 500.
    pub database_statement_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            request_head_bytes: 64 * 1024,
            request_head_ms: 30_000,
            drain_ms: 10_000,
            learning_id_bytes: 4096,
            policy_bytes: 16 * 1024 * 1024,
            concurrent_policies: 256,
            queue_ms: 2_000,
            policy_wall_ms: 10_000,
            policy_cpu_ms: 100,
            policy_memory_bytes: 16 * 1024 * 1024,
            policy_table_elements: 10_000,
            policy_stack_bytes: 256 * 1024,
            policy_parts: 16,
            policy_host_calls: 32,
            policy_host_bytes: 64 * 1024,
            policy_wasi_calls: 1000,
            policy_output_bytes: 4096,
            database_requests: 192,
            database_busy_ms: 2_000,
            database_batch: 256,
            database_cache_bytes: 2 * 1024 * 1024,
            database_log_bytes: 32 * 1024 * 1024,
            database_connections: 16,
            database_pool_ms: 1_000,
            database_connect_ms: 2_000,
            database_statement_ms: 2_000,
        }
    }
}

impl Limits {
    /// What is wrong with these limits, as the name of the key and the reason.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        let least = |key, value: u64, least: u64| (value < least).then(|| (key, format!("must be at least {least}")));
        least("connections", self.connections as u64, 1)
            // Below this, hyper has no room for a request line.
            .or_else(|| least("request_head_bytes", self.request_head_bytes as u64, 8192))
            .or_else(|| least("request_head_ms", self.request_head_ms, 1))
            .or_else(|| least("learning_id_bytes", self.learning_id_bytes as u64, 1))
            .or_else(|| least("policy_bytes", self.policy_bytes as u64, 1))
            .or_else(|| least("concurrent_policies", self.concurrent_policies.into(), 1))
            .or_else(|| least("policy_wall_ms", self.policy_wall_ms, 1))
            .or_else(|| least("policy_cpu_ms", self.policy_cpu_ms, 1))
            .or_else(|| least("policy_memory_bytes", self.policy_memory_bytes as u64, 64 * 1024))
            .or_else(|| least("policy_stack_bytes", self.policy_stack_bytes as u64, 16 * 1024))
            .or_else(|| least("policy_parts", self.policy_parts.into(), 1))
            .or_else(|| least("policy_host_calls", self.policy_host_calls.into(), 1))
            .or_else(|| least("policy_host_bytes", self.policy_host_bytes as u64, 1024))
            .or_else(|| least("database_requests", self.database_requests as u64, 1))
            .or_else(|| least("database_batch", self.database_batch as u64, 1))
            .or_else(|| least("database_cache_bytes", self.database_cache_bytes as u64, 64 * 1024))
            .or_else(|| least("database_log_bytes", self.database_log_bytes as u64, 64 * 1024))
            .or_else(|| least("database_connections", self.database_connections as u64, 1))
            .or_else(|| least("database_connect_ms", self.database_connect_ms, 1))
            .or_else(|| least("database_statement_ms", self.database_statement_ms, 1))
            .or_else(|| {
                (self.database_busy_ms >= self.policy_wall_ms)
                    .then(|| ("database_busy_ms", "must be less than policy_wall_ms".to_owned()))
            })
    }

    pub(crate) fn policy_wall(&self) -> Duration {
        Duration::from_millis(self.policy_wall_ms)
    }

    pub(crate) fn queue(&self) -> Duration {
        Duration::from_millis(self.queue_ms)
    }

    pub(crate) fn database_busy(&self) -> Duration {
        Duration::from_millis(self.database_busy_ms)
    }

    pub(crate) fn database_turns(&self) -> Semaphore {
        Semaphore::new(self.database_requests.min(Semaphore::MAX_PERMITS))
    }

    pub(crate) fn database_pool(&self) -> Duration {
        Duration::from_millis(self.database_pool_ms)
    }

    pub(crate) fn database_connect(&self) -> Duration {
        Duration::from_millis(self.database_connect_ms)
    }

    pub(crate) fn database_statement(&self) -> Duration {
        Duration::from_millis(self.database_statement_ms)
    }

    /// What is wrong with these limits where a PostgreSQL database is served.
    pub(crate) fn fault_with_postgres(&self) -> Option<(&'static str, String)> {
        let statement = self.database_statement_ms.saturating_add(self.database_statement_ms / 4);
        let needed = self.database_pool_ms.saturating_add(self.database_connect_ms).saturating_add(statement);
        (needed >= self.policy_wall_ms).then(|| {
            let reason = format!(
                "must be more than database_pool_ms, database_connect_ms and five quarters of database_statement_ms \
                 together, which are {needed}, or a policy would be stopped before it hears"
            );
            ("policy_wall_ms", reason)
        })
    }
}
