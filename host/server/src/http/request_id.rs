//! Ids of requests.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Generates ids: unique in this process, and distinct from those of other processes by a random prefix.
pub(super) struct RequestIds {
    prefix: u64,
    last: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // Random, but not secret: setting up a cryptographic generator takes longer than the rest of the start.
        Self { prefix: RandomState::new().hash_one(0), last: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> String {
        format!("{:016x}-{}", self.prefix, self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
