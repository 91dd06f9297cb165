//! The default policy as native Rust, on the types of the sandbox crate.
//!
//! The policy and the sandbox generate their own Rust types from the same contract. This module converts between them.

use delete_learning::{
    Caller, Condition, Credential, DeleteRequest, ErrorCode, HostCall, IdentityError, IdentityErrorKind, Learning,
    Outcome, RecordStorage, Rejection, StorageError, StorageErrorKind,
};
use delete_learning_policy as policy;
use std::sync::{Mutex, PoisonError};

/// Runs the policy without a sandbox. Returns its answer and its deletes, in order.
pub async fn decide(
    request: DeleteRequest,
    caller: Result<Caller, IdentityError>,
    storage: &dyn RecordStorage,
) -> (Result<(), Rejection>, Vec<HostCall>) {
    let request =
        policy::DeleteRequest { learning_id: request.learning_id, db_id: request.db_id, table: request.table };
    let caller = caller.map(self::caller).map_err(identity_error);
    let host = NativeHost { caller, storage, deletes: Mutex::default() };
    let answer = policy::delete_learning(&request, &host).await;
    (answer.map_err(rejection), host.deletes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct NativeHost<'a> {
    caller: Result<policy::Caller, policy::IdentityError>,
    storage: &'a dyn RecordStorage,
    deletes: Mutex<Vec<HostCall>>,
}

impl NativeHost<'_> {
    async fn delete_if(&self, condition: Condition) -> Result<policy::Outcome, policy::StorageError> {
        let result = self.storage.delete(condition.clone()).await;
        let converted = match &result {
            Ok(outcome) => Ok(self::outcome(*outcome)),
            Err(error) => Err(storage_error(error.clone())),
        };
        let call = HostCall::Delete { condition, result: Some(result) };
        self.deletes.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        converted
    }
}

impl policy::PolicyHost for NativeHost<'_> {
    async fn caller(&self) -> Result<policy::Caller, policy::IdentityError> {
        self.caller.clone()
    }

    async fn locate(&self) -> Result<policy::Target, policy::StorageError> {
        let target = self.storage.locate().await.map_err(storage_error)?;
        Ok(policy::Target { database: target.database, table: target.table })
    }

    async fn find(&self) -> Result<Option<policy::Learning>, policy::StorageError> {
        Ok(self.storage.find().await.map_err(storage_error)?.map(learning))
    }

    async fn delete(&self) -> Result<policy::Outcome, policy::StorageError> {
        self.delete_if(Condition::Any).await
    }

    async fn delete_if_owned_by(&self, user_id: &str) -> Result<policy::Outcome, policy::StorageError> {
        self.delete_if(Condition::OwnedBy(user_id.to_owned())).await
    }

    async fn delete_if_unchanged(&self, revision: &str) -> Result<policy::Outcome, policy::StorageError> {
        self.delete_if(Condition::Unchanged(revision.to_owned())).await
    }
}

/// Defines a function that converts an enum to the enum with the same cases in the other crate.
macro_rules! convert_enum {
    ($function:ident: $from:ty => $to:ty { $($case:ident)* }) => {
        fn $function(from: $from) -> $to {
            match from { $(<$from>::$case => <$to>::$case,)* }
        }
    };
}

convert_enum!(credential: Credential => policy::Credential { None SecurityKey Jwt ServiceAccount });
convert_enum!(outcome: Outcome => policy::Outcome { Deleted Absent Unowned OwnedByAnother Changed });
convert_enum!(identity_error_kind: IdentityErrorKind => policy::IdentityErrorKind {
    Missing Malformed Invalid Expired WrongAudience ReservedSubject NotEnabled RateLimited Unavailable Internal
});
convert_enum!(storage_error_kind: StorageErrorKind => policy::StorageErrorKind {
    InvalidLearningId RepeatedParameter DatabaseRequired UnknownDatabase UnknownTable Unsupported Denied
    Unavailable OutcomeUnknown Internal
});
convert_enum!(error_code: policy::ErrorCode => ErrorCode {
    BadRequest Unauthenticated Forbidden NotFound Conflict TooManyRequests InternalServerError NotImplemented
    ServiceUnavailable
});

fn caller(caller: Caller) -> policy::Caller {
    policy::Caller {
        credential: credential(caller.credential),
        subject: caller.subject,
        scopes: caller.scopes,
        scopes_optional: caller.scopes_optional,
        all_owners: caller.all_owners,
        admin_scope: caller.admin_scope,
    }
}

fn identity_error(error: IdentityError) -> policy::IdentityError {
    policy::IdentityError {
        kind: identity_error_kind(error.kind),
        credential: credential(error.credential),
        message: error.message,
    }
}

fn storage_error(error: StorageError) -> policy::StorageError {
    policy::StorageError { kind: storage_error_kind(error.kind), message: error.message }
}

fn learning(learning: Learning) -> policy::Learning {
    policy::Learning {
        learning_type: learning.learning_type,
        namespace: learning.namespace,
        user_id: learning.user_id,
        agent_id: learning.agent_id,
        team_id: learning.team_id,
        workflow_id: learning.workflow_id,
        session_id: learning.session_id,
        entity_id: learning.entity_id,
        entity_type: learning.entity_type,
        content: learning.content,
        metadata: learning.metadata,
        created_at: learning.created_at,
        updated_at: learning.updated_at,
        revision: learning.revision,
    }
}

fn rejection(rejection: policy::Rejection) -> Rejection {
    Rejection {
        status: rejection.status,
        code: error_code(rejection.code),
        detail: rejection.detail,
        rule: rejection.rule,
    }
}
