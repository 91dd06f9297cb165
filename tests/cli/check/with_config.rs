//! `--config`: limits, grants, settings, pins and guards of a configuration.

use super::{Files, check, check_json, check_text, default_policy, fixtures, summary};
use delete_learning::Digest;
use serde_json::json;

const CLOCK: &str = r#"grants = ["wasi:clocks/wall-clock@0.2.0"]"#;

#[test]
fn check_of_office_hours_policy_is_stricter_at_night() {
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::DELETES_IN_OFFICE_HOURS));
    let config = files.config(&format!("[policy]\ncomponent = \"policy.wasm\"\n{CLOCK}"));
    let (code, report) = check_json(&[&file, "--config", &config]);
    assert_eq!(code, Some(3), "{}", summary(&report));
    for result in report["results"].as_array().expect("results") {
        let at_night = result["case"].as_str().is_some_and(|name| name.ends_with("-at-night"));
        assert!(at_night || result["passed"] == true, "{result}");
    }
    let access = report["access"].as_str().expect("whose grants apply");
    assert!(access.starts_with("grants and settings of policy in "), "{access}");

    // The same limits and grants for a file that the configuration does not contain.
    let other = files.write("other.wasm", fixtures::policy(fixtures::DELETES_IN_OFFICE_HOURS));
    let (code, text) = check_text(&[&other, "--config", &config]);
    assert_eq!(code, Some(3), "{text}");
    for part in ["wall-clock@0.2.0  (granted)", "\naccess      ", "does not contain this policy"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let guard = files.write("guard.wasm", fixtures::guard(fixtures::DELETES_IN_OFFICE_HOURS));
    let (code, text) = check_text(&[&guard, "--config", &config]);
    assert!(code == Some(1) && text.contains("gets no grants and no settings"), "{text}");
}

#[test]
fn check_of_configuration_checks_the_policy_with_its_guards() {
    let files = Files::new();
    files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    files.write("policy.wasm", fixtures::policy(fixtures::FINDS_THEN_DELETES));
    let guard = "[[guards]]\nname = \"hold\"\ncomponent = \"guard.wasm\"";
    for (policy, components) in [("", 1), ("[policy]\ncomponent = \"policy.wasm\"\n", 2)] {
        let config = files.config(&format!("{policy}{guard}"));
        let (code, report) = check_json(&["--config", &config]);
        assert_eq!(code, Some(3), "{}", summary(&report));
        let reports = report["components"].as_array().expect("components");
        assert_eq!((reports.len(), &reports[components - 1]["name"]), (components, &json!("hold")));
        assert!(reports.iter().all(|report| report["compile_ms"].is_u64()), "{reports:?}");
        assert_eq!(report["counts"]["laxer"], 0);
    }
    // The default policy without guards.
    let (code, report) = check_json(&["--config", &files.config("")]);
    assert_eq!((code, &report["components"]), (Some(0), &json!([])));
}

#[test]
fn check_reports_a_mismatched_pin() {
    let files = Files::new();
    let guard = fixtures::guard(fixtures::RETAINS_HELD_RECORDS);
    let file = files.write("guard.wasm", &guard);
    let other = Digest::of(b"another");
    for (digest, with_file, expected_code) in [(Digest::of(&guard), true, 3), (other, true, 1), (other, false, 1)] {
        let lines = format!("[[guards]]\nname = \"hold\"\ncomponent = \"guard.wasm\"\nsha256 = \"{digest}\"\n");
        let config = files.config(&lines);
        let arguments = ["--config", &config];
        let (code, text) =
            if with_file { check_text(&[&[file.as_str()][..], &arguments].concat()) } else { check_text(&arguments) };
        assert_eq!(code, Some(expected_code), "{text}");
        assert_eq!(text.contains("is not the one that sha256"), expected_code == 1, "{text}");
    }
}

#[test]
fn check_applies_the_limits_of_the_configuration() {
    let files = Files::new();
    let config = files.config("[sandbox]\nmax_component_bytes = 1000\n");
    let (code, text) = check_text(&[&default_policy(), "--config", &config]);
    assert!(code == Some(1) && text.contains("max_component_bytes (1000)"), "{text}");

    let config = files.config("[sandbox]\nmax_host_calls = 1\n");
    let output = check(&[&default_policy(), "--config", &config]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("the default policy does not run"), "{error}");
}
