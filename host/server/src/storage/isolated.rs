//! The records that are kept out of shared transactions.

use hashlink::LruCache;
use std::time::{Duration, Instant};

/// Records whose deletes made a transaction fail. For a while each of their deletes gets a transaction of its own, so that
/// repeating one does not slow down the deletes of others.
pub(super) struct Isolated(LruCache<String, Instant>);

/// Maximum number of isolated records. The least recently used one is evicted.
const ISOLATED_CAPACITY: usize = 1024;

/// How long a record stays isolated after its last failure.
pub(super) const ISOLATION_TIME: Duration = Duration::from_mins(1);

impl Default for Isolated {
    fn default() -> Self {
        Self(LruCache::new(ISOLATED_CAPACITY))
    }
}

impl Isolated {
    pub(super) fn insert(&mut self, id: &str) {
        self.0.insert(id.to_owned(), Instant::now());
    }

    pub(super) fn contains(&mut self, id: &str) -> bool {
        !self.0.is_empty() && self.0.get(id).is_some_and(|since| since.elapsed() < ISOLATION_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::{ISOLATION_TIME, Instant, Isolated};

    #[test]
    fn record_is_isolated_for_a_while_after_its_last_failure() {
        let mut isolated = Isolated::default();
        assert!(!isolated.contains("a"));
        isolated.insert("a");
        assert!(isolated.contains("a") && !isolated.contains("b"));
        let before = Instant::now().checked_sub(ISOLATION_TIME).expect("the machine runs for longer");
        isolated.0.insert("a".to_owned(), before);
        assert!(!isolated.contains("a"));
        isolated.insert("a");
        assert!(isolated.contains("a"));
    }
}
