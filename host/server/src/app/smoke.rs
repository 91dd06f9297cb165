//! Runs a policy before it is put in force: a few conformance cases, which fail only if it violates the contract or a limit.
//! A policy with other rules decides some of them differently, which is no reason to refuse it.

use super::error::ReloadError;
use delete_learning::Policy;
use delete_learning::conformance::{Answer, Case, cases, run};

/// How often a case is run that exceeds a limit of time, because a busy machine can be the reason.
const MAX_ATTEMPTS: usize = 3;

/// Runs the cases on a policy and its guards.
///
/// # Errors
/// The first case in which the policy or a guard violates the contract or a limit.
pub(super) async fn check(policy: &Policy) -> Result<(), ReloadError> {
    for case in smoke_cases(cases().map_err(ReloadError::Cases)?) {
        let mut result = run(policy, &case).await;
        for _ in 1..MAX_ATTEMPTS {
            if result.exceeded_time() {
                result = run(policy, &case).await;
            }
        }
        if result.is_violation() {
            let violation = match result.observation.answer {
                Answer::Word(text) => text,
                Answer::Rejection(rejection) => rejection.detail,
            };
            return Err(ReloadError::Smoke { case: case.name, violation });
        }
    }
    Ok(())
}

/// The first case for each answer of the default policy, which is one for each of its rules.
fn smoke_cases(all: Vec<Case>) -> Vec<Case> {
    let mut selected: Vec<Case> = Vec::new();
    for case in all {
        if selected.iter().all(|other| other.expect.answer != case.expect.answer) {
            selected.push(case);
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::smoke_cases;
    use delete_learning::conformance::{Answer, cases};

    #[test]
    fn smoke_cases_are_few_and_have_each_answer_once() {
        let all = cases().unwrap();
        let selected = smoke_cases(all.clone());
        assert!((12..64).contains(&selected.len()), "{}", selected.len());
        for case in &all {
            let same = selected.iter().filter(|other| other.expect.answer == case.expect.answer).count();
            assert_eq!(same, 1, "{}", case.name);
        }
        assert!(selected.iter().any(|case| case.expect.answer == Answer::Word("deleted".to_owned())));
    }
}
