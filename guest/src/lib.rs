//! The policy on deleting a learning.
//!
//! [`policy`] holds every decision, as plain Rust without input or output: natively testable, and the same code in a
//! native program as in the component. On a wasm target, `component` wraps it in the contract of `wit/`.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

pub mod policy;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod memory;
