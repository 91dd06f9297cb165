//! What a run of a policy comes to: what the caller is told, what became of the record, and what the policy did wrong.

use super::deadline::{End, OutOfProcessorTime};
use super::state::{State, TooManyBytes, TooManyCalls};
use super::wasi::{NotAllowed, Output};
use crate::contract::{ErrorCode, Outcome, Rejection, StorageError, StorageErrorKind};
use crate::storage::Condition;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// A decision, carried out.
#[derive(Debug)]
pub struct Decision {
    /// What the caller is told: deleted, or why not.
    pub answer: Result<(), Rejection>,
    /// What became of the record, whatever the caller is told.
    pub fate: Fate,
    /// What the policy asked of storage, in order: every delete, and every question that storage could not answer.
    pub calls: Vec<Call>,
    /// What the policy did that it may not, if anything. The caller was told 500.
    pub fault: Option<Fault>,
    /// What the policy wrote to its standard output and standard error, if it did. For the log alone.
    pub output: Option<Output>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This request deleted it.
    Deleted,
    /// This request did not delete it.
    Kept,
    /// This request asked for its deletion, and how that ended is not known.
    Unknown,
}

/// A call of a policy to storage.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it asked for.
    pub performed: Performed,
    /// What it was answered; none where it was cut off before the answer came.
    pub answer: Option<Result<Outcome, StorageError>>,
}

/// What a policy can ask of storage.
#[derive(Clone, Debug)]
pub enum Performed {
    /// Where the record is. Noted only where it failed.
    Locate,
    /// The record. Noted only where it failed.
    Find,
    /// To delete it, on a condition.
    Delete(Condition),
}

/// What a policy did that it may not.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trapped(Trap),
    /// It ran longer than it may, storage included.
    #[error("it did not answer in time")]
    OutOfTime,
    /// It used more of the processor than it may.
    #[error("it used more processor time than it may")]
    OutOfProcessorTime,
    /// It called its host more often than it may.
    #[error("it called its host more often than it may")]
    TooManyCalls,
    /// It passed more bytes to its host in one request than it may.
    #[error("it passed more to its host than it may")]
    TooManyBytes,
    /// It asked WASI for what the operator does not allow.
    #[error("{0}")]
    NotAllowed(NotAllowed),
    /// It ended itself with this exit status instead of answering.
    #[error("it ended itself with exit status {0} instead of answering")]
    Exited(i32),
    /// It needs more memory or tables than it may have to start with.
    #[error("it needs more memory or tables than it may have")]
    Outsized,
    /// The sandbox stopped it for another reason, which is in the error: it passed a value that the contract does not
    /// have, bytes that are not its own, or more of them at once than it may pass at all; or it has too many handles.
    #[error("it failed in the sandbox: {0:#}")]
    Sandbox(wasmtime::Error),
    /// It said that the record is deleted, and storage did not.
    #[error("it claimed a deletion that did not happen")]
    ClaimedDeletion,
    /// It refused, after deleting.
    #[error("it refused after deleting, with the rule {rule:?}")]
    RefusedAfterDeletion {
        /// The rule that it named.
        rule: String,
    },
    /// A rejection that the contract does not allow.
    #[error("its rejection breaks the contract: {reason}")]
    Rejection {
        /// What is the matter with it.
        reason: &'static str,
    },
    /// There was no room for it to run.
    #[error("too many policies were running, and none ended in time")]
    Overloaded,
}

impl Decision {
    /// The name of the rule that decided, for log and audit.
    #[must_use]
    pub fn rule(&self) -> &str {
        match (&self.answer, &self.fault) {
            (_, Some(Fault::Overloaded)) => "sandbox-overloaded",
            (_, Some(_)) => "policy-fault",
            (Err(rejection), None) => &rejection.rule,
            (Ok(()), None) => match self.deletion() {
                Some(Condition::OwnedBy(_)) => "deleted-as-owner",
                Some(Condition::Unchanged(_)) => "deleted-unchanged",
                Some(Condition::Any) | None => "deleted-unconfined",
            },
        }
    }

    /// The condition of the delete that deleted.
    fn deletion(&self) -> Option<&Condition> {
        self.calls.iter().find_map(|call| match (&call.performed, &call.answer) {
            (Performed::Delete(condition), Some(Ok(Outcome::Deleted))) => Some(condition),
            _ => None,
        })
    }

