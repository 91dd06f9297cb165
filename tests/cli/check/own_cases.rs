//! `--cases`: case files of an author.

use super::{Files, check, check_json, check_text, default_policy, fixtures, summary};
use crate::support::database::repository_path;
use serde_json::{Value, json};

/// A case in which the owner of a record deletes it.
fn own_case(name: &str) -> Value {
    json!({
        "name": name, "why": "A rule of this deployment.",
        "request": { "learning-id": "a", "db-id": null, "table": null },
        "identity": { "caller": {
            "credential": "jwt", "subject": "alice", "scopes": ["learnings:delete"],
            "scopes-optional": false, "all-owners": false, "admin-scope": "agent_os:admin" } },
        "storage": { "records": { "a": "alice" } },
        "expect": { "answer": "deleted", "left": [] },
    })
}

fn file(cases: &[Value]) -> String {
    json!({ "about": "The rules of this deployment.", "cases": cases }).to_string()
}

#[test]
fn own_cases_are_judged_by_what_they_expect() {
    let files = Files::new();
    let guard = files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    let mut held = own_case("a-held-record-stays");
    held["storage"]["records"]["a"] = json!({ "owner": "alice", "metadata": "{\"legal_hold\": true}" });
    held["expect"] = json!({
        "answer": { "status": 403, "code": "forbidden", "detail": "On hold", "rule": "deletion-denied" },
        "left": ["a"],
    });
    files.write("hold.json", file(&[own_case("a-record-is-deleted"), held.clone()]));
    let directory = files.directory();
    let (code, report) = check_json(&[&guard, "--cases", &directory]);
    assert_eq!(code, Some(3), "{}", summary(&report));
    assert_eq!((&report["counts"]["own_cases"], &report["counts"]["own_passed"]), (&json!(2), &json!(2)));

    // The default policy alone deletes it.
    let (code, text) = check_text(&[&default_policy(), "--cases", &directory]);
    assert!(code == Some(1) && text.contains("own cases   1 of 2 passed"), "{text}");
    assert!(text.contains("failed      a-held-record-stays"), "{text}");
    let explain = |name| check_text(&[&default_policy(), "--cases", &directory, "--explain", name]);
    let (code, text) = explain("a-held-record-stays");
    assert!(code == Some(1) && text.contains("expected    403 \"On hold\""), "{text}");
    assert_eq!(explain("a-record-is-deleted").0, Some(0));
    let mut empty = own_case("nothing-to-delete");
    empty["storage"]["records"] = json!({});
    files.write("hold.json", file(&[empty]));
    assert!(explain("nothing-to-delete").1.contains("\nrecords     none\n"));
    files.write("hold.json", file(&[held]));
    let (code, text) = explain("a-held-record-stays");
    assert!(code == Some(1) && text.contains("expected    403 \"On hold\""), "{text}");
}

#[test]
fn calls_of_own_cases_matter_with_strict_calls() {
    let files = Files::new();
    let case = |name: &str, calls: &[&str]| {
        let mut case = own_case(name);
        case["expect"]["calls"] = json!(calls);
        case
    };
    let calls = case("calls", &["identity.current", "storage.delete-if-owned-by alice"]);
    let others = case("other-calls", &["identity.current", "storage.find", "storage.delete-if-owned-by alice"]);
    files.write("cases.json", file(&[calls, others]));
    let (policy, directory) = (default_policy(), files.directory());
    for (strict, expected) in [(&[][..], [true, true]), (&["--strict-calls"], [true, false])] {
        let (_, report) = check_json(&[&[policy.as_str(), "--cases", &directory], strict].concat());
        let results = report["results"].as_array().expect("results").iter();
        let passed: Vec<_> = results.filter(|result| result["origin"] == "own").map(|own| &own["passed"]).collect();
        assert_eq!(passed, expected, "{strict:?}");
    }
}

