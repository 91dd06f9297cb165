//! The default policy for deleting a learning.
//!
//! [`delete_learning`] is the whole policy: one async function that makes every decision and calls a [`PolicyHost`] for
//! everything else. It compiles natively and to WebAssembly; a native program, a test and the component run the same
//! code. On a WebAssembly target, the feature `component` exports it as the contract in `wit/` specifies.
//!
//! ```
//! use delete_learning_policy::*;
//! use std::future::Future;
//! use std::pin::pin;
//! use std::task::{Context, Poll, Waker};
//!
//! /// One request: who makes it, and the owner of the record that it names.
//! struct OneRequest {
//!     caller: Caller,
//!     owner: &'static str,
//! }
//!
//! impl PolicyHost for OneRequest {
//!     async fn caller(&self) -> Result<Caller, IdentityError> {
//!         Ok(self.caller.clone())
//!     }
//!     async fn locate(&self) -> Result<Target, StorageError> {
//!         Ok(Target { database: "main".to_owned(), table: "agno_learnings".to_owned() })
//!     }
//!     async fn find(&self) -> Result<Option<Learning>, StorageError> {
//!         Ok(None)
//!     }
//!     async fn delete(&self) -> Result<Outcome, StorageError> {
//!         Ok(Outcome::Deleted)
//!     }
//!     async fn delete_if_owned_by(&self, user_id: &str) -> Result<Outcome, StorageError> {
//!         Ok(if user_id == self.owner { Outcome::Deleted } else { Outcome::OwnedByAnother })
//!     }
//!     async fn delete_if_unchanged(&self, _revision: &str) -> Result<Outcome, StorageError> {
//!         Ok(Outcome::Absent)
//!     }
//! }
//!
//! let caller = Caller {
//!     credential: Credential::Jwt,
//!     subject: Some("alice".to_owned()),
//!     scopes: vec!["learnings:delete".to_owned()],
//!     scopes_optional: false,
//!     all_owners: false,
//!     admin_scope: "agent_os:admin".to_owned(),
//! };
//! let request = DeleteRequest { learning_id: "user_memory_7".to_owned(), db_id: None, table: None };
//!
//! let host = OneRequest { caller, owner: "bob" };
//! let mut decision = pin!(delete_learning(&request, &host));
//! let Poll::Ready(result) = decision.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
//!     panic!("this host never waits");
//! };
//! // Another user's record is answered like a missing one.
//! assert_eq!(result.unwrap_err().code, ErrorCode::NotFound);
//! ```
//!
//! To extend the policy, call it from a policy of one's own: with another host, such as `delete_learning_sdk::Guarded`,
//! which applies a rule to each record that the policy would delete. Such a crate disables the default feature `component`,
//! which exports this policy.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod policy;

pub use delete_learning_sdk::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Learning, Outcome, PolicyHost,
    Rejection, StorageError, StorageErrorKind, Target,
};
pub use policy::delete_learning;

#[cfg(feature = "component")]
delete_learning_sdk::export_policy!(delete_learning);
