//! What storage promises, held against races, crashes, failing disks, networks and databases, with figures.
//!
//! What would take minutes runs shortened; how to run it in full, and the last full result, is in `README.md` beside
//! this file.

mod crash;
mod creation;
mod failover;
mod fault_injection;
mod hang;
mod log;
mod pgbouncer;
mod races;
mod reconnect;
mod refused_deletes;
mod several;
mod store;
mod synchronous_commit;
mod tls;
mod two_hosts;
mod unchanged;

use crate::support::optional::is_enabled;
use crate::support::token::{now, with_claims};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The first number; with `FULL_STORAGE_TESTS=1`, the second.
fn number(sampled: usize, full: usize) -> usize {
    if is_enabled("FULL_STORAGE_TESTS") { full } else { sampled }
}

/// A token of this user that outlasts every run.
fn token(name: &str) -> String {
    with_claims(json!({ "sub": name, "scopes": ["learnings:delete"], "exp": now() + 86_400 }))
}

/// Waits until this count has grown by so much; for at most a minute.
fn wait_for_more(count: &AtomicUsize, more: usize) {
    let (enough, end) = (count.load(Ordering::Relaxed) + more, Instant::now() + Duration::from_secs(60));
    while count.load(Ordering::Relaxed) < enough {
        assert!(Instant::now() < end, "it does not go on");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Tells other threads to stop when the one that holds this ends, also by a panic.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