#[test]
fn explain_prints_the_record_of_the_request() {
    let files = Files::new();
    let guard = files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    let mut case = own_case("one-of-three");
    case["request"]["learning-id"] = json!("b");
    case["storage"]["records"] = json!({ "a": "carol", "b": "alice", "c": "dave" });
    case["expect"]["left"] = json!(["a", "c"]);
    files.write("case.json", file(&[case]));
    let (_, text) = check_text(&[&guard, "--cases", &files.directory(), "--explain", "one-of-three"]);
    assert!(text.contains("storage.find  ->  owner \"alice\""), "{text}");
}

#[test]
fn documented_case_passes() {
    let readme = std::fs::read_to_string(repository_path("tests/conformance/README.md")).expect("the documentation");
    let (_, section) = readme.split_once("## Cases of your own").expect("the section");
    let (_, example) = section.split_once("```json\n").expect("an example");
    let (example, _) = example.split_once("```").expect("the end of the example");
    let files = Files::new();
    files.write("cases.json", example);
    let guard = files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    let (_, report) = check_json(&[&guard, "--cases", &files.directory()]);
    assert_eq!((&report["counts"]["own_cases"], &report["counts"]["own_passed"]), (&json!(1), &json!(1)));
}

#[test]
fn own_cases_set_time_and_every_fault() {
    let files = Files::new();
    let policy = files.write("policy.wasm", fixtures::policy(fixtures::DELETES_IN_OFFICE_HOURS));
    let config = files.config("[policy]\ncomponent = \"policy.wasm\"\ngrants = [\"wasi:clocks/wall-clock@0.2.0\"]");
    let mut at_night = own_case("nobody-deletes-at-night");
    at_night["now"] = json!(1_767_495_600);
    at_night["expect"] = json!({
        "answer": { "status": 403, "code": "forbidden", "detail": "On hold", "rule": "deletion-denied" },
        "left": ["a"],
    });
    let mut fault = own_case("a-busy-database-is-503");
    fault["storage"]["faults"] = json!({ "*": { "error": { "kind": "unavailable", "message": "locked" } } });
    fault["expect"] = json!({
        "answer": { "status": 503, "code": "service-unavailable", "rule": "storage-unavailable",
            "detail": "The database is temporarily unavailable; nothing was deleted" },
        "left": ["a"],
    });
    std::fs::create_dir(format!("{}/cases", files.directory())).expect("a directory");
    files.write("cases/night.json", file(&[at_night, fault]));
    let cases = format!("{}/cases", files.directory());
    let (_, report) = check_json(&[&policy, "--config", &config, "--cases", &cases]);
    let own: Vec<&Value> =
        report["results"].as_array().expect("results").iter().filter(|result| result["origin"] == "own").collect();
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|result| result["passed"] == true), "{own:?}");
}

#[test]
fn malformed_own_cases_are_refused_with_file_case_and_reason() {
    let mut wrong_key = own_case("a-case");
    wrong_key["storage"]["records"]["a"] = json!({ "ownr": "alice" });
    let mut used_name = own_case("a-case");
    used_name["name"] = json!(delete_learning::conformance::cases().expect("cases")[0].name);
    for (text, parts) in [
        ("{".to_owned(), &["cases.json: ", "EOF"][..]),
        (file(&[]), &["cases.json: ", "no cases"]),
        (file(&[wrong_key]), &["cases.json: case \"a-case\": storage.records.a.ownr: unknown field"]),
        (file(&[own_case("twice"), own_case("twice")]), &["cases.json: case \"twice\": ", "too"]),
        (file(&[used_name]), &["cases.json: case ", "delete-learning itself has a case of this name too"]),
    ] {
        let files = Files::new();
        files.write("cases.json", text);
        let output = check(&[&default_policy(), "--cases", &files.directory()]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let files = Files::new();
    let output = check(&[&default_policy(), "--cases", &files.directory()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("contains no case files"), "{output:?}");
}
