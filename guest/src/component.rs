//! The policy as a component: the contract's types in, the policy's decision, the contract's types out.
//!
//! Strings move through; nothing is copied that the boundary does not copy itself.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the generated bindings lower and lift values at the component boundary; nothing here is written by hand"
)]

use crate::memory::Memory;
use crate::policy::{self, Asked, Plan};
use alloc::string::String;

wit_bindgen::generate!({ path: "../wit", world: "plugin" });

use learnings::plugin::identity::{self, Credential, IdentityErrorKind};
use learnings::plugin::storage::{self, Outcome, StorageError, StorageErrorKind};
use learnings::plugin::types::ErrorCode;

/// What the world exports.
struct Policy;

impl Guest for Policy {
    fn delete_learning(request: Request) -> Result<(), Rejection> {
        let request = policy::Request { db_id: request.db_id, table: request.table };
        let (asked, answer) = match policy::plan(&request, identity::current().map(caller).map_err(identity_error)) {
            Plan::Refuse(refusal) => return Err(rejection(refusal)),
            Plan::RefuseAtTarget(refusal) => match storage::locate() {
                Ok(_) => return Err(rejection(refusal)),
                Err(error) => (Asked::Any, Err(error)),
            },
            Plan::Delete => (Asked::Any, storage::delete()),
            Plan::DeleteIfOwnedBy(user) => (Asked::Own, storage::delete_if_owned_by(&user)),
        };
        policy::conclude(&request, asked, answer.map(outcome).map_err(storage_error)).map_err(rejection)
    }
}

export!(Policy);

fn caller(caller: identity::Caller) -> policy::Caller {
    policy::Caller {
        credential: credential(caller.credential),
        subject: caller.subject,
        scopes: caller.scopes,
        enforce_scopes: caller.enforce_scopes,
        user_isolation: caller.user_isolation,
        admin_scope: caller.admin_scope,
    }
}

fn credential(credential: Credential) -> policy::Credential {
    match credential {
        Credential::None => policy::Credential::None,
        Credential::SecurityKey => policy::Credential::SecurityKey,
        Credential::Jwt => policy::Credential::Jwt,
        Credential::ServiceAccount => policy::Credential::ServiceAccount,
    }
}

fn identity_error(error: identity::IdentityError) -> policy::IdentityError {
    use policy::IdentityErrorKind as Kind;
    let kind = match error.kind {
        IdentityErrorKind::Missing => Kind::Missing,
        IdentityErrorKind::Malformed => Kind::Malformed,
        IdentityErrorKind::Invalid => Kind::Invalid,
        IdentityErrorKind::Expired => Kind::Expired,
        IdentityErrorKind::WrongAudience => Kind::WrongAudience,
        IdentityErrorKind::ReservedSubject => Kind::ReservedSubject,
        IdentityErrorKind::NotEnabled => Kind::NotEnabled,
        IdentityErrorKind::RateLimited => Kind::RateLimited,
        IdentityErrorKind::Unavailable => Kind::Unavailable,
        IdentityErrorKind::Internal => Kind::Internal,
    };
    policy::IdentityError { kind, credential: credential(error.credential) }
}

fn outcome(outcome: Outcome) -> policy::Outcome {
    match outcome {
        Outcome::Deleted => policy::Outcome::Deleted,
        Outcome::Absent => policy::Outcome::Absent,
        Outcome::Unowned => policy::Outcome::Unowned,
        Outcome::OwnedByAnother => policy::Outcome::OwnedByAnother,
        Outcome::Changed => policy::Outcome::Changed,
    }
}

fn storage_error(error: StorageError) -> policy::StorageErrorKind {
    use policy::StorageErrorKind as Kind;
    match error.kind {
        StorageErrorKind::InvalidLearningId => Kind::InvalidLearningId,
        StorageErrorKind::RepeatedParameter => Kind::RepeatedParameter,
        StorageErrorKind::DatabaseRequired => Kind::DatabaseRequired,
        StorageErrorKind::UnknownDatabase => Kind::UnknownDatabase,
        StorageErrorKind::UnknownTable => Kind::UnknownTable,
        StorageErrorKind::Unsupported => Kind::Unsupported,
        StorageErrorKind::Unavailable => Kind::Unavailable,
        StorageErrorKind::OutcomeUnknown => Kind::OutcomeUnknown,
        StorageErrorKind::Internal => Kind::Internal,
    }
}

fn rejection(refusal: policy::Rejection) -> Rejection {
    use policy::ErrorCode as Code;
    let code = match refusal.code {
        Code::BadRequest => ErrorCode::BadRequest,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::Forbidden => ErrorCode::Forbidden,
        Code::NotFound => ErrorCode::NotFound,
        Code::Conflict => ErrorCode::Conflict,
        Code::TooManyRequests => ErrorCode::TooManyRequests,
        Code::InternalServerError => ErrorCode::InternalServerError,
        Code::NotImplemented => ErrorCode::NotImplemented,
        Code::ServiceUnavailable => ErrorCode::ServiceUnavailable,
    };
    Rejection { status: refusal.code.status(), code, detail: refusal.detail, rule: String::from(refusal.rule) }
}

#[global_allocator]
static ALLOCATOR: Memory = Memory::new();

/// A panic is a trap: the host answers 500 and keeps the record of it.
#[panic_handler]
fn trap(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
