//! `--explain`: the calls of one case.

use super::{Files, check, check_text, default_policy, fixtures};

#[test]
fn explain_prints_calls_of_policy_and_guard() {
    let files = Files::new();
    let guard = files.write("guard.wasm", fixtures::guard(fixtures::RETAINS_HELD_RECORDS));
    // The first case without faults in which the default policy deletes.
    let cases = delete_learning::conformance::cases().expect("cases");
    let case = cases.iter().find(|case| {
        let owner =
            case.records().find(|(id, _)| *id == case.request().learning_id).and_then(|(_, it)| it.user_id.clone());
        case.caller().is_ok_and(|caller| caller.subject == owner)
            && case.expect.answer == delete_learning::conformance::Answer::deleted()
    });
    let name = &case.expect("a case").name;
    let (code, text) = check_text(&[&guard, "--explain", name]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "\npolicy\n  identity.current  ->  the caller above\n",
        "\nguard guard\n  storage.find  ->  owner ",
        "  storage.delete-if-unchanged 1  ->  deleted\n",
        "\nanswer      deleted\n",
        "\ngroup       same\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("\nrecords     none\n"), "{text}");
    let (code, text) = check_text(&[&guard, "--explain", &format!("{name}:own-held")]);
    assert!(code == Some(3) && text.contains("group       stricter: retains a record"), "{text}");
    assert!(text.contains("->  error denied: \"On hold\""), "{text}");
}

#[test]
fn explain_of_unknown_case_suggests_similar_names() {
    let name = &delete_learning::conformance::cases().expect("cases")[0].name;
    let output = check(&[&default_policy(), "--explain", &format!("{name}-x")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains(&format!("\n  {name}\n")), "{error}");
    // Before the component is read.
    let output = check(&["/nowhere/policy.wasm", "--explain", "xyzzy"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.ends_with("similar names:\n  --format json lists all names\n"), "{error}");
}
