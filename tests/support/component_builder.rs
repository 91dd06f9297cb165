//! The program `component-builder`, installed as the README documents.

use crate::support::database::repository_path;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of the build artifacts of the program and of the crates that it builds.
pub fn target_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-builder")
}

/// Installs the program, once for all tests, and returns its directory.
pub fn install() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let root = target_directory().join("installed");
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
            .args(["install", "--locked", "--path", "guest/builder", "--debug", "--root"])
            .arg(&root)
            .current_dir(repository_path(""))
            .env("CARGO_TARGET_DIR", target_directory())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        root.join("bin")
    };
    INSTALLED.get_or_init(install).clone()
}
