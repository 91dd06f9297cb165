//! Conformance: what a policy decides, held against cases that are data.
//!
//! The cases and their format are in `tests/conformance`; hosts in other languages run the same. They are compiled in,
//! so that `delete-learning check` judges a component on any machine.

mod case;
mod run;

pub use case::{Case, Expected, cases};
pub use run::{Observed, run};
