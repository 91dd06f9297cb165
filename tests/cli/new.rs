//! `delete-learning new`: the crate that it creates passes its tests, builds and checks, outside the repository.
//!
//! Without a toolchain for WebAssembly, only the tests of the two templates run, as modules of this program.

use crate::support::component_builder::{install, target_directory};
use crate::support::database::repository_path;
use crate::support::optional::has_wasm_toolchain;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

#[path = "../../host/server/src/cli/new/templates/guard.rs"]
mod guard;
#[path = "../../host/server/src/cli/new/templates/policy.rs"]
mod policy;

fn new(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("new").args(arguments).current_dir(directory).output().expect("the binary runs")
}

/// Creates a crate whose dependencies have the versions of this repository, which are downloaded already.
fn create(directory: &Path, arguments: &[&str]) -> PathBuf {
    let output = new(directory, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = directory.join(arguments[0]);
    fs::copy(repository_path("Cargo.lock"), path.join("Cargo.lock")).expect("the lock file is copied");
    path
}

/// Returns the commands in the README of a crate.
fn commands(path: &Path) -> Vec<String> {
    let readme = fs::read_to_string(path.join("README.md")).expect("the README");
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(|line| line.split_once(" #").map_or(line, |(command, _)| command).trim().to_owned()).collect()
}

/// Runs a command of the README in the directory of a crate, with these directories of programs.
fn run(path: &Path, command: &str, programs: &[PathBuf]) {
    let system = std::env::var_os("PATH").unwrap_or_default();
    let search: Vec<PathBuf> = programs.iter().cloned().chain(std::env::split_paths(&system)).collect();
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(path)
        .env("PATH", std::env::join_paths(search).expect("a search path"))
        .env("CARGO_TARGET_DIR", target_directory())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .expect("sh runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}:\n{stdout}\n{stderr}");
}

#[test]
fn new_crate_passes_its_tests_and_builds() {
    if !has_wasm_toolchain("testing and building the crates of `delete-learning new`") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let policy = create(directory.path(), &["my-policy"]);
    let guard = create(directory.path(), &["my_guard", "--guard"]);
    for path in [&policy, &guard] {
        run(path, &commands(path)[0], &[]);
    }
    let server = Path::new(env!("CARGO_BIN_EXE_delete-learning")).parent().expect("a directory").to_owned();
    let programs = [install(), server];
    for path in [&policy, &guard] {
        run(path, &commands(path)[1], &programs);
    }
    run(&policy, &commands(&policy)[2], &programs);
    assert_eq!(commands(&policy), ["cargo test", "component-builder", "delete-learning check my-policy.wasm"]);
    assert_eq!(commands(&guard), ["cargo test", "component-builder", "delete-learning check my_guard.wasm"]);
    for path in [&policy, &guard] {
        let readme = fs::read_to_string(path.join("README.md")).expect("the README");
        assert!(readme.contains(&format!("{}.wasm", path.file_name().and_then(|name| name.to_str()).expect("a name"))));
        let ignored = fs::read_to_string(path.join(".gitignore")).expect("the file");
        assert_eq!(ignored, "/target\n/*.wasm\n");
    }
}

#[test]
fn new_in_existing_directory_is_refused() {
    let directory = TempDir::new().expect("a directory");
    fs::create_dir(directory.path().join("taken")).expect("a directory");
    fs::write(directory.path().join("file"), "content").expect("a file");
    for name in ["taken", "file"] {
        let output = new(directory.path(), &[name]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains("exists already"), "{stderr}");
    }
    assert_eq!(fs::read_dir(directory.path().join("taken")).expect("a directory").count(), 0);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "nothing is left behind");
}

#[test]
fn new_with_invalid_name_is_refused() {
    let directory = TempDir::new().expect("a directory");
    for name in ["", "../policy", "my policy", "1st", "fn", "std", "delete-learning-sdk", "ä"] {
        let output = new(directory.path(), &[name, "--guard"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains("cannot be the name of a crate"), "{stderr}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0, "nothing is left behind");
}
