//! The result of running a policy: the answer to the caller, what happened to the record, and violations.

use crate::contract::{ErrorCode, Outcome, Rejection, StorageError, StorageErrorKind};
use crate::deadline::RunOutcome;
use crate::digest::Digest;
use crate::error::{CpuTimeExceeded, PolicyError, TooManyBytes, TooManyCalls};
use crate::guard::{Guard, GuardFailed};
use crate::guard_rules::GuardViolation;
use crate::host_state::{HostCall, HostState};
use crate::storage::Condition;
use crate::wasi::CapturedOutput;
use std::sync::Arc;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// A decision that has been executed.
#[derive(Debug)]
pub struct Decision {
    /// The answer to the caller: deleted, or a rejection.
    pub answer: Result<(), Rejection>,
    /// What happened to the record, whatever the answer is.
    pub record: RecordOutcome,
    /// The calls of the policy to its host, in order.
    pub calls: Vec<HostCall>,
    /// What the guards did that ran, outermost first.
    pub guards: Vec<ComponentReport>,
    /// Why the policy did not run to a valid result; `None` if it did.
    pub error: Option<PolicyError>,
    /// What the policy wrote to its standard output and standard error. For the log.
    pub output: Option<CapturedOutput>,
    /// The components that decided; `None` if no component did.
    pub digests: Option<Arc<Digests>>,
}

/// What a guard did in one request.
#[derive(Debug)]
pub struct ComponentReport {
    /// The name of the guard.
    pub name: String,
    /// Its calls to the storage behind it, in order.
    pub calls: Vec<HostCall>,
    /// Whether it denied the deletion.
    pub has_denied: bool,
    /// What it wrote to its standard output and standard error. For the log.
    pub output: Option<CapturedOutput>,
}

/// The components of a policy and its guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The digest of the policy.
    pub policy: Digest,
    /// The name and the digest of each guard, outermost first.
    pub guards: Vec<(String, Digest)>,
}

impl Digests {
    pub(crate) fn new(policy: Digest, guards: &[Guard]) -> Self {
        Self { policy, guards: guards.iter().map(|guard| (guard.name().to_owned(), guard.digest())).collect() }
    }
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// This request deleted it.
    Deleted,
    /// This request did not delete it.
    NotDeleted,
    /// This request asked storage to delete it, and whether storage did is unknown.
    Unknown,
}

impl RecordOutcome {
    /// The name of this outcome in logs and audit events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::NotDeleted => "not-deleted",
            Self::Unknown => "unknown",
        }
    }
}

impl Decision {
    /// The name of the rule that decided, for log and audit.
    #[must_use]
    pub fn rule(&self) -> &str {
        match (&self.answer, &self.error) {
            (_, Some(PolicyError::Overloaded)) => OVERLOADED_RULE,
            (_, Some(_)) => POLICY_ERROR_RULE,
            (Err(rejection), None) => &rejection.rule,
            (Ok(()), None) => match self.deleting_condition() {
                Some(Condition::OwnedBy(_)) => "deleted-as-owner",
                Some(Condition::Unchanged(_)) => "deleted-unchanged",
                Some(Condition::Any) | None => "deleted-unconfined",
            },
        }
    }

