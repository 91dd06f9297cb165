//! The conformance cases on the default policy, with storage in memory.

use delete_learning::conformance::{Answer, cases, run};
use delete_learning::{DEFAULT_POLICY, Limits, Policy};

#[test]
fn default_policy_passes_every_conformance_case() {
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the policy can be loaded");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases = cases().expect("the cases can be parsed");
    let mut failed = 0;
    for case in &cases {
        let observed = runtime.block_on(run(&policy, case));
        if !observed.meets(&case.expect) {
            failed += 1;
            println!(
                "{}: {}\n  expected {:?}\n  got      {:?}",
                case.name, case.why, case.expect, observed.observation
            );
        }
    }
    println!("{} of {} conformance cases passed", cases.len() - failed, cases.len());
    assert_eq!(failed, 0);
}

#[test]
fn other_calls_answers_or_records_do_not_meet_an_expectation() {
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the policy can be loaded");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases = cases().expect("the cases can be parsed");
    let case = cases.iter().find(|case| case.expect.calls.is_some()).expect("a case with calls");
    let observed = runtime.block_on(run(&policy, case));
    let (met, mut calls, mut left, mut answer) =
        (case.expect.clone(), case.expect.clone(), case.expect.clone(), case.expect.clone());
    calls.calls = Some(vec!["identity.other".to_owned()]);
    left.left.push("another".to_owned());
    answer.answer = Answer::Word("other".to_owned());
    assert!(observed.meets(&met) && observed.meets_except_calls(&met));
    assert!(!observed.meets(&calls) && observed.meets_except_calls(&calls));
    for other in [left, answer] {
        assert!(!observed.meets(&other) && !observed.meets_except_calls(&other), "{other:?}");
    }
}
