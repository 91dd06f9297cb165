//! The entries of the log: what an event contains, and which of its values are redacted.
//!
//! An entry is a JSON object in canonical form (RFC 8785: no spaces, members in order), which the Merkle tree contains. In
//! place of an id, a subject, an owner or an address it has the SHA-256 of a random salt and the value. Salts and values are
//! stored beside the entry, and erasing them changes no entry.

use super::error::AuditError;
use super::note::hex;
use super::time;
use super::trace::CallerSummary;
use super::tree::sha256;
use aws_lc_rs::rand;
use delete_learning::{
    Condition, Decision, Digests, HostCall, Outcome, PolicyError, RecordOutcome, StorageErrorKind, Target,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::SystemTime;

/// The most bytes that an entry can have: an entry bundle has two bytes for its length.
pub(super) const MAX_ENTRY_BYTES: usize = 65_535;

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The server started.
    Started,
    /// The server stopped.
    Stopped,
    /// A new file of the journal begins.
    Rotated,
    /// An incomplete last line was removed at a start.
    Repaired,
    /// A request is about to delete its record. On disk before the record is deleted.
    Intent,
    /// A request was decided. Closes its intent, if it has one.
    Decision,
    /// Closes the intent of a request whose decision is not in the log, with what the database showed afterwards.
    Interrupted,
    /// Decisions without an intent that were not recorded, because they exceeded their share of the space.
    Dropped,
}

impl Kind {
    /// The name of this kind in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Rotated => "rotated",
            Self::Repaired => "repaired",
            Self::Intent => "intent",
            Self::Decision => "decision",
            Self::Interrupted => "interrupted",
            Self::Dropped => "dropped",
        }
    }
}

/// An entry. Its members are in alphabetical order, as the canonical form requires; absent ones are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The number of bytes that a repair removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The client address, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Whether the caller could delete only its own records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined: Option<bool>,
    /// The number of decisions that were dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The kind of the credential, as the contract spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The id of the resolved database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The guard that denied the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<String>,
    /// What the entry records.
    pub event: Kind,
    /// The guards that decided, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardDigest>,
    /// The learning id, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_id: Option<String>,
    /// The type of the deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_type: Option<String>,
    /// The index of the oldest open intent, at a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_open_intent: Option<u64>,
    /// Of a decision: `deleted`, `not-deleted` or `unknown`. Of an interrupted one: `absent`, `present` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The owner of the deleted record, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The SHA-256 of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The public key that signs the checkpoints from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The id of the request, which its answer has too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The SHA-256 of the bytes that a repair removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The result of the last delete, as the contract spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// The subject of the caller, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The table of the resolved database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// When the event occurred, by the clock of the server.
    pub time: String,
    /// The version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How the policy or a guard violated the contract or a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// A guard in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardDigest {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its component.
    pub sha256: String,
}

/// A value with its salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Salted {
    /// 16 random bytes in hexadecimal digits.
    pub salt: String,
    /// The value.
    pub value: String,
}

/// The bytes of a salt.
const SALT_BYTES: usize = 16;

impl Salted {
    fn new(value: &str) -> Result<Self, AuditError> {
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| AuditError::NoRandomBytes)?;
        Ok(Self::with_salt(value, salt))
    }

    fn with_salt(value: &str, salt: [u8; SALT_BYTES]) -> Self {
        Self { salt: hex(&salt), value: value.to_owned() }
    }

    /// What an entry has in place of the value: the SHA-256 of the digits of the salt and the value.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&sha256(&[self.salt.as_bytes(), self.value.as_bytes()]))
    }
}

/// The values that an entry redacts. An absent one is not in the entry either, or was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The client address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Salted>,
    /// The learning id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_id: Option<Salted>,
    /// The owner of the deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Salted>,
    /// The subject of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Salted>,
}

impl Values {
    /// Whether a value that the entry redacts was erased.
    #[must_use]
    pub const fn is_erased(&self, entry: &Entry) -> bool {
        (entry.client.is_some() && self.client.is_none())
            || (entry.learning_id.is_some() && self.learning_id.is_none())
            || (entry.owner.is_some() && self.owner.is_none())
            || (entry.subject.is_some() && self.subject.is_none())
    }

    /// The name of a value that is not the one that the entry redacts.
    #[must_use]
    pub fn mismatch(&self, entry: &Entry) -> Option<&'static str> {
        [
            ("client", &self.client, &entry.client),
            ("learning_id", &self.learning_id, &entry.learning_id),
            ("owner", &self.owner, &entry.owner),
            ("subject", &self.subject, &entry.subject),
        ]
        .into_iter()
        .find_map(|(name, value, digest)| {
            let value = value.as_ref()?;
            (digest.as_ref() != Some(&value.digest())).then_some(name)
        })
    }
}

