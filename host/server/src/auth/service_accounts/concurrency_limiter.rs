//! Limits the concurrent lookups of each client, so that a client that floods the account store delays itself.

use super::failure_limiter::network;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Number of queues that clients are distributed over.
const QUEUES: usize = 16;
/// Concurrent lookups of one queue, and so at most of one client. All queues together have 64.
const PERMITS_PER_QUEUE: usize = 4;

/// A constant number of queues, however many clients there are. The clients of one queue wait for each other in order of
/// arrival. The seed is random, so a client cannot choose the queue of another.
pub(super) struct ConcurrencyLimiter {
    queues: [Semaphore; QUEUES],
    seed: RandomState,
}

impl ConcurrencyLimiter {
    pub(super) fn new() -> Self {
        Self { queues: std::array::from_fn(|_| Semaphore::new(PERMITS_PER_QUEUE)), seed: RandomState::new() }
    }

    /// Waits for a permit for this client. `None` only if the queue is closed, which never happens.
    pub(super) async fn acquire(&self, client: IpAddr) -> Option<SemaphorePermit<'_>> {
        let queue = usize::try_from(self.seed.hash_one(network(client)) % QUEUES as u64).unwrap_or_default();
        self.queues.get(queue)?.acquire().await.ok()
    }
}
