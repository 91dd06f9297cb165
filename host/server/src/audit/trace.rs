//! The audit event in the log of the process: who tried to delete what, the decision, its rule, and what happened to the
//! record.
//!
//! One event with the target `audit` for every decision. It never contains a token, a key or the content of a record.

use delete_learning::{Caller, ComponentReport, Credential, Decision, Digest, HostCall, IdentityError};
use std::net::IpAddr;
use std::time::Duration;

/// Memory that is reserved for the calls of a request, in bytes: enough for one delete.
const CALLS_CAPACITY: usize = 64;

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
        let mut text = String::with_capacity(CALLS_CAPACITY);
        write_calls(&mut text, &decision.calls);
        let calls_length = text.len();
        write_guards(&mut text, &decision.guards);
        let (calls, guards) = text.split_at_checked(calls_length).unwrap_or_default();
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
            storage = (!calls.is_empty()).then_some(calls),
            guards = (!guards.is_empty()).then_some(guards),
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

/// Writes the calls of each guard that ran.
fn write_guards(text: &mut String, guards: &[ComponentReport]) {
    for (index, guard) in guards.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "; " });
        text.push_str(&guard.name);
        text.push_str(": [");
        write_calls(text, &guard.calls);
        text.push(']');
    }
}

/// Writes the deletes, and the other calls that failed.
fn write_calls(text: &mut String, calls: &[HostCall]) {
    let mut separator = "";
    for call in calls {
        let (function, result) = match call {
            HostCall::Current | HostCall::Locate(Ok(())) | HostCall::Find(Ok(())) => continue,
            HostCall::Locate(Err(error)) => ("locate", Some(Err(error))),
            HostCall::Find(Err(error)) => ("find", Some(Err(error))),
            HostCall::Delete { condition, result } => (condition.function(), result.as_ref().map(Result::as_ref)),
        };
        for part in [separator, function, ": "] {
            text.push_str(part);
        }
        match result {
            None => text.push_str("no result"),
            Some(Ok(outcome)) => text.push_str(outcome.as_str()),
            Some(Err(error)) => {
                for part in [error.kind.as_str(), ", ", &error.message] {
                    text.push_str(part);
                }
            }
        }
        separator = "; ";
    }
}

#[cfg(test)]
mod tests {
    use super::is_confined;
    use delete_learning::{Caller, Credential};

    #[test]
    fn caller_is_confined_as_the_contract_defines() {
        for (credential, all_owners, scopes, confined) in [
            (Credential::None, false, vec![], false),
            (Credential::SecurityKey, false, vec![], false),
            (Credential::Jwt, false, vec![], true),
            (Credential::Jwt, true, vec![], false),
            (Credential::Jwt, false, vec!["admin"], false),
            (Credential::Jwt, true, vec!["admin"], false),
            (Credential::ServiceAccount, false, vec![], true),
            (Credential::ServiceAccount, true, vec![], true),
            (Credential::ServiceAccount, false, vec!["admin"], false),
        ] {
            let caller = Caller {
                credential,
                subject: Some("alice".to_owned()),
                scopes: scopes.into_iter().map(str::to_owned).collect(),
                scopes_optional: false,
                all_owners,
                admin_scope: "admin".to_owned(),
            };
            assert_eq!(is_confined(&caller), confined, "{caller:?}");
        }
    }
}
