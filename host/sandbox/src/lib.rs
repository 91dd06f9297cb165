//! Embeds a policy on deleting learnings: a WebAssembly component that decides on one request, in a sandbox with limits.
//!
//! An embedder supplies two things: the authenticated [`Caller`], and [`RecordStorage`] for the one record that the
//! request names. [`Policy::decide`] runs the policy in a fresh instance, validates everything that it returns, and
//! reports the [`Decision`] together with what happened to the record.
//!
//! ```
//! use delete_learning::storage::{Database, Databases, MemoryStore};
//! use delete_learning::{Caller, Credential, DEFAULT_POLICY, DeleteRequest, Limits, Policy, RecordOutcome};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::load(DEFAULT_POLICY, &Limits::default())?;
//! let databases = Databases(vec![Database {
//!     id: "main".to_owned(),
//!     table: "agno_learnings".to_owned(),
//!     store: Arc::new(MemoryStore::default()),
//! }]);
//! let request = DeleteRequest { learning_id: "user_memory_7".to_owned(), db_id: None, table: None };
//! let caller = Caller {
//!     credential: Credential::Jwt,
//!     subject: Some("alice".to_owned()),
//!     scopes: vec!["learnings:delete".to_owned()],
//!     scopes_optional: false,
//!     all_owners: false,
//!     admin_scope: "agent_os:admin".to_owned(),
//! };
//! let record = databases.record(&request);
//! let decision = policy.decide(request, Ok(caller), record).await;
//! assert_eq!(decision.rule(), "learning-absent");
//! assert_eq!(decision.record, RecordOutcome::NotDeleted);
//! # Ok(())
//! # }
//! ```
//!
//! A policy can have guards: components between it and the record, which can only retain records. A [`Sandbox`] loads
//! both, with settings and with what they are granted of WASI:
//!
//! ```no_run
//! use delete_learning::{Access, DEFAULT_POLICY, Limits, Sandbox};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::default();
//! let sandbox = Sandbox::new(&limits, None)?;
//! let mut access = Access::default();
//! access.settings.insert("held_users".to_owned(), r#"["alice"]"#.to_owned());
//! let legal_hold = delete_learning::read(Path::new("legal-hold.wasm"), &limits)?;
//! let guard = sandbox.load_guard("legal-hold", &legal_hold, &access)?;
//! let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), vec![guard])?;
//! # Ok(())
//! # }
//! ```
//!
//! One request goes through these modules in order: `policy` (permits, the fresh instance), `offload` (a policy that
//! computes for long moves to a low-priority thread), `deadline` (the timeouts), `host_state` (the calls of the policy),
//! `guard` and `guard_rules` (the guards), `decision` (validates the result).

mod access;
mod cache;
pub mod conformance;
mod contract;
mod deadline;
mod decide;
mod decision;
mod description;
mod digest;
mod engine;
mod error;
mod guard;
mod guard_rules;
mod host_state;
mod limits;
mod offload;
mod policy;
mod read;
mod resource_limits;
mod sandbox;
pub mod storage;
pub mod testkit;
mod wasi;

pub use access::Access;
pub use cache::Cache;
pub use contract::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Learning, Outcome, Rejection,
    StorageError, StorageErrorKind, Target,
};
pub use decide::Decide;
pub use decision::{ComponentReport, Decision, Digests, RecordOutcome};
pub use description::{Description, World, describe};
pub use digest::{Digest, InvalidDigest};
pub use engine::engine;
pub use error::{CacheError, LimitError, LoadError, PolicyError, ReadError};
pub use guard::Guard;
pub use host_state::HostCall;
pub use limits::Limits;
pub use policy::{DEFAULT_POLICY, Policy};
pub use read::read;
pub use sandbox::Sandbox;
pub use storage::{Condition, LearningStore, RecordStorage};
pub use wasi::CapturedOutput;

/// What the asynchronous methods of the traits return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The README's Rust example, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
