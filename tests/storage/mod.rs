//! Tests of the storage guarantees under races, crashes, and failing disks, networks and databases.
//!
//! Long tests run shortened. `README.md` in this directory explains how to run them in full, and contains the last full
//! result.

mod batches;
mod byte_comparison;
mod channel_binding;
mod checkpoint;
mod client_certificates;
mod crash;
mod creation;
mod failover;
mod fault_injection;
pub mod hang;
mod holds;
mod locked_at_start;
mod outcome_unknown;
mod pgbouncer;
mod races;
mod reconnect;
mod refused_deletes;
mod several;
pub mod store;
mod synchronous_commit;
mod testkit;
mod tls;
mod two_hosts;
mod unchanged;
mod urls;

use crate::support::optional::is_enabled;
use crate::support::token::{now, with_claims};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Returns the first number, or the second with `FULL_STORAGE_TESTS=1`.
pub fn shortened_or_full(shortened: usize, full: usize) -> usize {
    if is_enabled("FULL_STORAGE_TESTS") { full } else { shortened }
}

/// Returns a token of this user that does not expire during a run.
pub fn token(name: &str) -> String {
    with_claims(json!({ "sub": name, "scopes": ["learnings:delete"], "exp": now() + 86_400 }))
}

/// Waits up to a minute until this count has increased by `more`.
fn wait_for_increase(count: &AtomicUsize, more: usize) {
    let (target, end) = (count.load(Ordering::Relaxed) + more, Instant::now() + Duration::from_secs(60));
    while count.load(Ordering::Relaxed) < target {
        assert!(Instant::now() < end, "the count stays below {target}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Stops other threads when it is dropped, also by a panic.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
