//! Clients whose tokens did not verify.

use hashlink::LruCache;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens that may fail to verify for one client in a [`WINDOW`], before it is told to slow down.
const FAILURES: u32 = 20;
/// From a client's first failure until its failures are counted anew.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);

/// Clients that are remembered. Whoever has more addresses than that can make the host forget that others failed, which
/// makes their next refusals 401 in place of 429, and nothing else.
const REMEMBERED: usize = 4096;

/// How many tokens of each client failed, since when; bounded, and forgets who failed longest ago.
pub(super) struct Clients {
    window: Duration,
    failures: Mutex<LruCache<IpAddr, (u32, Instant)>>,
}

impl Clients {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, failures: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// Counts a failure of this client, and says whether it has had too many.
    pub(super) fn count_failure(&self, client: IpAddr) -> bool {
        let client = network(client);
        // A panic elsewhere leaves it whole: every change to it is one call.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get_mut(&client) {
            Some((count, since)) if since.elapsed() < self.window => {
                *count = count.saturating_add(1);
                *count > FAILURES
            }
            _ => {
                failures.insert(client, (1, Instant::now()));
                false
            }
        }
    }
}

/// Whom an address stands for: IPv6 gives every customer a /64 of them (RFC 6177), so all of these are one client.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}
