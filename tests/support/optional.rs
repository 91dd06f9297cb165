//! What a machine may lack.

use std::path::PathBuf;

/// The Python that has the real Agno: `AGNO_PYTHON`. None where it is not set, with one line that says what is left out.
///
/// # Panics
/// Where `CI` is set: there a skip is a failure.
pub fn agno_python(left_out: &str) -> Option<PathBuf> {
    python("AGNO_PYTHON", "Agno", left_out)
}

/// The Python that has schemathesis: `SCHEMATHESIS_PYTHON`. The rules of [`agno_python`] apply.
///
/// # Panics
/// As there.
pub fn schemathesis_python(left_out: &str) -> Option<PathBuf> {
    python("SCHEMATHESIS_PYTHON", "schemathesis", left_out)
}

fn python(variable: &str, package: &str, left_out: &str) -> Option<PathBuf> {
    let python = std::env::var_os(variable).map(PathBuf::from);
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set, and CI leaves nothing out");
        eprintln!("left out, as {variable} names no Python with {package}: {left_out}");
    }
    python
}

/// Whether these programs are all there; if not, one line says what is left out.
///
/// # Panics
/// Where one is missing and `CI` is set.
pub fn tools(names: &[&str], left_out: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{missing:?} is missing, and CI leaves nothing out");
    eprintln!("left out, as {missing:?} is missing: {left_out}");
    false
}

/// Whether this environment variable is `1`.
///
/// # Panics
/// Where it has another value.
pub fn is_enabled(variable: &str) -> bool {
    match std::env::var(variable).as_deref() {
        Err(_) => false,
        Ok("1") => true,
        Ok(other) => panic!("{variable} is {other:?}; it can only be \"1\""),
    }
}
