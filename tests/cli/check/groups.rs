//! The groups of cases.

use super::{Files, check, check_json, check_text, default_policy, fixtures, summary};
use crate::support::database::repository_path;
use serde_json::{Value, json};

/// The results of a group.
fn group<'a>(report: &'a Value, group: &str) -> Vec<&'a Value> {
    report["results"].as_array().expect("results").iter().filter(|result| result["group"] == group).collect()
}

fn count(report: &Value, key: &str) -> u64 {
    report["counts"][key].as_u64().unwrap_or_else(|| panic!("no count {key}: {}", report["counts"]))
}

#[test]
fn check_of_default_policy_finds_no_difference() {
    let (code, text) = check_text(&[&default_policy(), "--strict-calls"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "learnings:plugin/storage@0.1.0",
        "world       policy",
        "fits learnings:plugin@0.1.0",
        "stricter    0",
        "laxer       0",
        "sha256      ",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("note"), "{text}");
    let (code, report) = check_json(&[&default_policy()]);
    assert_eq!((code, &report["fits"]), (Some(0), &json!(true)));
    assert!(count(&report, "cases") > 100 && count(&report, "variants") > 100, "{}", summary(&report));
    assert_eq!(count(&report, "same"), count(&report, "cases") + count(&report, "variants"));
    for result in report["results"].as_array().expect("results") {
        assert_eq!(result["passed"], true, "{result}");
        let observed = ["calls", "answer", "left"].map(|key| &result[key]);
        assert_eq!(observed, ["calls", "answer", "left"].map(|key| &result["expected"][key]), "{result}");
    }
}

#[test]
fn check_prints_the_lines_that_every_host_prints() {
    let output = check(&[&default_policy(), "--format", "jsonl"]);
    let lines = String::from_utf8(output.stdout).expect("text");
    let cases = delete_learning::conformance::cases().expect("cases");
    assert_eq!(lines.lines().count(), cases.len());
    for (line, case) in lines.lines().zip(cases) {
        // The hosts' lines are compared as text.
        let expected = serde_json::to_string(&case.expect).expect("JSON");
        let expected = expected.strip_prefix('{').expect("an object");
        assert_eq!(line, format!(r#"{{"case":"{}",{expected}"#, case.name));
    }
}

#[test]
fn check_of_find_then_delete_policy_is_same() {
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::FINDS_THEN_DELETES));
    let (code, report) = check_json(&[&file]);
    assert_eq!(code, Some(0), "{}", summary(&report));
    // The cases with a fault of one function that this policy does not call.
    for result in group(&report, "same").iter().filter(|result| result["passed"] == false) {
        assert!(result["reason"].as_str().is_some_and(|reason| reason.contains("does not apply")), "{result}");
    }
    assert!(count(&report, "notes") <= 12, "{}", summary(&report));
    let (code, text) = check_text(&[&file, "--strict-calls"]);
    assert!(code == Some(1) && text.contains("makes other calls"), "{text}");
}

#[test]
fn check_of_policy_that_leaks_existence_is_laxer() {
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::LEAKS_EXISTENCE));
    let (code, report) = check_json(&[&file]);
    assert_eq!(code, Some(4), "{}", summary(&report));
    let laxer = group(&report, "laxer");
    assert!(!laxer.is_empty() && group(&report, "stricter").is_empty(), "{}", summary(&report));
    for result in laxer {
        assert!(result["case"].as_str().is_some_and(|name| name.contains(":others")), "{result}");
        assert_eq!((&result["origin"], &result["passed"]), (&json!("variant"), &json!(false)));
        assert_eq!((&result["answer"]["status"], &result["expected"]["answer"]["status"]), (&json!(403), &json!(404)));
    }
}

#[test]
fn check_of_policy_that_deletes_records_of_others_is_laxer() {
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::DELETES_RECORDS_OF_OTHERS));
    let (code, report) = check_json(&[&file]);
    assert_eq!(code, Some(4), "{}", summary(&report));
    let laxer = group(&report, "laxer");
    assert!(laxer.iter().any(|result| result["origin"] == "conformance"), "{}", summary(&report));
    for result in laxer {
        assert_eq!(result["answer"], "deleted", "{result}");
    }
    let (_, text) = check_text(&[&file]);
    assert!(text.contains("it deletes records that the default policy retains\n"), "{text}");
}

#[test]
fn check_of_guard_that_retains_held_records_is_stricter() {
    let files = Files::new();
    let file = files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    let (code, report) = check_json(&[&file]);
    assert_eq!((code, &report["components"][0]["world"]), (Some(3), &json!("guard")), "{}", summary(&report));
    let stricter = group(&report, "stricter");
    assert!(!stricter.is_empty(), "{}", summary(&report));
    for result in stricter {
        assert!(result["case"].as_str().is_some_and(|name| name.ends_with("-held")), "{result}");
        assert_eq!(result["answer"]["detail"], "On hold", "{result}");
    }
    let (_, text) = check_text(&[&file]);
    assert!(text.contains("it retains records that the default policy deletes"), "{text}");
}

#[test]
fn check_of_guard_that_violates_a_rule_is_an_error() {
    let files = Files::new();
    let file = files.write("guard.wasm", fixtures::guard(fixtures::DENIES_WITHOUT_READING));
    let (code, text) = check_text(&[&file]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("VIOLATION"), "{text}");
    assert!(text.contains("it denied a delete that it did not find would otherwise happen"), "{text}");
    assert!(text.contains("skipped after 5 violations"), "{text}");
}

#[test]
fn readme_example_of_check_is_what_it_prints() {
    let readme = std::fs::read_to_string(repository_path("README.md")).expect("the README");
    let (_, example) = readme.split_once("$ delete-learning check policy.wasm\n").expect("the example");
    let (example, _) = example.split_once("```").expect("the end of the example");
    let files = Files::new();
    let file = files.write("policy.wasm", fixtures::policy(fixtures::LEAKS_EXISTENCE));
    let (_, text) = check_text(&[&file]);
    for part in [
        "distinguishes records that the default policy answers alike",
        "; the default policy answers 404 \"Learning not found\" for both",
        " more; --format json lists all",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let text = text.replace(&file, "policy.wasm");
    // A line that ends with … is the beginning of a line.
    let is_printed = |line: &str| match line.strip_suffix('…') {
        Some(start) => text.lines().any(|printed| printed.starts_with(start)),
        None => text.lines().any(|printed| printed == line),
    };
    for line in example.lines() {
        assert!(is_printed(line), "{line:?} is not in {text}");
    }
}
