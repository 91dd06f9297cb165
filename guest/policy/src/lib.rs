//! The default policy for deleting a learning.
//!
//! [`delete_learning`] is the whole policy: one async function that makes every decision and calls a [`PolicyHost`] for
//! everything else. It compiles natively and to WebAssembly; a native program, a test and the component run the same
//! code. On a WebAssembly target, the module `component` exports it as the contract in `wit/` specifies.
//!
//! To extend the policy, wrap the host: implement [`PolicyHost`] for a type that applies further rules and forwards to
//! another host, and pass it to [`delete_learning`].
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod contract;
mod host;
mod policy;

#[cfg(target_family = "wasm")]
mod bump_allocator;
#[cfg(target_family = "wasm")]
mod component;

pub use contract::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Learning, Outcome, Rejection,
    StorageError, StorageErrorKind, Target,
};
pub use host::PolicyHost;
pub use policy::delete_learning;
