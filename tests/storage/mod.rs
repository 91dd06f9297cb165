//! What storage promises, held against races, crashes, failing disks, networks and databases, with figures.
//!
//! What would take minutes runs shortened; how to run it in full, and the last full result, is in `README.md` beside
//! this file.

mod crash;
mod failover;
mod hang;
mod pgbouncer;
mod races;
mod several;
mod store;
mod synchronous_commit;
mod tls;
mod trouble;
mod two_hosts;
mod unchanged;

use crate::harness::token::{now, with_claims};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

/// A number that a variable of the environment sets, for a run at length; where it does not, this one.
fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// A token of this user that outlasts every run.
fn token(name: &str) -> String {
    with_claims(json!({ "sub": name, "scopes": ["learnings:delete"], "exp": now() + 86_400 }))
}

/// Tells other threads to stop when the one that holds this ends, also by a panic.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
