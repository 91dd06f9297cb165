//! The options of SQLite databases.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Options of every SQLite database. The keys of `[sqlite]` in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteOptions {
    /// Milliseconds to wait for a lock of another process before answering 503.
    pub busy_timeout_ms: u64,
    /// Maximum number of deletes in one transaction.
    pub max_batch_size: usize,
    /// Bytes of pages that each connection caches.
    pub page_cache_bytes: usize,
    /// WAL size in bytes from which it is checkpointed in the background; meanwhile it grows further. A larger WAL writes
    /// fewer pages twice, and takes longer to recover after a crash.
    pub wal_checkpoint_bytes: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout_ms: 2_000,
            max_batch_size: 256,
            page_cache_bytes: 2 * 1024 * 1024,
            wal_checkpoint_bytes: 32 * 1024 * 1024,
        }
    }
}

impl SqliteOptions {
    /// The option that is too small and its smallest valid value, if there is one.
    #[must_use]
    pub fn too_small(&self) -> Option<(&'static str, usize)> {
        [
            ("max_batch_size", self.max_batch_size, 1),
            ("page_cache_bytes", self.page_cache_bytes, 64 * 1024),
            ("wal_checkpoint_bytes", self.wal_checkpoint_bytes, 64 * 1024),
        ]
        .into_iter()
        .find_map(|(key, value, min)| (value < min).then_some((key, min)))
    }

    /// [`busy_timeout_ms`](Self::busy_timeout_ms) as a duration.
    #[must_use]
    pub const fn busy_timeout(&self) -> Duration {
        Duration::from_millis(self.busy_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteOptions;

    #[test]
    fn smallest_valid_options_are_valid_and_smaller_ones_are_named() {
        let smallest = || SqliteOptions {
            max_batch_size: 1,
            page_cache_bytes: 65_536,
            wal_checkpoint_bytes: 65_536,
            ..SqliteOptions::default()
        };
        assert_eq!((SqliteOptions::default().too_small(), smallest().too_small()), (None, None));
        for (options, expected) in [
            (SqliteOptions { max_batch_size: 0, ..smallest() }, ("max_batch_size", 1)),
            (SqliteOptions { page_cache_bytes: 65_535, ..smallest() }, ("page_cache_bytes", 65_536)),
            (SqliteOptions { wal_checkpoint_bytes: 65_535, ..smallest() }, ("wal_checkpoint_bytes", 65_536)),
        ] {
            assert_eq!(options.too_small(), Some(expected));
        }
    }
}
