//! Components that cannot be loaded.

use super::{Files, check, check_json, check_text, default_policy, fixtures};
use serde_json::json;

#[test]
fn check_of_invalid_component_reports_the_reason() {
    let files = Files::new();
    let default_policy = std::fs::read(default_policy()).expect("the component");
    for (name, bytes, reason) in [
        ("empty.wasm", &b""[..], "not a valid WebAssembly component"),
        ("module.wasm", b"\0asm\x01\0\0\0", "core WebAssembly module"),
        ("truncated.wasm", &default_policy[..default_policy.len() / 2], "not a valid WebAssembly component"),
        ("nothing.wasm", b"\0asm\x0d\0\x01\0", "does not implement the world"),
        ("text.wasm", b"(component)", "not a valid WebAssembly component"),
    ] {
        let file = files.write(name, bytes);
        let (code, text) = check_text(&[&file]);
        assert!(code == Some(1) && text.contains(reason), "{name}: {text}");
        let (code, report) = check_json(&[&file]);
        let component = &report["components"][0];
        assert!(component["reason"].as_str().is_some_and(|text| text.contains(reason)), "{report}");
        assert_eq!((code, &report["fits"], &report["results"]), (Some(1), &json!(false), &json!([])));
        let lines = check(&[&file, "--format", "jsonl"]);
        assert!(lines.stdout.is_empty() && String::from_utf8_lossy(&lines.stderr).contains(reason), "{lines:?}");
    }
    let output = check(&["/nowhere/policy.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/policy.wasm"));
}

#[test]
fn check_without_component_and_configuration_is_a_usage_error() {
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("COMPONENT"), "{output:?}");
}

#[test]
fn check_of_policy_without_its_grant_prints_the_line_to_add() {
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::DELETES_IN_OFFICE_HOURS));
    let (code, text) = check_text(&[&file]);
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "world       policy",
        "wasi:clocks/wall-clock@0.2.0  (needs a grant)",
        r#"grants = ["wasi:clocks/wall-clock@0.2.0"]"#,
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let (_, report) = check_json(&[&file]);
    let component = &report["components"][0];
    assert_eq!(component["grants_needed"], json!(["wasi:clocks/wall-clock@0.2.0"]));
    assert_eq!(component["compile_ms"], json!(null), "it was not compiled");
}

#[test]
fn check_help_documents_exit_codes() {
    let (code, text) = check_text(&["--help"]);
    assert_eq!(code, Some(0));
    for part in ["Exit codes:", "3  Stricter", "4  Laxer"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}
