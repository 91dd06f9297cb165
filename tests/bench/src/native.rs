//! The natively compiled policy in place of the component: no sandbox and no validation, but the same record of calls.

use crate::native_policy;
use delete_learning::{
    BoxFuture, Caller, Decide, Decision, DeleteRequest, IdentityError, RecordOutcome, RecordStorage,
};
use std::sync::Arc;

pub struct Policy;

impl Decide for Policy {
    fn decide(
        &self,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        storage: Arc<dyn RecordStorage>,
    ) -> BoxFuture<'_, Decision> {
        Box::pin(decide(request, caller, storage))
    }
}

pub async fn decide(
    request: DeleteRequest,
    caller: Result<Caller, IdentityError>,
    storage: Arc<dyn RecordStorage>,
) -> Decision {
    // The sandbox acquires a permit of the storage too.
    let _permit = match storage.permits() {
        Some(permits) => permits.acquire().await.ok(),
        None => None,
    };
    let (answer, calls) = native_policy::decide(request, caller, &*storage).await;
    let record = if answer.is_ok() { RecordOutcome::Deleted } else { RecordOutcome::NotDeleted };
    Decision { answer, record, calls, guards: Vec::new(), error: None, output: None, digests: None }
}
