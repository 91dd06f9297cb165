//! The audit event in the log of the process: who tried to delete what, the decision, its rule, and what happened to the
//! record.
//!
//! One event with the target `audit` for every decision. It never contains a token, a key or the content of a record.

use delete_learning::{
    Caller, ComponentReport, Condition, Credential, Decision, Digest, HostCall, IdentityError, StorageError,
};
use std::net::IpAddr;
use std::time::Duration;

/// An audit event.
pub struct Event<'a> {
    /// The id of the request, which its response and its log lines have too.
    pub request_id: &'a str,
    /// The address of the client, perhaps from a trusted proxy.
    pub client: IpAddr,
    /// The caller.
    pub caller: &'a CallerSummary,
    /// The learning id; `None` if it cannot name a record.
    pub learning_id: Option<&'a str>,
    /// The database that the request names.
    pub db_id: Option<&'a str>,
    /// The table that the request names.
    pub table: Option<&'a str>,
    /// The decision.
    pub decision: &'a Decision,
    /// The time since the request was received.
    pub duration: Duration,
}

/// What an audit event contains of a caller.
#[derive(Clone)]
pub struct CallerSummary {
    credential: Credential,
    subject: Option<String>,
    is_confined: Option<bool>,
    /// Why there is no caller.
    error: Option<String>,
}

impl CallerSummary {
    /// Summarizes a caller, or the reason why there is none.
    #[must_use]
    pub fn new(caller: &Result<Caller, IdentityError>) -> Self {
        match caller {
            Ok(caller) => Self {
                credential: caller.credential,
                subject: caller.subject.clone(),
                is_confined: Some(is_confined(caller)),
                error: None,
            },
            Err(error) => Self {
                credential: error.credential,
                subject: None,
                is_confined: None,
                error: Some(error.message.clone()),
            },
        }
    }

    /// The kind of the credential.
    #[must_use]
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// The subject of the caller.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Whether the caller can delete only its own records; `None` without a caller.
    #[must_use]
    pub const fn is_confined(&self) -> Option<bool> {
        self.is_confined
    }
}

/// Whether a caller can delete only its own records, by the rules of the contract (`wit/identity.wit`).
fn is_confined(caller: &Caller) -> bool {
    let is_admin = caller.scopes.contains(&caller.admin_scope);
    match caller.credential {
        Credential::None | Credential::SecurityKey => false,
        Credential::Jwt => !caller.all_owners && !is_admin,
        Credential::ServiceAccount => !is_admin,
    }
}

impl Event<'_> {
    /// Writes the event.
    pub fn write(&self) {
        let decision = self.decision;
        let calls = describe_calls(&decision.calls);
        let guard = |guard: &ComponentReport| format!("{}: [{}]", guard.name, describe_calls(&guard.calls));
        let guards = decision.guards.iter().map(guard).collect::<Vec<_>>().join("; ");
        let digests = decision.digests.as_ref();
        let guard_digests = digests.map(|digests| describe_guards(&digests.guards)).filter(|text| !text.is_empty());
        let policy_error = decision.error.as_ref().map(ToString::to_string);
        // Strings are written as quoted values, so text that a caller chose cannot forge a line.
        tracing::info!(
            target: "audit",
            parent: None,
            request_id = self.request_id,
            client = %self.client,
            credential = self.caller.credential.as_str(),
            subject = self.caller.subject,
            identity_error = self.caller.error,
            learning_id = self.learning_id,
            db_id = self.db_id,
            table = self.table,
            status = decision.answer.as_ref().err().map_or(204, |rejection| rejection.status),
            rule = decision.rule(),
            record = decision.record.as_str(),
            storage = (!calls.is_empty()).then_some(calls.as_str()),
            guards = (!guards.is_empty()).then_some(guards.as_str()),
            denied_by = decision.denied_by(),
            policy_sha256 = digests.map(|digests| tracing::field::display(digests.policy)),
            guards_sha256 = guard_digests,
            policy_error = policy_error.as_deref(),
            duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// The name and the digest of each guard, outermost first.
#[must_use]
pub fn describe_guards(guards: &[(String, Digest)]) -> String {
    guards.iter().map(|(name, digest)| format!("{name}={digest}")).collect::<Vec<_>>().join(" ")
}

fn describe_calls(calls: &[HostCall]) -> String {
    calls.iter().filter_map(describe_call).collect::<Vec<_>>().join("; ")
}

/// Describes a delete, or another call that failed.
fn describe_call(call: &HostCall) -> Option<String> {
    let failure = |error: &StorageError| format!("{}, {}", error.kind.as_str(), error.message);
    match call {
        HostCall::Current | HostCall::Locate(Ok(())) | HostCall::Find(Ok(())) => None,
        HostCall::Locate(Err(error)) => Some(format!("locate: {}", failure(error))),
        HostCall::Find(Err(error)) => Some(format!("find: {}", failure(error))),
        HostCall::Delete { condition, result } => {
            let function = match condition {
                Condition::Any => "delete",
                Condition::OwnedBy(_) => "delete-if-owned-by",
                Condition::Unchanged(_) => "delete-if-unchanged",
            };
            let result = match result {
                None => "no result".to_owned(),
                Some(Err(error)) => failure(error),
                Some(Ok(outcome)) => outcome.as_str().to_owned(),
            };
            Some(format!("{function}: {result}"))
        }
    }
}
