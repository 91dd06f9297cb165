//! A version of the contract does not change, and components built against it still run.
//!
//! `tests/compatibility/VERSION` contains the contract of a version, and components that were built against it.

mod components;
mod contract;
mod snapshot;