/// An entry and its values as the journal has them.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The kind of the entry.
    pub(super) kind: Kind,
    /// The id of the request, if the entry has one.
    pub(super) request_id: Option<String>,
    /// The line, with the line feed at its end.
    pub(super) text: String,
}

impl Line {
    pub(super) fn new(entry: &Entry, values: &Values) -> Result<Self, AuditError> {
        let mut text = serde_json::to_string(entry)?;
        if text.len() > MAX_ENTRY_BYTES {
            return Err(AuditError::EntryTooLong(text.len()));
        }
        // JSON contains no tab, so the first one separates the two.
        text.push('\t');
        text.push_str(&serde_json::to_string(values)?);
        text.push('\n');
        Ok(Self { kind: entry.event, request_id: entry.request_id.clone(), text })
    }
}

impl Entry {
    /// An entry of this kind at this time, without anything else.
    pub(super) fn new(event: Kind) -> Self {
        Self {
            bytes: None,
            client: None,
            confined: None,
            count: None,
            credential: None,
            database: None,
            denied_by: None,
            event,
            guards: Vec::new(),
            learning_id: None,
            learning_type: None,
            oldest_open_intent: None,
            outcome: None,
            owner: None,
            policy: None,
            public_key: None,
            request_id: None,
            rule: None,
            sha256: None,
            status: None,
            storage: None,
            subject: None,
            table: None,
            time: time::format(SystemTime::now()),
            version: None,
            violation: None,
        }
    }

    fn set_digests(&mut self, digests: &Digests) {
        self.policy = Some(digests.policy.to_string());
        let guard = |(name, digest): &(String, delete_learning::Digest)| GuardDigest {
            name: name.clone(),
            sha256: digest.to_string(),
        };
        self.guards = digests.guards.iter().map(guard).collect();
    }
}

/// What the log records of a request, whatever is decided.
#[derive(Clone)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The address of its client.
    pub client: IpAddr,
    /// Its caller.
    pub caller: CallerSummary,
    /// The database and the table that it names; `None` if it names none.
    pub target: Option<Target>,
    /// The learning id; `None` if it cannot name a record.
    pub learning_id: Option<String>,
}

/// What the server learns of a record while it deletes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) owner: Option<String>,
    pub(super) learning_type: Option<String>,
}

/// The members that all entries of a request have, with their values.
#[derive(Clone)]
pub(super) struct RequestEntry {
    entry: Entry,
    values: Values,
}

impl Request {
    /// The members that all entries of this request have.
    pub(super) fn prepare(&self) -> Result<RequestEntry, AuditError> {
        // One call for all salts.
        let mut salts = [[0; SALT_BYTES]; 3];
        rand::fill(salts.as_flattened_mut()).map_err(|_| AuditError::NoRandomBytes)?;
        let [client, learning_id, subject] = salts;
        let values = Values {
            client: Some(Salted::with_salt(&self.client.to_string(), client)),
            learning_id: self.learning_id.as_ref().map(|id| Salted::with_salt(id, learning_id)),
            owner: None,
            subject: self.caller.subject().map(|name| Salted::with_salt(name, subject)),
        };
        let digest = |value: &Option<Salted>| value.as_ref().map(Salted::digest);
        let entry = Entry {
            client: digest(&values.client),
            confined: self.caller.is_confined(),
            credential: Some(self.caller.credential().as_str().to_owned()),
            database: self.target.as_ref().map(|target| target.database.clone()),
            learning_id: digest(&values.learning_id),
            request_id: Some(self.id.clone()),
            subject: digest(&values.subject),
            table: self.target.as_ref().map(|target| target.table.clone()),
            ..Entry::new(Kind::Intent)
        };
        Ok(RequestEntry { entry, values })
    }
}

impl RequestEntry {
    /// The intent to delete the record of this request.
    pub(super) fn intent(&self, digests: Option<&Digests>) -> Result<Line, AuditError> {
        let mut entry = self.entry.clone();
        if let Some(digests) = digests {
            entry.set_digests(digests);
        }
        Line::new(&entry, &self.values)
    }

    /// The decision on this request.
    pub(super) fn decision(&self, decision: &Decision, found: &Found) -> Result<Line, AuditError> {
        let Self { mut entry, mut values } = self.clone();
        (entry.event, entry.time) = (Kind::Decision, time::format(SystemTime::now()));
        if let Some(digests) = &decision.digests {
            entry.set_digests(digests);
        }
        entry.denied_by = decision.denied_by().map(str::to_owned);
        entry.outcome = Some(decision.record.as_str().to_owned());
        entry.rule = Some(decision.rule().to_owned());
        entry.status = Some(decision.answer.as_ref().err().map_or(204, |rejection| rejection.status));
        entry.storage = last_delete(decision).map(str::to_owned);
        let error = decision.error.as_ref().filter(|error| !matches!(error, PolicyError::Overloaded));
        entry.violation = error.map(|error| violation(error).to_owned());
        if decision.record == RecordOutcome::Deleted {
            entry.learning_type.clone_from(&found.learning_type);
            values.owner = owner_of_deleted(decision, found).map(Salted::new).transpose()?;
            entry.owner = values.owner.as_ref().map(Salted::digest);
        }
        Line::new(&entry, &values)
    }
}

