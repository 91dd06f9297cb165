//! Compares a component with the default policy.

use super::case::Answer;
use super::run::CaseResult;
use super::variants::Variant;
use crate::contract::{ErrorCode, Rejection};
use serde::Serialize;

/// What a component does in a case, relative to the default policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// It deletes or retains the record as the default policy does.
    Same,
    /// It retains a record that the default policy deletes.
    Stricter,
    /// It deletes a record that the default policy retains, or distinguishes records that the default policy answers alike.
    Laxer,
    /// It violates the contract or a limit.
    Violation,
}

/// The comparison of a component with the default policy in one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The group.
    pub group: Group,
    /// Why, or how the answer differs in group [`Same`](Group::Same); `None` if nothing differs.
    pub reason: Option<String>,
}

/// Compares the results of the default policy and of a component in one case.
#[must_use]
pub fn compare(default: &CaseResult, component: &CaseResult) -> Comparison {
    let (default_answer, answer) = (&default.observation.answer, &component.observation.answer);
    let (group, reason) = match (default_answer, answer) {
        (_, Answer::Word(violation)) if component.is_violation() => (Group::Violation, violation.clone()),
        (Answer::Word(_), Answer::Word(_)) => return Comparison { group: Group::Same, reason: None },
        (Answer::Rejection(default), Answer::Rejection(component)) if visible(default) == visible(component) => {
            return Comparison { group: Group::Same, reason: None };
        }
        // The component met another situation than the default policy.
        _ if default.fault_returned && !component.fault_returned => (
            Group::Same,
            "the case does not apply: the component does not call the function that fails in it".to_owned(),
        ),
        (Answer::Word(_), Answer::Rejection(_)) if component.fault_returned && !default.fault_returned => {
            (Group::Same, "the case does not apply: the component calls a function that fails in it".to_owned())
        }
        (Answer::Word(_), Answer::Rejection(_)) => {
            (Group::Stricter, "retains a record that the default policy deletes".to_owned())
        }
        (Answer::Rejection(_), Answer::Word(_)) => {
            (Group::Laxer, "deletes a record that the default policy retains".to_owned())
        }
        (Answer::Rejection(default), Answer::Rejection(component)) => {
            (Group::Same, format!("answers {}; the default policy answers {}", quote(component), quote(default)))
        }
    };
    Comparison { group, reason: Some(reason) }
}

/// A variant whose answer reveals something about the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distinction {
    /// The index of the variant.
    pub index: usize,
    /// What it reveals.
    pub reason: String,
}

/// Finds the variants that the default policy answers like an earlier one, and the component does not. A variant that one of
/// both deletes is left out: [`compare`] judges it.
///
/// The arguments are the variants of one request and caller, with the results of the default policy and of the component.
#[must_use]
pub fn distinctions(results: &[(&Variant, &CaseResult, &CaseResult)]) -> Vec<Distinction> {
    let mut earlier: Vec<(&str, &Rejection, &Rejection)> = Vec::new();
    let mut distinctions = Vec::new();
    for (index, (variant, default, component)) in results.iter().enumerate() {
        let (Answer::Rejection(default), Answer::Rejection(component)) =
            (&default.observation.answer, &component.observation.answer)
        else {
            continue;
        };
        if !variant.is_comparable {
            continue;
        }
        let name = variant.case.name.as_str();
        match earlier.iter().find(|(_, known, _)| visible(known) == visible(default)) {
            None => earlier.push((name, default, component)),
            Some((_, _, known)) if visible(known) == visible(component) => {}
            Some((known_name, _, known)) => {
                let reason = format!(
                    "answers {}, but {} for {known_name:?}; the default policy answers {} for both",
                    quote(component),
                    quote(known),
                    quote(default)
                );
                distinctions.push(Distinction { index, reason });
            }
        }
    }
    distinctions
}

/// What the caller receives of a rejection.
fn visible(rejection: &Rejection) -> (u16, ErrorCode, &str) {
    (rejection.status, rejection.code, &rejection.detail)
}

fn quote(rejection: &Rejection) -> String {
    format!("{} {:?}", rejection.status, rejection.detail)
}
