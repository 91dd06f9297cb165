//! The policy compiled natively, in place of the component: no sandbox, nothing validated, the same deletes recorded.

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
    // As the sandbox does: a permit of the storage.
    let _permit = match storage.permits() {
        Some(permits) => permits.acquire().await.ok(),
        None => None,
    };
    let (answer, calls) = native_policy::decide(request, caller, &*storage).await;
    let record = if answer.is_ok() { RecordOutcome::Deleted } else { RecordOutcome::NotDeleted };
    Decision { answer, record, calls, error: None, output: None }
}
