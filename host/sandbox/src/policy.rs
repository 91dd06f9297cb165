//! A policy that is loaded and ready to run.

use crate::access::Access;
use crate::contract::{Caller, DeleteRequest, IdentityError, PolicyPre};
use crate::decision::{Decision, Digests};
use crate::digest::Digest;
use crate::error::LoadError;
use crate::guard::{Guard, GuardInstance};
use crate::host_state::{HostState, Overrides, StorageLink};
use crate::limits::Limits;
use crate::offload;
use crate::sandbox::Sandbox;
use crate::storage::RecordStorage;
use std::sync::Arc;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime_wasi_config::WasiConfigVariables;

/// The component of the default policy, which decides as the Agno API documents.
pub const DEFAULT_POLICY: &[u8] = include_bytes!("../default-policy.wasm");

/// A policy with its guards, compiled and linked once, ready to decide any number of requests.
///
/// Its `identity` and `storage` imports are served by the host; see the crate documentation for an example.
pub struct Policy {
    sandbox: Sandbox,
    component: Arc<PolicyPre<HostState>>,
    settings: Arc<WasiConfigVariables>,
    /// Outermost first.
    guards: Vec<Guard>,
    digests: Arc<Digests>,
}

impl Policy {
    /// Loads a policy that imports the contract and nothing else, without guards, in a sandbox of its own. Compiles the
    /// component on the calling thread.
    ///
    /// # Errors
    /// See [`Sandbox::new`] and [`Sandbox::load_policy`].
    pub fn load(component: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        Sandbox::new(limits, None)?.load_policy(component, &Access::default(), Vec::new())
    }

    pub(crate) fn new(
        sandbox: Sandbox,
        component: PolicyPre<HostState>,
        digest: Digest,
        settings: Arc<WasiConfigVariables>,
        guards: Vec<Guard>,
    ) -> Self {
        let digests = Arc::new(Digests::new(digest, &guards));
        Self { sandbox, component: Arc::new(component), settings, guards, digests }
    }

    /// The same policy with these guards, outermost first. Nothing is compiled again.
    ///
    /// # Errors
    /// [`LoadError::TooManyGuards`] if there are more guards than `max_guards`.
    pub fn with_guards(&self, guards: Vec<Guard>) -> Result<Self, LoadError> {
        self.sandbox.check_guards(&guards)?;
        let digests = Arc::new(Digests::new(self.digests.policy, &guards));
        Ok(Self {
            sandbox: self.sandbox.clone(),
            component: Arc::clone(&self.component),
            settings: Arc::clone(&self.settings),
            guards,
            digests,
        })
    }

    /// The digests of the policy and its guards.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Decides on one request and executes the decision.
    ///
    /// Whatever the policy does, this returns an answer and what happened to the record. Do not drop the future: a
    /// delete that has begun would go on, and its outcome would be lost. Spawn it where the caller can go away.
    ///
    /// Each call of the policy or a guard to the host is in a span of `tracing` with the name `host call`, the level debug and the
    /// field `function`.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    pub async fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> Decision {
        let queue_timeout = self.sandbox.config.limits.queue_timeout();
        let for_permit = Arc::clone(&storage);
        let (_storage_permit, permit) = match try_acquire(&*for_permit, &self.sandbox.permits) {
            Some(permits) => permits,
            None => {
                let permits = acquire(&*for_permit, Arc::clone(&self.sandbox.permits));
                match tokio::time::timeout(queue_timeout, permits).await {
                    Ok(Ok(permits)) => permits,
                    Ok(Err(_)) | Err(_) => return Decision::overloaded().with_digests(&self.digests),
                }
            }
        };
        self.run(permit, request, caller, storage, &Overrides::default()).await
    }

    /// Like [`decide`](Self::decide), for a conformance case: with another environment than the configured one, and with
    /// the permit of conformance cases, for which it waits as long as necessary.
    pub(crate) async fn decide_with(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
        overrides: &Overrides,
    ) -> Decision {
        match Arc::clone(&self.sandbox.check_permit).acquire_owned().await {
            Ok(permit) => self.run(permit, request, caller, storage, overrides).await,
            Err(_) => Decision::overloaded().with_digests(&self.digests),
        }
    }

    async fn run(
        &self,
        permit: OwnedSemaphorePermit,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
        overrides: &Overrides,
    ) -> Decision {
        let store = self.sandbox.new_store(self.host_state(caller, storage, overrides));
        let (component, deadline) = (Arc::clone(&self.component), self.sandbox.deadline);
        // The future owns everything that it needs, because it can move to another thread.
        let run = Box::pin(async move {
            // Dropped in reverse order, so that the instances return to the pool before the permit is free.
            let _permit = permit;
            let mut store = store;
            let call = async |store: &mut Store<HostState>| {
                let instance = component.instantiate_async(&mut *store).await?;
                store.data_mut().resources().set_started();
                instance.call_delete_learning(store, &request).await
            };
            let outcome = deadline.run_with_limits(&mut store, call).await;
            Decision::from_run(outcome, store.into_data())
        });
        offload::run(run, self.sandbox.config.limits.queue_timeout()).await.with_digests(&self.digests)
    }

    /// The state of the policy's instance, with the guards in front of the record.
    fn host_state(
        &self,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
        overrides: &Overrides,
    ) -> HostState {
        let caller = Arc::new(caller);
        let mut link = StorageLink::Record(storage);
        for guard in self.guards.iter().rev() {
            let guard = GuardInstance::new(guard, &self.sandbox, Arc::clone(&caller), link, overrides);
            link = StorageLink::Guard(Box::new(guard));
        }
        let settings = overrides.settings.as_ref().unwrap_or(&self.settings);
        HostState::new(caller, link, Arc::clone(settings), overrides.now, Arc::clone(&self.sandbox.config))
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
