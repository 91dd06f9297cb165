//! The sandbox: runs a policy, every request in a fresh instance, within limits, and believes nothing that it says
//! unchecked.

mod aside;
mod cache;
mod deadline;
mod decide;
mod load;
mod state;
mod verdict;
mod wasi;

pub use cache::{Cache, CacheError};
pub use decide::Decide;
pub use load::{LoadError, ReadError, engine, interface, read};
pub use verdict::{Call, Decision, Fate, Fault, Performed};
pub use wasi::{NotAllowed, Output, Wasi};

use crate::contract::{PluginPre, Request};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::storage::Storage;
use deadline::Deadline;
use state::{State, Terms};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::Store;

/// The policy that is shipped with this library, as a component.
pub const DELETE_LEARNING: &[u8] = include_bytes!("../../../guest/component/delete-learning.wasm");

/// A policy, compiled and linked once, ready to decide any number of requests.
pub struct Plugin {
    policy: Arc<PluginPre<State>>,
    deadline: Deadline,
    terms: Arc<Terms>,
    /// As many as the pool has room for, so that instantiating never fails for want of room.
    turns: Arc<Semaphore>,
}

impl Plugin {
    /// Compiles and links a policy that imports the contract and nothing else.
    ///
    /// # Errors
    /// Where the bytes are no component, too many, or a component that does not fit the contract or the limits.
    pub fn load(component: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        Self::load_with(component, limits, Wasi::default(), None)
    }

    /// Compiles and links a policy that may import WASI as well, as far as it is granted. Where there is a cache, it is
    /// not compiled if it was before.
    ///
    /// # Errors
    /// As [`load`](Self::load) has them.
    pub fn load_with(component: &[u8], limits: &Limits, wasi: Wasi, cache: Option<&Cache>) -> Result<Self, LoadError> {
        let policy = Arc::new(load::load(component, limits, wasi, cache)?);
        let terms = Arc::new(Terms { limits: limits.clone(), wasi, ticks: AtomicU64::new(0) });
        let deadline = Deadline::start(policy.engine(), &terms).map_err(LoadError::Thread)?;
        let turns =
            Arc::new(Semaphore::new(usize::try_from(limits.concurrent_policies).unwrap_or(Semaphore::MAX_PERMITS)));
        Ok(Self { policy, deadline, terms, turns })
    }

    /// Decides on one request, and carries the decision out.
    ///
    /// Whatever the policy does, there is an answer, and with it what became of the record. Do not drop the future: a
    /// deletion that has begun would go on without anybody to hear of it. (Spawn it where a caller may go away.)
    pub async fn decide(&self, request: Request, identity: Arc<dyn Identity>, storage: Arc<dyn Storage>) -> Decision {
        let held = Arc::clone(&storage);
        let (_at_storage, turn) = match at_once(&*held, &self.turns) {
            Some(turns) => turns,
            None => {
                let turns = both(&*held, Arc::clone(&self.turns));
                match tokio::time::timeout(self.terms.limits.queue(), turns).await {
                    Ok(Ok(turns)) => turns,
                    Ok(Err(_)) | Err(_) => return Decision::overloaded(),
                }
            }
        };
        let state = State::new(identity, storage, Arc::clone(&self.terms));
        let mut store = Store::new(self.policy.engine(), state);
        store.limiter(State::limiter);
        // Of one call or answer: this much the host may copy. `State` counts all of a request together.
        store.set_hostcall_fuel(self.terms.limits.policy_host_bytes);
        store.set_max_component_handles(self.terms.limits.policy_table_elements);

        let (policy, deadline) = (Arc::clone(&self.policy), self.deadline);
        // It owns all that it needs, as it may have to go on elsewhere.
        let rest = Box::pin(async move {
            let _turn = turn;
            let run = async |store: &mut Store<State>| {
                let policy = policy.instantiate_async(&mut *store).await?;
                store.data_mut().has_instance();
                policy.call_delete_learning(store, &request).await
            };
            let end = deadline.bound(&mut store, run).await;
            Decision::of(end, store.into_data())
        });
        aside::run(rest, self.terms.limits.queue()).await
    }
}

/// Both turns where neither is waited for, which is how it is unless there is too much to do.
fn at_once<'a>(
    storage: &'a dyn Storage,
    sandbox: &Arc<Semaphore>,
) -> Option<(Option<SemaphorePermit<'a>>, OwnedSemaphorePermit)> {
    let at_storage = match storage.turns() {
        Some(turns) => Some(turns.try_acquire().ok()?),
        None => None,
    };
    Some((at_storage, Arc::clone(sandbox).try_acquire_owned().ok()?))
}

/// A turn at what holds the record, and then, so that nobody waits there with a turn in the sandbox, one in the sandbox.
async fn both(
    storage: &dyn Storage,
    sandbox: Arc<Semaphore>,
) -> Result<(Option<SemaphorePermit<'_>>, OwnedSemaphorePermit), AcquireError> {
    let at_storage = match storage.turns() {
        Some(turns) => Some(turns.acquire().await?),
        None => None,
    };
    Ok((at_storage, sandbox.acquire_owned().await?))
}
