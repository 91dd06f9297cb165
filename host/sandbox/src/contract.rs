//! The contract of `wit/` as Rust types. They are generated, so each has the name and the documentation that it has there.

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "policy",
        imports: { default: async | trappable },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
    });
}

/// The world `guard`. Its imports are those of a policy; its exports have types of their own.
pub(crate) mod guard {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "guard",
        with: {
            "learnings:plugin/identity": super::bindings::learnings::plugin::identity,
            "learnings:plugin/storage": super::bindings::learnings::plugin::storage,
        },
        imports: { default: async | trappable },
        exports: { default: async },
    });

    pub(crate) use exported::Guest as Exports;
    pub(crate) use exports::learnings::plugin::storage as exported;
}

pub(crate) use bindings::learnings::plugin::{identity, storage, types};
pub(crate) use bindings::{Policy as PolicyInstance, PolicyPre};

pub use identity::{Caller, Credential, IdentityError, IdentityErrorKind};
pub use storage::{Learning, Outcome, StorageError, StorageErrorKind, Target};
pub use types::{ErrorCode, Rejection, Request as DeleteRequest};

impl ErrorCode {
    /// The HTTP status of this code (RFC 9110, section 15; RFC 6585 for 429).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooManyRequests => 429,
            Self::InternalServerError => 500,
            Self::NotImplemented => 501,
            Self::ServiceUnavailable => 503,
        }
    }

    /// The value of `error_code` in the error body of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
        }
    }
}

/// Implements `as_str`: the name of a case in the contract.
macro_rules! contract_names {
    ($($type:ident { $($case:ident = $name:literal),+ $(,)? })+) => {$(
        impl $type {
            /// The name of this case in the contract (`wit/`), for logs and audit events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)+
                }
            }
        }
    )+};
}

contract_names! {
    Credential { Jwt = "jwt", ServiceAccount = "service-account", SecurityKey = "security-key", None = "none" }
    Outcome {
        Absent = "absent",
        Unowned = "unowned",
        OwnedByAnother = "owned-by-another",
        Changed = "changed",
        Deleted = "deleted",
    }
    IdentityErrorKind {
        Missing = "missing",
        Malformed = "malformed",
        Invalid = "invalid",
        Expired = "expired",
        WrongAudience = "wrong-audience",
        ReservedSubject = "reserved-subject",
        NotEnabled = "not-enabled",
        RateLimited = "rate-limited",
        Unavailable = "unavailable",
        Internal = "internal",
    }
    StorageErrorKind {
        InvalidLearningId = "invalid-learning-id",
        RepeatedParameter = "repeated-parameter",
        DatabaseRequired = "database-required",
        UnknownDatabase = "unknown-database",
        UnknownTable = "unknown-table",
        Unsupported = "unsupported",
        Denied = "denied",
        Unavailable = "unavailable",
        OutcomeUnknown = "outcome-unknown",
        Internal = "internal",
    }
}

impl From<guard::exported::Target> for Target {
    fn from(target: guard::exported::Target) -> Self {
        Self { database: target.database, table: target.table }
    }
}

impl From<guard::exported::Learning> for Learning {
    fn from(learning: guard::exported::Learning) -> Self {
        Self {
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
}

impl From<guard::exported::StorageError> for StorageError {
    fn from(error: guard::exported::StorageError) -> Self {
        Self { kind: error.kind.into(), message: error.message }
    }
}

/// Converts an enum that a guard exports to the same enum as it is imported.
macro_rules! from_exported {
    ($($type:ident { $($case:ident),+ $(,)? })+) => {$(
        impl From<guard::exported::$type> for $type {
            fn from(value: guard::exported::$type) -> Self {
                match value {
                    $(guard::exported::$type::$case => Self::$case,)+
                }
            }
        }
    )+};
}

from_exported! {
    Outcome { Absent, Unowned, OwnedByAnother, Changed, Deleted }
    StorageErrorKind {
        InvalidLearningId,
        RepeatedParameter,
        DatabaseRequired,
        UnknownDatabase,
        UnknownTable,
        Unsupported,
        Denied,
        Unavailable,
        OutcomeUnknown,
        Internal,
    }
}

impl Learning {
    /// A record with this owner for tests of policies and hosts: learning type `user_profile`, content `{}`, created in
    /// 1970, revision `1`.
    #[must_use]
    pub fn owned_by(owner: Option<&str>) -> Self {
        Self {
            learning_type: "user_profile".to_owned(),
            namespace: None,
            user_id: owner.map(str::to_owned),
            agent_id: None,
            team_id: None,
            workflow_id: None,
            session_id: None,
            entity_id: None,
            entity_type: None,
            content: "{}".to_owned(),
            metadata: None,
            created_at: 0,
            updated_at: None,
            revision: "1".to_owned(),
        }
    }
}

impl StorageError {
    /// Creates an error of this kind. `message` is for the log and must not contain a secret.
    pub fn new(kind: StorageErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl IdentityError {
    /// Creates an error of this kind about this credential. `message` is for the log and must not contain a secret.
    pub fn new(kind: IdentityErrorKind, credential: Credential, message: impl Into<String>) -> Self {
        Self { kind, credential, message: message.into() }
    }
}
