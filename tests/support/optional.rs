//! Programs that a machine can lack. A test that needs one is skipped without it, and fails if `CI` is set.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Returns the Python with the real Agno, from `AGNO_PYTHON`. If it is not set, prints one line with what is skipped.
///
/// # Panics
/// If `AGNO_PYTHON` is not set and `CI` is set.
pub fn agno_python(skipped: &str) -> Option<PathBuf> {
    python("AGNO_PYTHON", "Agno", skipped)
}

/// Returns the Python with schemathesis, from `SCHEMATHESIS_PYTHON`. If it is not set, prints one line with what is
/// skipped.
///
/// # Panics
/// If `SCHEMATHESIS_PYTHON` is not set and `CI` is set.
pub fn schemathesis_python(skipped: &str) -> Option<PathBuf> {
    python("SCHEMATHESIS_PYTHON", "schemathesis", skipped)
}

/// Returns the Python with a verifier of logs in the C2SP formats, from `AUDIT_PYTHON`. If it is not set, prints one line with
/// what is skipped.
///
/// # Panics
/// If `AUDIT_PYTHON` is not set and `CI` is set.
pub fn audit_python(skipped: &str) -> Option<PathBuf> {
    python("AUDIT_PYTHON", "aics-tlog", skipped)
}

fn python(variable: &str, package: &str, skipped: &str) -> Option<PathBuf> {
    let python = std::env::var_os(variable).map(PathBuf::from);
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set, and CI must not skip tests");
        print_skipped(&format!("skipped, because {variable} does not name a Python with {package}: {skipped}"));
    }
    python
}

/// Returns whether all of these programs are in `PATH`. If not, prints one line with what is skipped.
///
/// # Panics
/// If a program is missing and `CI` is set.
pub fn has_tools(names: &[&str], skipped: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exists = |name: &str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    let missing: Vec<&str> = names.iter().copied().filter(|name| !exists(name)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{missing:?} is missing, and CI must not skip tests");
    print_skipped(&format!("skipped, because {missing:?} is missing: {skipped}"));
    false
}

/// Returns whether this machine can compile to WebAssembly, as `component-builder` does. If not, prints one line with what is
/// skipped.
///
/// # Panics
/// If it cannot and `CI` is set.
pub fn has_wasm_toolchain(skipped: &str) -> bool {
    let sysroot = |rustc: &str| {
        let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()).join("lib/rustlib"))
    };
    let has = |rustc: &str, path: &str| sysroot(rustc).is_some_and(|rustlib| rustlib.join(path).is_dir());
    if has("rustc", "wasm32-unknown-unknown/lib") || has("/usr/bin/rustc", "src/rust/library/core") {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "no toolchain for wasm32-unknown-unknown, and CI must not skip tests");
    print_skipped(&format!("skipped, because there is no toolchain for wasm32-unknown-unknown: {skipped}"));
    false
}

/// Returns whether this environment variable is `1`.
///
/// # Panics
/// If it has another value.
pub fn is_enabled(variable: &str) -> bool {
    match std::env::var(variable).as_deref() {
        Err(_) => false,
        Ok("1") => true,
        Ok(other) => panic!("{variable} is {other:?}; it can only be \"1\""),
    }
}

/// Prints what is skipped. `eprintln!` would not show it, because the test harness captures what passing tests print.
///
/// # Panics
/// If standard error cannot be written to.
pub fn print_skipped(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error can be written to");
}
