//! `delete-learning check` on the malicious components.

use super::{COMPONENTS, text};
use crate::support::optional::is_enabled;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn check(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("check").arg(file).args(arguments).output().expect("the server binary runs")
}

fn report(file: &Path) -> Value {
    let output = check(file, &["--format", "json"]);
    // 1 for a violation, 3 and 4 for a policy that differs from the default policy without one.
    assert!(matches!(output.status.code(), Some(1 | 3 | 4)), "{}: {output:?}", file.display());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn check_reports_load_error_or_failed_cases() {
    let directory = TempDir::new().expect("a temporary directory");
    // Each takes more than half a second of processor time, so a part of them is checked unless `EXHAUSTIVE=1`.
    let one_in = if is_enabled("EXHAUSTIVE") { 1 } else { 17 };
    for (name, expectation, component) in COMPONENTS.iter().step_by(one_in) {
        let file = directory.path().join(name);
        std::fs::write(&file, text::bytes(component)).expect("the file is written");
        let report = report(&file);
        let fails_to_load = *expectation == "fails_to_load";
        assert_eq!(report["fits"], !fails_to_load, "{name}: {report}");
        if fails_to_load {
            assert!(
                report["components"][0]["reason"].as_str().is_some_and(|reason| reason.len() > 20),
                "{name}: {report}"
            );
        } else {
            let results = report["results"].as_array().expect("results");
            assert!(results.iter().any(|result| result["passed"] == false), "{name}: {report}");
        }
    }
}

#[test]
fn check_of_spinning_policy_skips_remaining_cases() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("spins.wasm");
    std::fs::write(&file, text::bytes(include_str!("spins_before_calls.wat"))).expect("the file is written");
    let output = String::from_utf8(check(&file, &[]).stdout).expect("text");
    assert!(output.starts_with("VIOLATION   of the contract or a limit in 5 cases"), "{output}");
    assert!(output.contains("skipped after 5 violations"), "{output}");
    assert!(output.contains("CPU time limit"), "{output}");
    assert_eq!(report(&file)["given_up"], true);
}

#[test]
fn check_of_oversized_file_fails_without_reading_it() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("large.wasm");
    // A sparse file of a terabyte: reading all of it would exceed the time and memory of the test.
    std::fs::File::create(&file).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let report = report(&file);
    let component = &report["components"][0];
    assert!(component["reason"].as_str().is_some_and(|reason| reason.contains("max_component_bytes")), "{report}");
    assert_eq!((&component["bytes"], &report["fits"]), (&Value::from(1_u64 << 40), &Value::Bool(false)));
}
