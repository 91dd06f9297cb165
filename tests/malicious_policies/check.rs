//! `delete-learning check` says of every hostile component what is wrong with it.

use super::{COMPONENTS, text};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn check(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.arg("check").arg(file).args(arguments).output().expect("the binary runs")
}

fn report(file: &Path) -> Value {
    let output = check(file, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}: {output:?}", file.display());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn each_is_refused_with_a_reason_or_fails_cases() {
    let folder = TempDir::new().expect("a folder");
    for (name, verb, component) in COMPONENTS {
        let file = folder.path().join(name);
        std::fs::write(&file, text::bytes(component)).expect("a file can be written");
        let report = report(&file);
        let is_refused = *verb == "refused";
        assert_eq!(report["fits"], !is_refused, "{name}: {report}");
        if is_refused {
            assert!(report["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{name}: {report}");
        } else {
            // Cases in which it must fail are among those that were run, and what it did instead is said.
            let passed = report["passed"].as_u64().expect("a number");
            assert!(report["cases"].as_u64().is_some_and(|cases| passed < cases), "{name}: {report}");
            assert!(report["results"].as_array().is_some_and(|results| !results.is_empty()), "{name}: {report}");
        }
    }
}

#[test]
fn one_that_spins_is_given_up_and_that_is_said() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("spins.wasm");
    std::fs::write(&file, text::bytes(include_str!("spins_before_calls.wat"))).expect("a file can be written");
    let shown = String::from_utf8(check(&file, &[]).stdout).expect("text");
    assert!(shown.contains("0 of 5 cases passed") && shown.contains("skipped after 5 violations"), "{shown}");
    assert!(shown.contains("CPU time limit"), "{shown}");
    assert_eq!(report(&file)["given_up"], true);
}

#[test]
fn a_file_too_large_for_a_policy_is_refused_before_it_is_read() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("large.wasm");
    // A hole of a terabyte: reading all of it would be noticed.
    std::fs::File::create(&file).and_then(|file| file.set_len(1 << 40)).expect("a file with a hole");
    let report = report(&file);
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains("max_component_bytes")), "{report}");
    assert_eq!((&report["bytes"], &report["fits"]), (&Value::from(1_u64 << 40), &Value::Bool(false)));
}
