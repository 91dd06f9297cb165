//! What a server asks for decisions.

use super::{Decision, Plugin};
use crate::BoxFuture;
use crate::contract::Request;
use crate::identity::Identity;
use crate::storage::Storage;
use std::sync::Arc;

/// Decides on requests and carries the decisions out, as [`Plugin`] does.
///
/// A server takes anything that does. What is no [`Plugin`] runs in no sandbox: nothing bounds it, and nobody checks
/// what it says. It is for a policy that is linked in, to be measured beside the component.
pub trait Decide: Send + Sync + 'static {
    /// As [`Plugin::decide`].
    fn decide(
        &self,
        request: Request,
        identity: Arc<dyn Identity>,
        storage: Arc<dyn Storage>,
    ) -> BoxFuture<'_, Decision>;
}

impl Decide for Plugin {
    fn decide(
        &self,
        request: Request,
        identity: Arc<dyn Identity>,
        storage: Arc<dyn Storage>,
    ) -> BoxFuture<'_, Decision> {
        Box::pin(Plugin::decide(self, request, identity, storage))
    }
}
