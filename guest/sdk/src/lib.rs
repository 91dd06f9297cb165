//! Write a policy or a guard on deleting learnings.
//!
//! A **policy** decides on a request: one async function over a [`PolicyHost`], exported by [`export_policy!`]. A
//! **guard** stands between a policy and the storage, and can only retain records: one function on the record, the caller
//! and the [`Environment`], exported by [`export_guard!`]; [`Guarded`] does the rest. Both compile natively, for tests with
//! the doubles of [`testing`], and to WebAssembly without `std` and without WASI, which `component-builder` makes a
//! component.
//!
//! A policy can call another one with a wrapped host. This one applies a rule to the records that an administrator would
//! delete; [`PolicyHost`] has the methods to write one from scratch:
//!
//! ```
//! use delete_learning_sdk::testing::{TestHost, alice, learning, request, run};
//! use delete_learning_sdk::*;
//!
//! pub async fn owners_only(request: &DeleteRequest, host: &impl PolicyHost) -> Result<(), Rejection> {
//!     let forbidden = |rule: &str| Rejection::new(ErrorCode::Forbidden, rule, "Only the owner can delete this".into());
//!     let caller = host.caller().await.map_err(|_| forbidden("no-caller"))?;
//!     let subject = caller.subject.ok_or_else(|| forbidden("no-subject"))?;
//!     match host.delete_if_owned_by(&subject).await {
//!         Ok(Outcome::Deleted) => Ok(()),
//!         _ => Err(forbidden("not-owner")),
//!     }
//! }
//!
//! export_policy!(owners_only);
//!
//! let host = TestHost::new(alice()).with_record(learning());
//! assert_eq!(run(owners_only(&request(), &host)), Ok(()));
//! ```
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

#[doc(hidden)]
pub mod contract;
mod export;
mod guarded;
mod host;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[cfg(target_family = "wasm")]
mod bump_allocator;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod component;

#[doc(hidden)]
pub use alloc::string::String;
pub use contract::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Learning, Outcome, Rejection,
    StorageError, StorageErrorKind, Target, is_valid_detail,
};
pub use guarded::Guarded;
pub use host::{Environment, PolicyHost, SettingError};
