//! What is counted of the caches of verified credentials.

use prometheus_client::metrics::counter::Counter;

/// The requests to a cache of verified credentials.
#[derive(Default)]
pub struct CacheMetrics {
    hits: Counter,
    misses: Counter,
}

impl CacheMetrics {
    /// Counts a request to the cache.
    pub fn record(&self, is_hit: bool) {
        let counter = if is_hit { &self.hits } else { &self.misses };
        counter.inc();
    }

    /// The results and their counts.
    pub(super) fn counts(&self) -> [(&'static str, u64); 2] {
        [("hit", self.hits.get()), ("miss", self.misses.get())]
    }
}
