//! A finished decision, as Python reads it.

use crate::names::error_code;
use delete_learning::PolicyError;
use pyo3::prelude::*;

/// A finished decision.
#[pyclass(frozen, get_all, module = "delete_learning._native")]
pub(crate) struct Decision {
    /// The rejection: status, code, detail and rule. `None` if the record was deleted, or if there is no valid decision.
    rejection: Option<(u16, &'static str, String, String)>,
    /// Why there is no valid decision: a case of `FailureKind`, and a sentence for the log.
    failure: Option<(&'static str, String)>,
    /// The name of the guard that denied the deletion.
    denied_by: Option<String>,
    /// What the policy and its guards wrote to their standard output and standard error: the name of the component, and
    /// the text.
    output: Vec<(String, String)>,
}

impl From<delete_learning::Decision> for Decision {
    fn from(decision: delete_learning::Decision) -> Self {
        let denied_by = decision.denied_by().map(str::to_owned);
        let guards = decision.guards.iter().map(|guard| (guard.name.as_str(), &guard.output));
        let output = [("policy", &decision.output)].into_iter().chain(guards);
        let output =
            output.filter_map(|(name, output)| Some((name.to_owned(), output.as_ref()?.text.clone()))).collect();
        let failure = decision.error.as_ref().and_then(|error| Some((kind(error)?, message(error))));
        let rejection = decision.answer.err().filter(|_| failure.is_none());
        Self {
            rejection: rejection.map(|it| (it.status, error_code(it.code), it.detail, it.rule)),
            failure,
            denied_by,
            output,
        }
    }
}

/// The case of `FailureKind`; `None` for an overloaded sandbox, which answers with a rejection.
const fn kind(error: &PolicyError) -> Option<&'static str> {
    match error {
        PolicyError::Trapped(_) | PolicyError::Exited(_) => Some("trap"),
        PolicyError::ExecutionTimeout => Some("execution-timeout"),
        PolicyError::CpuTimeLimit => Some("cpu-time-limit"),
        PolicyError::TooManyCalls | PolicyError::TooManyBytes | PolicyError::ExceedsLimits => Some("limit"),
        PolicyError::Sandbox(_) => Some("sandbox"),
        PolicyError::FalseSuccess
        | PolicyError::RejectedAfterDeletion { .. }
        | PolicyError::InvalidRejection { .. } => Some("misreport"),
        PolicyError::GuardViolation { .. } => Some("guard-violation"),
        PolicyError::Guard { error, .. } => kind(error),
        PolicyError::Overloaded => None,
    }
}

fn message(error: &PolicyError) -> String {
    match error {
        PolicyError::Guard { .. } => error.to_string(),
        _ => format!("the policy failed: {error}"),
    }
}
