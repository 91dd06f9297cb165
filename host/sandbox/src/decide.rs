//! The interface between a server and whatever decides.

use crate::contract::{Caller, DeleteRequest, IdentityError};
use crate::{BoxFuture, Decision, Policy, RecordStorage};
use std::sync::Arc;

/// Decides on requests and executes the decisions, as [`Policy`] does.
///
/// Only [`Policy`] runs in a sandbox. Another implementation is trusted: no limit applies to it, and nothing validates
/// what it returns. It serves to compare a natively compiled policy with the component.
pub trait Decide: Send + Sync + 'static {
    /// See [`Policy::decide`].
    fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> BoxFuture<'_, Decision>;
}

impl Decide for Policy {
    fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> BoxFuture<'_, Decision> {
        Box::pin(Policy::decide(self, request, caller, storage))
    }
}
