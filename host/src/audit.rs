//! The audit record: who tried to delete what, what was decided by which rule, and what became of the record.
//!
//! One event on the target `audit` for every decision, whatever its outcome. It names the caller as far as the caller
//! is known, and never holds a token, a key or the content of a record.

use crate::contract::{Caller, Credential, IdentityError, Outcome};
use crate::plugin::{Call, Decision, Fate, Performed};
use crate::storage::{Condition, Named};
use std::time::Duration;

/// What is known of a request when it has been decided.
pub struct Record<'a> {
    /// The request's id, as its answer and its log line have it.
    pub request_id: &'a str,
    /// Who asked, or why that is not known.
    pub caller: &'a Result<Caller, IdentityError>,
    /// What was asked for.
    pub named: &'a Named<'a>,
    /// What was decided.
    pub decision: &'a Decision,
    /// How long it took from the request's arrival.
    pub duration: Duration,
}

impl Record<'_> {
    /// Writes the record.
    pub fn write(&self) {
        let (credential, subject, reason) = match self.caller {
            Ok(caller) => (caller.credential, caller.subject.as_deref(), None),
            Err(error) => (error.credential, None, Some(error.message.as_str())),
        };
        let decision = self.decision;
        let calls = decision.calls.iter().map(describe).collect::<Vec<_>>().join("; ");
        let fault = decision.fault.as_ref().map(ToString::to_string);
        // Text that a caller chose is written as a quoted value, so that it cannot forge a line.
        tracing::info!(
            target: "audit",
            request_id = self.request_id,
            credential = credential_name(credential),
            subject,
            identity_error = reason,
            learning_id = self.named.learning_id,
            db_id = self.named.db_id,
            table = self.named.table,
            status = decision.answer.as_ref().err().map_or(204, |rejection| rejection.status),
            rule = decision.rule(),
            record = fate_name(decision.fate),
            storage = (!calls.is_empty()).then_some(calls.as_str()),
            policy_fault = fault.as_deref(),
            duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        );
    }
}

fn describe(call: &Call) -> String {
    let asked = match &call.performed {
        Performed::Locate => "locate",
        Performed::Find => "find",
        Performed::Delete(Condition::Any) => "delete",
        Performed::Delete(Condition::OwnedBy(_)) => "delete-if-owned-by",
        Performed::Delete(Condition::Unchanged(_)) => "delete-if-unchanged",
    };
    let answered = match &call.answer {
        None => "no answer".to_owned(),
        Some(Err(error)) => format!("{:?}, {}", error.kind, error.message),
        Some(Ok(Outcome::Deleted)) => "deleted".to_owned(),
        Some(Ok(Outcome::Absent)) => "absent".to_owned(),
        Some(Ok(Outcome::Unowned)) => "unowned".to_owned(),
        Some(Ok(Outcome::OwnedByAnother)) => "owned by another".to_owned(),
        Some(Ok(Outcome::Changed)) => "changed".to_owned(),
    };
    format!("{asked}: {answered}")
}

const fn credential_name(credential: Credential) -> &'static str {
    match credential {
        Credential::None => "none",
        Credential::SecurityKey => "security-key",
        Credential::Jwt => "jwt",
        Credential::ServiceAccount => "service-account",
    }
}

const fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Deleted => "deleted",
        Fate::Kept => "kept",
        Fate::Unknown => "unknown",
    }
}
