//! The interface between a server and whatever decides.

use crate::contract::{Caller, DeleteRequest, IdentityError};
use crate::{BoxFuture, Decision, Digests, Policy, RecordStorage};
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

    /// The components that decide; `None` if no component does, or if they can change.
    fn digests(&self) -> Option<&Digests> {
        None
    }

    /// What decides at present, if it can be replaced. To know the digests of a decision before it is made, decide with the
    /// result.
    fn current(&self) -> Option<Arc<dyn Decide>> {
        None
    }
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

    fn digests(&self) -> Option<&Digests> {
        Some(Policy::digests(self))
    }
}