    /// The decision where no policy could run.
    pub(super) fn overloaded() -> Self {
        let rejection = Rejection {
            status: ErrorCode::ServiceUnavailable.status(),
            code: ErrorCode::ServiceUnavailable,
            detail: "The service is busy; nothing was deleted".to_owned(),
            rule: "sandbox-overloaded".to_owned(),
        };
        Self {
            answer: Err(rejection),
            fate: Fate::Kept,
            calls: Vec::new(),
            fault: Some(Fault::Overloaded),
            output: None,
        }
    }

    /// The decision that a run comes to. A success is believed only if storage deleted, a refusal only if it did not.
    pub(super) fn of(end: End<Result<(), Rejection>>, mut state: State) -> Self {
        let calls = std::mem::take(&mut state.calls);
        let (fate, output) = (fate(&calls), state.output());
        let judged = match end {
            End::OutOfTime => Err(Fault::OutOfTime),
            End::Ended(Err(error)) => Err(stopped(error, &state)),
            End::Ended(Ok(_)) if state.check_calls().is_err() => Err(Fault::TooManyCalls),
            End::Ended(Ok(Ok(()))) if state.receive(0).is_err() => Err(Fault::TooManyBytes),
            End::Ended(Ok(Ok(()))) if fate == Fate::Deleted => Ok(Ok(())),
            End::Ended(Ok(Ok(()))) => Err(Fault::ClaimedDeletion),
            End::Ended(Ok(Err(rejection))) => match breach(&rejection) {
                _ if state.receive(rejection.detail.len() + rejection.rule.len()).is_err() => Err(Fault::TooManyBytes),
                Some(reason) => Err(Fault::Rejection { reason }),
                None if fate == Fate::Deleted => Err(Fault::RefusedAfterDeletion { rule: rejection.rule }),
                None => Ok(Err(rejection)),
            },
        };
        match judged {
            Ok(answer) => Self { answer, fate, calls, fault: None, output },
            Err(fault) => Self { answer: Err(failure()), fate, calls, fault: Some(fault), output },
        }
    }
}

/// What the caller is told of a policy that did what it may not.
fn failure() -> Rejection {
    Rejection {
        status: ErrorCode::InternalServerError.status(),
        code: ErrorCode::InternalServerError,
        detail: "Internal server error".to_owned(),
        rule: "policy-fault".to_owned(),
    }
}

fn fate(calls: &[Call]) -> Fate {
    let mut fate = Fate::Kept;
    for call in calls.iter().filter(|call| matches!(call.performed, Performed::Delete(_))) {
        match &call.answer {
            Some(Ok(Outcome::Deleted)) => return Fate::Deleted,
            None => fate = Fate::Unknown,
            Some(Err(error)) if error.kind == StorageErrorKind::OutcomeUnknown => fate = Fate::Unknown,
            Some(_) => {}
        }
    }
    fate
}

fn stopped(error: wasmtime::Error, state: &State) -> Fault {
    if error.is::<OutOfProcessorTime>() {
        Fault::OutOfProcessorTime
    } else if error.is::<TooManyCalls>() {
        Fault::TooManyCalls
    } else if error.is::<TooManyBytes>() {
        Fault::TooManyBytes
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        Fault::Trapped(*trap)
    } else if let Some(asked) = error.downcast_ref::<NotAllowed>() {
        Fault::NotAllowed(*asked)
    } else if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        Fault::Exited(*status)
    } else if state.is_outsized() {
        Fault::Outsized
    } else {
        Fault::Sandbox(error)
    }
}

/// What is the matter with a rejection, by the contract's description of each field.
fn breach(rejection: &Rejection) -> Option<&'static str> {
    const MOST_DETAIL_BYTES: usize = 1024;
    const MOST_RULE_BYTES: usize = 64;
    let Rejection { status, code, detail, rule } = rejection;
    let is_rule_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if *status != code.status() {
        Some("its status does not belong to its code")
    } else if detail.is_empty() || detail.len() > MOST_DETAIL_BYTES {
        Some("its detail is empty or too long")
    } else if detail.chars().any(char::is_control) {
        Some("its detail has control characters")
    } else if rule.is_empty() || rule.len() > MOST_RULE_BYTES || !rule.bytes().all(is_rule_byte) {
        Some("its rule is not a name of 1 to 64 of a-z, 0-9 and '-'")
    } else {
        None
    }
}
