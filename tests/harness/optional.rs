//! What a machine may lack.

use std::path::PathBuf;

/// The Python that has the real Agno: `AGNO_PYTHON`. None where it is not set, with one line that says what is left out.
///
/// # Panics
/// Where `CI` is set: there a skip is a failure.
pub fn agno_python(left_out: &str) -> Option<PathBuf> {
    let python = std::env::var_os("AGNO_PYTHON").map(PathBuf::from);
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "AGNO_PYTHON is not set, and CI leaves nothing out");
        eprintln!("left out, as AGNO_PYTHON names no Python with Agno: {left_out}");
    }
    python
}
