//! Turns at the account store, so that whoever floods it waits for itself.

use super::clients::network;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Clients are spread over this many queues.
const QUEUES: usize = 16;
/// Look-ups of one queue that go on at once, and so at most of one client. All queues together make 64.
const AT_ONCE: usize = 4;

/// The queues: constant in size, however many clients there are. Those of one queue wait for each other in the order in
/// which they came; which queue a client is in nobody can tell, so nobody can aim at another's.
pub(super) struct Turns {
    queues: [Semaphore; QUEUES],
    seed: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { queues: std::array::from_fn(|_| Semaphore::new(AT_ONCE)), seed: RandomState::new() }
    }

    /// Waits for this client's turn, which ends when what is returned is dropped. None only for a queue that is closed,
    /// which none ever is.
    pub(super) async fn take(&self, client: IpAddr) -> Option<SemaphorePermit<'_>> {
        let place = usize::try_from(self.seed.hash_one(network(client)) % QUEUES as u64).unwrap_or_default();
        self.queues.get(place)?.acquire().await.ok()
    }
}
