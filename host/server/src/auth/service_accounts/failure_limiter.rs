//! Counts the tokens of each client that failed to verify.

use hashlink::LruCache;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one client in a [`WINDOW`] after which it is rate limited.
const MAX_FAILURES: u32 = 20;
/// The time from a client's first failure until its count starts again.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// Number of clients whose failures are counted. A client with more addresses can evict the counts of others; their next
/// failures are then answered 401 instead of 429, which is the only effect.
const CAPACITY: usize = 4096;

/// The failures of each client, with the time of the first one. The least recently failed client is evicted.
pub(super) struct FailureLimiter {
    window: Duration,
    failures: Mutex<LruCache<IpAddr, (u32, Instant)>>,
}

impl FailureLimiter {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, failures: Mutex::new(LruCache::new(CAPACITY)) }
    }

    /// Counts a failure of this client, and returns whether it exceeds the limit.
    pub(super) fn record_failure(&self, client: IpAddr) -> bool {
        let client = network(client);
        // A panic cannot leave the cache inconsistent, because every change is one call.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get_mut(&client) {
            Some((count, since)) if since.elapsed() < self.window => {
                *count = count.saturating_add(1);
                *count > MAX_FAILURES
            }
            _ => {
                failures.insert(client, (1, Instant::now()));
                false
            }
        }
    }
}

/// The network of an address. An IPv6 customer gets a /64 (RFC 6177), so its addresses count as one client.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}
