//! The policy compiled natively, in place of the component: no sandbox, nothing checked, the same calls noted.

use delete_learning::plugin::{Call, Decide, Fate, Performed};
use delete_learning::{
    BoxFuture, Caller, Condition, Credential, Decision, ErrorCode, Identity, IdentityError, IdentityErrorKind, Outcome,
    Rejection, Request, Storage, StorageError, StorageErrorKind,
};
use delete_learning_policy::policy::{self, Asked, Plan};
use std::sync::Arc;

pub struct Policy;

impl Decide for Policy {
    fn decide(
        &self,
        request: Request,
        identity: Arc<dyn Identity>,
        storage: Arc<dyn Storage>,
    ) -> BoxFuture<'_, Decision> {
        Box::pin(decide(request, identity, storage))
    }
}

pub async fn decide(request: Request, identity: Arc<dyn Identity>, storage: Arc<dyn Storage>) -> Decision {
    // As the sandbox does: a turn at what holds the record. Nobody closes these.
    let _turn = match storage.turns() {
        Some(turns) => turns.acquire().await.ok(),
        None => None,
    };
    let request = policy::Request { db_id: request.db_id, table: request.table };
    let caller = identity.current().await.map(caller).map_err(|error| identity_error(&error));
    let (asked, condition) = match policy::plan(&request, caller) {
        Plan::Refuse(refusal) => return refused(refusal, Vec::new()),
        Plan::RefuseAtTarget(refusal) => {
            let refusal = match storage.locate().await {
                Ok(_) => refusal,
                Err(error) => match policy::conclude(&request, Asked::Any, Err(storage_error(error.kind))) {
                    Ok(()) => refusal,
                    Err(refusal) => refusal,
                },
            };
            return refused(refusal, Vec::new());
        }
        Plan::Delete => (Asked::Any, Condition::Any),
        Plan::DeleteIfOwnedBy(user) => (Asked::Own, Condition::OwnedBy(user)),
    };
    let answer = storage.delete(condition.clone()).await;
    let outcome = match &answer {
        Ok(outcome) => Ok(self::outcome(*outcome)),
        Err(StorageError { kind, .. }) => Err(storage_error(*kind)),
    };
    let calls = vec![Call { performed: Performed::Delete(condition), answer: Some(answer) }];
    match policy::conclude(&request, asked, outcome) {
        Ok(()) => Decision { answer: Ok(()), fate: Fate::Deleted, calls, fault: None, output: None },
        Err(refusal) => refused(refusal, calls),
    }
}

fn refused(refusal: policy::Rejection, calls: Vec<Call>) -> Decision {
    let rejection = Rejection {
        status: refusal.code.status(),
        code: code(refusal.code),
        detail: refusal.detail,
        rule: refusal.rule.to_owned(),
    };
    Decision { answer: Err(rejection), fate: Fate::Kept, calls, fault: None, output: None }
}

/// The same cases under the same names, from one crate's type to the other's.
macro_rules! renamed {
    ($function:ident: $from:ty => $to:ty { $($case:ident)* }) => {
        fn $function(from: $from) -> $to {
            match from { $(<$from>::$case => <$to>::$case,)* }
        }
    };
}

renamed!(credential: Credential => policy::Credential { None SecurityKey Jwt ServiceAccount });
renamed!(outcome: Outcome => policy::Outcome { Deleted Absent Unowned OwnedByAnother Changed });
renamed!(identity_kind: IdentityErrorKind => policy::IdentityErrorKind {
    Missing Malformed Invalid Expired WrongAudience ReservedSubject NotEnabled RateLimited Unavailable Internal
});
renamed!(storage_error: StorageErrorKind => policy::StorageErrorKind {
    InvalidLearningId RepeatedParameter DatabaseRequired UnknownDatabase UnknownTable Unsupported Unavailable
    OutcomeUnknown Internal
});
renamed!(code: policy::ErrorCode => ErrorCode {
    BadRequest Unauthenticated Forbidden NotFound Conflict TooManyRequests InternalServerError NotImplemented
    ServiceUnavailable
});

fn caller(caller: Caller) -> policy::Caller {
    policy::Caller {
        credential: credential(caller.credential),
        subject: caller.subject,
        scopes: caller.scopes,
        enforce_scopes: caller.enforce_scopes,
        user_isolation: caller.user_isolation,
        admin_scope: caller.admin_scope,
    }
}

fn identity_error(error: &IdentityError) -> policy::IdentityError {
    policy::IdentityError { kind: identity_kind(error.kind), credential: credential(error.credential) }
}
