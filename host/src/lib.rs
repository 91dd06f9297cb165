//! Deletes learnings as a sandboxed policy decides.
//!
//! A platform that stores what its agents learn gives a policy two things: who is calling ([`Identity`]) and the one
//! record that is asked for ([`Storage`]). The policy, a WebAssembly component, decides and deletes in one step.
//! [`Plugin`] runs it, every request in a fresh instance, within [`Limits`].
//!
//! [`Server`] is such a platform, finished: the endpoint `DELETE /learnings/{learning_id}` of the Agno API, on real
//! databases, with real credentials, from a [`Config`]. The binary `delete-learning` runs it.
//!
//! The way of a request: [`http`] reads it, [`identity::Authenticator`] finds its caller, [`storage::Databases`] the
//! record that it names, [`Plugin`] decides, [`audit`] keeps the decision, [`http`] answers.

pub mod audit;
pub mod config;
pub mod conformance;
mod contract;
pub mod http;
pub mod identity;
mod limits;
pub mod plugin;
pub mod storage;

pub use config::Config;
pub use contract::{
    Caller, Credential, ErrorCode, IdentityError, IdentityErrorKind, Learning, Outcome, Rejection, Request,
    StorageError, StorageErrorKind, Target,
};
pub use http::Server;
pub use identity::Identity;
pub use limits::Limits;
pub use plugin::{DELETE_LEARNING, Decision, Plugin, Wasi};
pub use storage::{Condition, Storage};

/// What the asynchronous functions of the traits return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The README's Rust example, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
