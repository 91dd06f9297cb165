//! Runs the conformance cases on a policy.
//!
//! The cases are data in `tests/conformance`; embedders in other languages run the same files. They are compiled in, so
//! that a component can be checked on any machine.

mod case;
mod run;

pub use case::{Answer, Case, Observation, cases};
pub use run::{CaseResult, run};
