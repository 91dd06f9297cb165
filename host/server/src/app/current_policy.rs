//! The policy in force, which a reload replaces between two requests.

use crate::http::PolicyStatus;
use delete_learning::{BoxFuture, Caller, Decide, Decision, DeleteRequest, IdentityError, Policy, RecordStorage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The policy in force, with its guards. A request ends on the policy that it began with; the last one drops it.
pub(super) struct CurrentPolicy {
    policy: RwLock<Arc<Policy>>,
    last_reload_failed: AtomicBool,
}

impl CurrentPolicy {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy: RwLock::new(Arc::new(policy)), last_reload_failed: AtomicBool::new(false) }
    }

    pub(super) fn get(&self) -> Arc<Policy> {
        // Poisoning is ignored: the policy is replaced in one step, so a panic cannot leave it incomplete.
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a policy in force, and returns the previous one.
    pub(super) fn replace(&self, policy: Policy) -> Arc<Policy> {
        let previous = {
            let mut current = self.policy.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::new(policy))
        };
        self.last_reload_failed.store(false, Ordering::Relaxed);
        previous
    }

    /// Records that a reload failed, and that the policy stays in force therefore.
    pub(super) fn set_reload_failed(&self) {
        self.last_reload_failed.store(true, Ordering::Relaxed);
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