    /// The errors that the storage, or a guard in front of it, returned. One that several components passed on is listed
    /// once.
    #[must_use]
    pub fn storage_errors(&self) -> Vec<&StorageError> {
        let mut errors = Vec::new();
        for call in self.guards.iter().rev().flat_map(|guard| &guard.calls).chain(&self.calls) {
            let error = match call {
                HostCall::Locate(Err(error)) | HostCall::Find(Err(error)) => error,
                HostCall::Delete { result: Some(Err(error)), .. } => error,
                _ => continue,
            };
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        errors
    }

    /// The name of the guard that denied the deletion. `None` if the record was deleted nevertheless, by another delete of
    /// the policy that the guard did not deny.
    #[must_use]
    pub fn denied_by(&self) -> Option<&str> {
        let denied = self.guards.iter().find(|guard| guard.has_denied);
        denied.filter(|_| self.record != RecordOutcome::Deleted).map(|guard| guard.name.as_str())
    }

    /// The condition of the delete that deleted the record.
    fn deleting_condition(&self) -> Option<&Condition> {
        self.calls.iter().find_map(|call| match call {
            HostCall::Delete { condition, result: Some(Ok(Outcome::Deleted)) } => Some(condition),
            _ => None,
        })
    }

    /// The decision if no permit was free within the queue timeout.
    pub(crate) fn overloaded() -> Self {
        Self {
            answer: Err(rejection(
                ErrorCode::ServiceUnavailable,
                "The service is busy; nothing was deleted",
                OVERLOADED_RULE,
            )),
            record: RecordOutcome::NotDeleted,
            calls: Vec::new(),
            guards: Vec::new(),
            error: Some(PolicyError::Overloaded),
            output: None,
            digests: None,
        }
    }

    /// Adds the components that decided.
    pub(crate) fn with_digests(self, digests: &Arc<Digests>) -> Self {
        Self { digests: Some(Arc::clone(digests)), ..self }
    }

    /// Validates a run. Accepts a success only if storage deleted the record, and a rejection unless storage deleted it.
    pub(crate) fn from_run(outcome: RunOutcome<Result<(), Rejection>>, mut state: HostState) -> Self {
        let (record, output) = (record_outcome(state.record_calls()), state.captured_output());
        let (calls, guards) = (state.take_calls(), state.guard_reports());
        let result = match outcome {
            RunOutcome::TimedOut => Err(PolicyError::ExecutionTimeout),
            RunOutcome::Finished(Err(error)) => Err(classify_failure(error, &mut state)),
            RunOutcome::Finished(Ok(answer)) => validate_answer(answer, record, &mut state),
        };
        match result {
            Ok(answer) => Self { answer, record, calls, guards, error: None, output, digests: None },
            Err(error) => {
                let rejection = rejection(ErrorCode::InternalServerError, "Internal server error", POLICY_ERROR_RULE);
                Self { answer: Err(rejection), record, calls, guards, error: Some(error), output, digests: None }
            }
        }
    }
}

const OVERLOADED_RULE: &str = "sandbox-overloaded";
const POLICY_ERROR_RULE: &str = "policy-error";

fn rejection(code: ErrorCode, detail: &str, rule: &str) -> Rejection {
    Rejection { status: code.status(), code, detail: detail.to_owned(), rule: rule.to_owned() }
}

fn record_outcome(calls: &[HostCall]) -> RecordOutcome {
    let mut record = RecordOutcome::NotDeleted;
    for call in calls {
        let HostCall::Delete { result, .. } = call else { continue };
        match result {
            Some(Ok(Outcome::Deleted)) => return RecordOutcome::Deleted,
            None => record = RecordOutcome::Unknown,
            Some(Err(error)) if error.kind == StorageErrorKind::OutcomeUnknown => record = RecordOutcome::Unknown,
            Some(_) => {}
        }
    }
    record
}

fn validate_answer(
    answer: Result<(), Rejection>,
    record: RecordOutcome,
    state: &mut HostState,
) -> Result<Result<(), Rejection>, PolicyError> {
    let bytes = answer.as_ref().err().map_or(0, |rejection| rejection.detail.len() + rejection.rule.len());
    state.count_bytes(bytes).map_err(|TooManyBytes| PolicyError::TooManyBytes)?;
    state.check_limits()?;
    match answer {
        Ok(()) if record == RecordOutcome::Deleted => Ok(Ok(())),
        Ok(()) => Err(PolicyError::FalseSuccess),
        Err(rejection) => {
            validate_rejection(&rejection).map_err(|reason| PolicyError::InvalidRejection { reason })?;
            if record == RecordOutcome::Deleted {
                return Err(PolicyError::RejectedAfterDeletion { rule: rejection.rule });
            }
            Ok(Err(rejection))
        }
    }
}

/// Classifies why an instance was stopped.
pub(crate) fn classify_failure(error: wasmtime::Error, state: &mut HostState) -> PolicyError {
    let error = match error.downcast::<GuardFailed>() {
        Ok(GuardFailed { name, error }) => return PolicyError::Guard { name, error: Box::new(error) },
        Err(error) => error,
    };
    if error.is::<CpuTimeExceeded>() {
        PolicyError::CpuTimeLimit
    } else if error.is::<TooManyCalls>() {
        PolicyError::TooManyCalls
    } else if error.is::<TooManyBytes>() {
        PolicyError::TooManyBytes
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        PolicyError::Trapped(*trap)
    } else if let Some(GuardViolation(reason)) = error.downcast_ref::<GuardViolation>() {
        PolicyError::GuardViolation { reason }
    } else if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        PolicyError::Exited(*status)
    } else if state.resources().failed_to_start() {
        PolicyError::ExceedsLimits
    } else {
        PolicyError::Sandbox(error)
    }
}

/// Checks a rejection against the contract's description of each field (`wit/types.wit`).
fn validate_rejection(rejection: &Rejection) -> Result<(), &'static str> {
    const MAX_DETAIL_BYTES: usize = 1024;
    const MAX_RULE_BYTES: usize = 64;
    let Rejection { status, code, detail, rule } = rejection;
    let is_rule_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if *status != code.status() {
        Err("its status does not belong to its code")
    } else if detail.is_empty() || detail.len() > MAX_DETAIL_BYTES {
        Err("its detail is empty or too long")
    } else if detail.chars().any(char::is_control) {
        Err("its detail contains control characters")
    } else if rule.is_empty() || rule.len() > MAX_RULE_BYTES || !rule.bytes().all(is_rule_byte) {
        Err("its rule is not a name of 1 to 64 characters of a-z, 0-9 and '-'")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, ComponentReport, Decision, Digest, Digests, RecordOutcome};
    use crate::contract::{StorageError, StorageErrorKind};
    use crate::host_state::HostCall;
    use crate::storage::Condition;

    #[test]
    fn storage_errors_of_every_call_are_listed_once() {
        let error = |message: &str| StorageError::new(StorageErrorKind::Internal, message);
        let delete = |message| HostCall::Delete { condition: Condition::Any, result: Some(Err(error(message))) };
        let report =
            |name: &str, calls| ComponentReport { name: name.to_owned(), calls, has_denied: false, output: None };
        let decision = Decision {
            answer: Ok(()),
            record: RecordOutcome::NotDeleted,
            calls: vec![HostCall::Current, HostCall::Locate(Err(error("located"))), delete("deleted")],
            guards: vec![
                report("outer", vec![HostCall::Find(Err(error("found"))), delete("deleted")]),
                report("inner", vec![HostCall::Find(Ok(())), delete("deleted")]),
            ],
            error: None,
            output: None,
            digests: None,
        };
        let messages: Vec<&str> = decision.storage_errors().iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, ["deleted", "found", "located"]);
    }

    #[test]
    fn decision_has_the_digests_of_the_components_that_decided() {
        let digests = Arc::new(Digests { policy: Digest::of(b"policy"), guards: Vec::new() });
        let decision = Decision {
            answer: Ok(()),
            record: RecordOutcome::Unknown,
            calls: vec![HostCall::Current],
            guards: Vec::new(),
            error: None,
            output: None,
            digests: None,
        };
        let decision = decision.with_digests(&digests);
        assert_eq!((decision.digests, decision.calls.len()), (Some(digests), 1));
    }
}
