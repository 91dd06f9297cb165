//! `delete-learning check`.

use crate::support::database::project;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn check(component: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("check").arg(component).args(arguments).output().expect("the binary runs")
}

fn shipped() -> std::path::PathBuf {
    project("guest/policy/component/delete-learning.wasm")
}

#[test]
fn the_shipped_policy_fits_and_passes() {
    let output = check(&shipped(), &[]);
    let shown = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{shown}");
    for part in ["learnings:plugin/storage@0.1.0", "learnings:plugin/identity@0.1.0", "fits", "cases passed"] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    let output = check(&shipped(), &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["fits"], &report["passed"]), (&Value::Bool(true), &report["cases"]));
    assert!(report["cases"].as_u64().is_some_and(|cases| cases > 100));
    assert_eq!(report["results"].as_array().map(Vec::len).map(Value::from), Some(report["cases"].clone()));
}

#[test]
fn what_does_not_fit_is_told_why() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let shipped = std::fs::read(shipped()).expect("the component");
    for (name, bytes, reason) in [
        ("empty.wasm", &b""[..], "not a valid WebAssembly component"),
        ("module.wasm", b"\0asm\x01\0\0\0", "core WebAssembly module"),
        ("truncated.wasm", &shipped[..shipped.len() / 2], "not a valid WebAssembly component"),
        ("nothing.wasm", b"\0asm\x0d\0\x01\0", "does not implement the world"),
        ("text.wasm", b"(component)", "not a valid WebAssembly component"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("a file can be written");
        let output = check(&file, &[]);
        let shown = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.code() == Some(1) && shown.contains(reason), "{name}: {shown}");
        let report: Value = serde_json::from_slice(&check(&file, &["--json"]).stdout).expect("JSON");
        assert!(report["reason"].as_str().is_some_and(|told| told.contains(reason)), "{report}");
    }
    let output = check(Path::new("/nowhere/policy.wasm"), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/policy.wasm"));
}
