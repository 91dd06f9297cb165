//! `delete-learning check`.

use crate::support::database::repository_path;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn check(component: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("check").arg(component).args(arguments).output().expect("the binary runs")
}

fn default_policy() -> std::path::PathBuf {
    repository_path("guest/policy/component/delete-learning.wasm")
}

#[test]
fn check_of_default_policy_passes() {
    let output = check(&default_policy(), &[]);
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{stdout}");
    for part in ["learnings:plugin/storage@0.1.0", "learnings:plugin/identity@0.1.0", "fits", "cases passed"] {
        assert!(stdout.contains(part), "{part:?} is not in {stdout}");
    }
    let output = check(&default_policy(), &["--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["fits"], &report["passed"]), (&Value::Bool(true), &report["cases"]));
    assert!(report["cases"].as_u64().is_some_and(|cases| cases > 100));
    assert_eq!(report["results"].as_array().map(Vec::len).map(Value::from), Some(report["cases"].clone()));
}

#[test]
fn check_of_invalid_component_reports_the_reason() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let default_policy = std::fs::read(default_policy()).expect("the component");
    for (name, bytes, reason) in [
        ("empty.wasm", &b""[..], "not a valid WebAssembly component"),
        ("module.wasm", b"\0asm\x01\0\0\0", "core WebAssembly module"),
        ("truncated.wasm", &default_policy[..default_policy.len() / 2], "not a valid WebAssembly component"),
        ("nothing.wasm", b"\0asm\x0d\0\x01\0", "does not implement the world"),
        ("text.wasm", b"(component)", "not a valid WebAssembly component"),
    ] {
        let file = directory.path().join(name);
        std::fs::write(&file, bytes).expect("a file can be written");
        let output = check(&file, &[]);
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.code() == Some(1) && stdout.contains(reason), "{name}: {stdout}");
        let report: Value = serde_json::from_slice(&check(&file, &["--format", "json"]).stdout).expect("JSON");
        assert!(report["reason"].as_str().is_some_and(|text| text.contains(reason)), "{report}");
    }
    let output = check(Path::new("/nowhere/policy.wasm"), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/policy.wasm"));
}
