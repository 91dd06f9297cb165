//! Tests through the public doors: the component file, the library, the binary, HTTP.
//!
//! They run the real binary on real database files. What needs more than Rust and a C compiler is looked for, said in
//! one line where it is missing, and demanded where `CI` is set.
#![allow(unreachable_pub, reason = "one program of many modules: there is nobody outside to reach anything")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect fails, and so it should"
)]
#![allow(clippy::print_stderr, reason = "what is left out is said where a person looks")]

#[path = "agno/mod.rs"]
mod agno;
mod cli;
mod embedding;
mod http;
mod malicious_policies;
mod model;
mod schemathesis;
mod storage;
mod support;
