//! A policy that is loaded and ready to run.

use crate::cache::Cache;
use crate::contract::{Caller, DeleteRequest, IdentityError, PolicyPre};
use crate::deadline::Deadline;
use crate::decision::Decision;
use crate::error::LoadError;
use crate::host_state::{HostState, SharedConfig};
use crate::limits::Limits;
use crate::storage::RecordStorage;
use crate::wasi::Wasi;
use crate::{load, offload};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::Store;

/// The component of the default policy, which decides as the Agno API documents.
pub const DEFAULT_POLICY: &[u8] = include_bytes!("../default-policy.wasm");

/// A policy, compiled and linked once, ready to decide any number of requests.
///
/// Its `identity` and `storage` imports are served by the host; see the crate documentation for an example.
pub struct Policy {
    component: Arc<PolicyPre<HostState>>,
    deadline: Deadline,
    config: Arc<SharedConfig>,
    /// As many permits as the pool has instances, so that the pool is never exhausted.
    permits: Arc<Semaphore>,
}

impl Policy {
    /// Loads a policy that imports the contract and nothing else. Compiles the component on the calling thread.
    ///
    /// # Errors
    /// [`LoadError`] if the bytes are not a component, exceed a limit, import anything but the contract, or do not implement
    /// it, or if the sandbox cannot be set up.
    pub fn load(component: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        Self::load_with(component, limits, Wasi::default(), None)
    }

    /// Loads a policy that can also import WASI, as far as `wasi` grants it. With a cache, a component that was compiled
    /// before is not compiled again.
    ///
    /// # Errors
    /// See [`load`](Self::load).
    pub fn load_with(component: &[u8], limits: &Limits, wasi: Wasi, cache: Option<&Cache>) -> Result<Self, LoadError> {
        let component = Arc::new(load::load(component, limits, wasi, cache)?);
        let config = Arc::new(SharedConfig { limits: limits.clone(), wasi, ticks: AtomicU64::new(0) });
        let deadline = Deadline::start(component.engine(), &config).map_err(LoadError::Thread)?;
        let permits = usize::try_from(limits.max_concurrent_instances).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self { component, deadline, config, permits: Arc::new(Semaphore::new(permits)) })
    }

    /// Decides on one request and executes the decision.
    ///
    /// Whatever the policy does, this returns an answer and what happened to the record. Do not drop the future: a
    /// delete that has begun would go on, and its outcome would be lost. Spawn it where the caller can go away.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    pub async fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> Decision {
        let for_permit = Arc::clone(&storage);
        let (_storage_permit, instance_permit) = match try_acquire(&*for_permit, &self.permits) {
            Some(permits) => permits,
            None => {
                let permits = acquire(&*for_permit, Arc::clone(&self.permits));
                match tokio::time::timeout(self.config.limits.queue_timeout(), permits).await {
                    Ok(Ok(permits)) => permits,
                    Ok(Err(_)) | Err(_) => return Decision::overloaded(),
                }
            }
        };
        let state = HostState::new(caller, storage, Arc::clone(&self.config));
        let mut store = Store::new(self.component.engine(), state);
        store.limiter(HostState::limiter);
        // For one call; `HostState` counts all calls of a request together.
        store.set_hostcall_fuel(self.config.limits.max_host_call_bytes);
        store.set_max_component_handles(self.config.limits.max_table_elements);

        let (component, deadline) = (Arc::clone(&self.component), self.deadline);
        // The future owns everything that it needs, because it can move to another thread.
        let run = Box::pin(async move {
            let _permit = instance_permit;
            let call = async |store: &mut Store<HostState>| {
                let instance = component.instantiate_async(&mut *store).await?;
                store.data_mut().resources().set_started();
                instance.call_delete_learning(store, &request).await
            };
            let outcome = deadline.run_with_limits(&mut store, call).await;
            Decision::from_run(outcome, store.into_data())
        });
        offload::run(run, self.config.limits.queue_timeout()).await
    }
}

/// Both permits, if they are free.
fn try_acquire<'a>(
    storage: &'a dyn RecordStorage,
    instances: &Arc<Semaphore>,
) -> Option<(Option<SemaphorePermit<'a>>, OwnedSemaphorePermit)> {
    let storage_permit = match storage.permits() {
        Some(permits) => Some(permits.try_acquire().ok()?),
        None => None,
    };
    Some((storage_permit, Arc::clone(instances).try_acquire_owned().ok()?))
}

/// A permit of the storage, then a permit of the sandbox. In this order no request waits for a database while it
/// occupies the sandbox.
async fn acquire(
    storage: &dyn RecordStorage,
    instances: Arc<Semaphore>,
) -> Result<(Option<SemaphorePermit<'_>>, OwnedSemaphorePermit), AcquireError> {
    let storage_permit = match storage.permits() {
        Some(permits) => Some(permits.acquire().await?),
        None => None,
    };
    Ok((storage_permit, instances.acquire_owned().await?))
}
