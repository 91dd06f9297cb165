//! The native module of the Python package `delete-learning`: the sandbox, and decisions as steps.
//!
//! A decision never calls Python from here. It runs until it needs the host, returns which function of `storage` to call,
//! and continues with the result. So the host's own code runs in its own thread or event loop, keeps its traceback, and
//! can be interrupted. `python/delete_learning/_decision.py` validates what the host's code returns.

mod decision;
mod host_value;
mod names;
mod run;
mod sandbox;

use pyo3::prelude::*;

/// What `delete_learning` is built on. It is not a public interface.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::decision::Decision;
    #[pymodule_export]
    use super::run::Run;
    #[pymodule_export]
    use super::sandbox::{Guard, Policy, Sandbox};
    use pyo3::prelude::*;
    use std::path::PathBuf;

    /// Returns the name and the text of every file of conformance cases.
    #[pyfunction]
    fn conformance_files() -> Vec<(&'static str, &'static str)> {
        delete_learning::conformance::CASE_FILES.to_vec()
    }

    /// Returns what is wrong with these limits, which are JSON; `None` if they are valid.
    #[pyfunction]
    fn check_limits(limits: &str) -> Option<String> {
        super::sandbox::parse_limits(limits).err()
    }

    /// Returns the reason why a directory cannot cache compiled code; `None` if it can. Creates it if it does not exist.
    #[pyfunction]
    fn check_cache(directory: PathBuf) -> Option<String> {
        delete_learning::Cache::open(&directory).err().map(|error| error.to_string())
    }
}
