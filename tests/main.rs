//! Tests through the public interfaces: the component file, the library, the binary and HTTP.
//!
//! They run the real binary on real database files. A test that needs more than Rust and a C compiler prints one line and
//! is skipped if the program is missing, and fails if `CI` is set.
#![allow(unreachable_pub, reason = "the test program has no public interface")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "skipped tests are reported on standard error")]

#[path = "agno/mod.rs"]
mod agno;
mod audit;
mod cli;
mod compatibility;
mod embedding;
mod http;
mod malicious_policies;
mod model;
mod observability;
mod packages;
mod schemathesis;
mod storage;
mod support;
