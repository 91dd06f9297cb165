//! The policy in force, which a reload replaces between two requests.

use crate::http::PolicyStatus;
use crate::telemetry::metrics::{InUse, PolicyState};
use delete_learning::{
    BoxFuture, Caller, Decide, Decision, DeleteRequest, IdentityError, Policy, RecordStorage, Sandbox,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// The policy in force, with its guards. A request ends on the policy that it began with; the last one drops it.
pub(super) struct CurrentPolicy {
    policy: RwLock<(Arc<Policy>, SystemTime)>,
    last_reload_failed: AtomicBool,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

impl CurrentPolicy {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy: RwLock::new((Arc::new(policy), SystemTime::now())),
            last_reload_failed: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self) -> Arc<Policy> {
        // Poisoning is ignored: the policy is replaced in one step, so a panic cannot leave it incomplete.
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Puts a policy in force, and returns the previous one.
    pub(super) fn replace(&self, policy: Policy) -> Arc<Policy> {
        let previous = {
            let mut current = self.policy.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, (Arc::new(policy), SystemTime::now())).0
        };
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.last_reload_failed.store(false, Ordering::Relaxed);
        previous
    }

    /// Records that a reload failed, and that the policy stays in force therefore.
    pub(super) fn set_reload_failed(&self) {
        self.failed_reloads.fetch_add(1, Ordering::Relaxed);
        self.last_reload_failed.store(true, Ordering::Relaxed);
    }

    /// The state for the metrics. `sandbox` is that of the policy.
    pub(super) fn state(&self, sandbox: &Sandbox) -> PolicyState {
        let (policy, loaded) = self.policy.read().unwrap_or_else(PoisonError::into_inner).clone();
        let max = usize::try_from(sandbox.limits().max_concurrent_instances).unwrap_or(usize::MAX);
        PolicyState {
            sha256: policy.digests().policy.to_string(),
            guards: policy.digests().guards.len(),
            reloads: self.reloads.load(Ordering::Relaxed),
            failed_reloads: self.failed_reloads.load(Ordering::Relaxed),
            last_reload_failed: self.last_reload_failed.load(Ordering::Relaxed),
            loaded,
            instances: InUse { used: sandbox.instances_in_use(), max },
        }
    }

    pub(super) fn status(&self) -> PolicyStatus {
        PolicyStatus {
            digests: self.get().digests().clone(),
            last_reload_failed: self.last_reload_failed.load(Ordering::Relaxed),
        }
    }
}

impl Decide for CurrentPolicy {
    fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> BoxFuture<'_, Decision> {
        let policy = self.get();
        Box::pin(async move { policy.decide(request, caller, storage).await })
    }

    fn current(&self) -> Option<Arc<dyn Decide>> {
        Some(self.get())
    }
}
