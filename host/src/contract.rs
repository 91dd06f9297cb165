//! The contract of `wit/`, as Rust types.
//!
//! They are generated, so a name in the contract is the same name here, and its meaning is written there.

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
    });
}

pub(crate) use bindings::learnings::plugin::{identity, storage, types};
pub(crate) use bindings::{Plugin, PluginPre};

pub use identity::{Caller, Credential, IdentityError, IdentityErrorKind};
pub use storage::{Learning, Outcome, StorageError, StorageErrorKind, Target};
pub use types::{ErrorCode, Rejection, Request};

impl ErrorCode {
    /// The one HTTP status that belongs to this code.
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

    /// How callers see this code in `error_code`.
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

impl Learning {
    /// A record of which only the owner is of account, for tests of policies and hosts: the learning type
    /// `user_profile`, content `{}`, made in 1970, revision `1`.
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
    /// An error of this kind; `message` is for the log alone and must hold no secret.
    pub fn new(kind: StorageErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl IdentityError {
    /// An error of this kind about this credential; `message` is for the log alone and must hold no secret.
    pub fn new(kind: IdentityErrorKind, credential: Credential, message: impl Into<String>) -> Self {
        Self { kind, credential, message: message.into() }
    }
}
