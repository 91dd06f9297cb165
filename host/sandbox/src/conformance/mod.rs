//! Runs the conformance cases on a policy, and compares a component with the default policy.
//!
//! The cases are data in `tests/conformance`; embedders in other languages run the same files. They are compiled in, so
//! that a component can be checked on any machine.

mod case;
mod compare;
mod files;
mod forms;
mod record;
mod run;
mod storage;
mod validate;
mod variants;

pub use case::{Answer, Case, Expectation, Observation};
pub use compare::{Comparison, Distinction, Group, compare, distinctions};
pub use files::{CASE_FILES, CaseError, cases, parse};
pub use run::{CaseResult, call_name, run};
pub use variants::{Variant, variants};
