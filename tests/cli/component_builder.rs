//! The program `component-builder`, which is of use only with a toolchain for WebAssembly. Without one it is not built, which takes
//! half a minute.

use crate::support::component_builder::{install, target_directory};
use crate::support::optional::has_wasm_toolchain;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(install().join("component-builder"));
    command
        .args(arguments)
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", target_directory())
        .output()
        .expect("it runs")
}

#[test]
fn builder_prints_its_help() {
    if !has_wasm_toolchain("the help of component-builder") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    for option in ["--help", "-h"] {
        let output = run(directory.path(), &[option]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && stdout.contains("component-builder [DIRECTORY] [--output FILE]"),
            "{stdout}"
        );
    }
}

#[test]
fn builder_without_crate_reports_the_reason() {
    if !has_wasm_toolchain("component-builder without a crate") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    for (arguments, reason) in [
        (&[][..], "Cargo.toml does not exist"),
        (&["nowhere"], "cannot open the directory nowhere"),
        (&["--verbose"], "unknown option --verbose"),
        (&["a", "b"], "more than one directory"),
        (&["--output"], "--output requires a file"),
    ] {
        let output = run(directory.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(reason), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("component-builder: "), "{stderr}");
    }
}
