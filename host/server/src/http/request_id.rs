//! Ids of requests.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum length of an id: two 64-bit numbers, one in hexadecimal and one in decimal, and `-`.
const MAX_BYTES: usize = 16 + 1 + 20;

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
        let mut id = String::with_capacity(MAX_BYTES);
        // Writing to a string cannot fail.
        let _ = write!(id, "{:016x}-{}", self.prefix, self.last.fetch_add(1, Ordering::Relaxed) + 1);
        id
    }
}