/// The owner of the record that was deleted, if it is known: the one that the delete required, or the one that was read.
fn owner_of_deleted<'a>(decision: &'a Decision, found: &'a Found) -> Option<&'a str> {
    let required = decision.calls.iter().chain(decision.guards.iter().flat_map(|guard| &guard.calls));
    let mut required = required.filter_map(|call| match call {
        HostCall::Delete { condition: Condition::OwnedBy(owner), result: Some(Ok(Outcome::Deleted)) } => Some(&**owner),
        _ => None,
    });
    required.next_back().or(found.owner.as_deref())
}

/// The result of the last delete that reached the storage.
fn last_delete(decision: &Decision) -> Option<&'static str> {
    let calls = decision.guards.last().map_or(&decision.calls, |guard| &guard.calls);
    calls.iter().rev().find_map(|call| match call {
        HostCall::Delete { result: Some(Ok(outcome)), .. } => Some(outcome.as_str()),
        HostCall::Delete { result: Some(Err(error)), .. } => Some(error.kind.as_str()),
        HostCall::Delete { result: None, .. } => Some(StorageErrorKind::OutcomeUnknown.as_str()),
        _ => None,
    })
}

/// The name of a violation. A text of the error could contain what a policy wrote.
const fn violation(error: &PolicyError) -> &'static str {
    match error {
        PolicyError::Trapped(_) => "trapped",
        PolicyError::ExecutionTimeout => "execution-timeout",
        PolicyError::CpuTimeLimit => "cpu-time-limit",
        PolicyError::TooManyCalls => "too-many-calls",
        PolicyError::TooManyBytes => "too-many-bytes",
        PolicyError::Exited(_) => "exited",
        PolicyError::ExceedsLimits => "exceeds-limits",
        PolicyError::FalseSuccess => "false-success",
        PolicyError::RejectedAfterDeletion { .. } => "rejected-after-deletion",
        PolicyError::InvalidRejection { .. } => "invalid-rejection",
        PolicyError::GuardViolation { .. } => "guard-violation",
        PolicyError::Guard { error, .. } => violation(error),
        PolicyError::Sandbox(_) | PolicyError::Overloaded => "sandbox",
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind, Line, Salted, Values};
    use serde_json::Value;
    use std::collections::BTreeMap;

    fn full() -> Entry {
        let text = || Some("ü\"\u{7f}\u{1}\n".to_owned());
        Entry {
            bytes: Some(1),
            client: text(),
            confined: Some(true),
            count: Some(2),
            credential: text(),
            database: text(),
            denied_by: text(),
            guards: vec![super::GuardDigest { name: "a".to_owned(), sha256: "b".to_owned() }],
            learning_id: text(),
            learning_type: text(),
            oldest_open_intent: Some(3),
            outcome: text(),
            owner: text(),
            policy: text(),
            public_key: text(),
            request_id: text(),
            rule: text(),
            sha256: text(),
            status: Some(204),
            storage: text(),
            subject: text(),
            table: text(),
            version: text(),
            violation: text(),
            ..Entry::new(Kind::Decision)
        }
    }

    #[test]
    fn entry_has_the_canonical_form() {
        let entry = full();
        let text = serde_json::to_string(&entry).expect("JSON");
        let members: BTreeMap<String, Value> = serde_json::from_str(&text).expect("an object");
        assert_eq!(serde_json::to_string(&members).expect("JSON"), text, "the members are in order");
        assert_eq!(members.len(), 26, "the test has every member");
        assert!(text.contains("\u{7f}\\u0001\\n"), "{text}");
        assert_eq!(serde_json::from_str::<Entry>(&text).expect("an entry"), entry);
    }

    #[test]
    fn line_contains_one_tab_and_one_line_feed() {
        let values = Values { subject: Some(Salted::new("a\tb\nc").expect("a salt")), ..Values::default() };
        let line = Line::new(&full(), &values).expect("a line").text;
        assert_eq!((line.matches('\t').count(), line.matches('\n').count()), (1, 1));
        assert!(line.ends_with('\n'));
    }

    #[test]
    fn equal_values_have_different_digests() {
        let [a, b] = [(); 2].map(|()| Salted::new("alice").expect("a salt"));
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.digest(), a.clone().digest());
    }
}
