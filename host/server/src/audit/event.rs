//! The entries of the log: what an event contains, and which of its values are redacted.
//!
//! An entry is a JSON object in canonical form (RFC 8785: no spaces, members in order), which the Merkle tree contains. In
//! place of an id, a subject, an owner or an address it has the SHA-256 of a random salt and the value. Salts and values are
//! stored beside the entry, and erasing them changes no entry.

use super::error::AuditError;
use super::json;
use super::time;
use super::trace::CallerSummary;
use super::tree::{Hash, sha256};
use crate::hex::{hex, hex_digits};
use delete_learning::storage::DeletedRecord;
use delete_learning::{Decision, Digests, HostCall, PolicyError, RecordOutcome, StorageErrorKind, Target};
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

/// An entry. Its members are in alphabetical order, as the canonical form requires; absent ones are left out. `T` is the type of its
/// texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<T = String> {
    /// The number of bytes that a repair removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The client address, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<T>,
    /// Whether the caller could delete only its own records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined: Option<bool>,
    /// The number of decisions that were dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The kind of the credential, as the contract spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<T>,
    /// The id of the resolved database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<T>,
    /// The guard that denied the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<T>,
    /// What the entry records.
    pub event: Kind,
    /// The guards that decided, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardDigest>,
    /// The learning id, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_id: Option<T>,
    /// The type of the deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_type: Option<T>,
    /// The index of the oldest open intent, at a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_open_intent: Option<u64>,
    /// Of a decision: `deleted`, `not-deleted` or `unknown`. Of an interrupted one: `absent`, `present` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<T>,
    /// The owner of the deleted record, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<T>,
    /// The SHA-256 of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<T>,
    /// The public key that signs the checkpoints from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<T>,
    /// The id of the request, which its answer has too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<T>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<T>,
    /// The SHA-256 of the bytes that a repair removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<T>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The result of the last delete, as the contract spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<T>,
    /// The subject of the caller, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<T>,
    /// The table of the resolved database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<T>,
    /// When the event occurred, by the clock of the server.
    pub time: T,
    /// The version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<T>,
    /// How the policy or a guard violated the contract or a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<T>,
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
pub struct Salted<T = String> {
    /// 16 random bytes in hexadecimal digits.
    pub salt: T,
    /// The value.
    pub value: T,
}

impl Salted {
    /// What an entry has in place of the value: the SHA-256 of the digits of the salt and the value.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&digest(self.salt.as_bytes(), &self.value))
    }
}

fn digest(salt: &[u8], value: &str) -> Hash {
    sha256(&[salt, value.as_bytes()])
}

/// The values that an entry redacts. An absent one is not in the entry either, or was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values<T = String> {
    /// The client address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Salted<T>>,
    /// The learning id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_id: Option<Salted<T>>,
    /// The owner of the deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Salted<T>>,
    /// The subject of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Salted<T>>,
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
    pub(super) text: Vec<u8>,
}

/// Memory that is reserved for a line, in bytes: enough for most, and small enough for the C library to allocate it
/// quickly.
const LINE_CAPACITY: usize = 1000;

impl Line {
    pub(super) fn new<T: AsRef<str>>(entry: &Entry<T>, values: &Values<T>) -> Result<Self, AuditError> {
        let mut text = Vec::with_capacity(LINE_CAPACITY);
        json::write_entry(entry, &mut text)?;
        if text.len() > MAX_ENTRY_BYTES {
            return Err(AuditError::EntryTooLong(text.len()));
        }
        // JSON contains no tab, so the first one separates the two.
        text.push(b'\t');
        json::write_values(values, &mut text)?;
        text.push(b'\n');
        let request_id = entry.request_id.as_ref().map(|id| id.as_ref().to_owned());
        Ok(Self { kind: entry.event, request_id, text })
    }
}

impl Entry {
    /// An entry of this kind at this time, without anything else.
    pub(super) fn new(event: Kind) -> Self {
        Self::at(event, time::format(SystemTime::now()))
    }
}

impl<T> Entry<T> {
    /// An entry of this kind, without anything else.
    const fn at(event: Kind, time: T) -> Self {
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
            time,
            version: None,
            violation: None,
        }
    }
}

fn guard_digests(digests: Option<&Digests>) -> Vec<GuardDigest> {
    let guards = digests.map_or(&[][..], |digests| &digests.guards);
    guards.iter().map(|(name, digest)| GuardDigest { name: name.clone(), sha256: digest.to_string() }).collect()
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

/// The bytes of a salt.
const SALT_BYTES: usize = 16;

/// A salt of a value and what entries have in place of the value, in hexadecimal digits.
struct Redaction {
    salt: [u8; 2 * SALT_BYTES],
    digest: [u8; 2 * size_of::<Hash>()],
}

impl Redaction {
    fn new(value: &str, salt: [u8; SALT_BYTES]) -> Self {
        let salt = hex_digits(&salt);
        Self { salt, digest: hex_digits(&digest(&salt, value)) }
    }

    fn salted<'a>(&'a self, value: &'a str) -> Salted<&'a str> {
        Salted { salt: text(&self.salt), value }
    }
}

/// The text of ASCII characters.
fn text(characters: &[u8]) -> &str {
    std::str::from_utf8(characters).unwrap_or_default()
}

/// What the entries of a request have in place of values. It owns little, because every request makes two lines of it.
pub(super) struct RedactedRequest {
    address: String,
    client: Redaction,
    learning_id: Option<Redaction>,
    subject: Option<Redaction>,
    /// For the owner, which is known once the record is deleted.
    owner_salt: [u8; SALT_BYTES],
}

impl RedactedRequest {
    pub(super) fn new(request: &Request) -> Result<Self, AuditError> {
        // One call for all salts.
        let mut salts = [[0; SALT_BYTES]; 4];
        getrandom::fill(salts.as_flattened_mut()).map_err(|_| AuditError::NoRandomBytes)?;
        let [client, learning_id, subject, owner_salt] = salts;
        let address = request.client.to_string();
        Ok(Self {
            client: Redaction::new(&address, client),
            learning_id: request.learning_id.as_deref().map(|id| Redaction::new(id, learning_id)),
            subject: request.caller.subject().map(|name| Redaction::new(name, subject)),
            owner_salt,
            address,
        })
    }

    /// The intent to delete the record of the request.
    pub(super) fn intent(&self, request: &Request, digests: Option<&Digests>) -> Result<Line, AuditError> {
        let (time, policy) = (time::digits(SystemTime::now()), digests.map(|digests| digests.policy.to_string()));
        let entry = self.entry(request, Kind::Intent, text(&time));
        let entry = Entry { guards: guard_digests(digests), policy: policy.as_deref(), ..entry };
        Line::new(&entry, &self.values(request))
    }

    /// The decision on the request. `known` is what is known of its record.
    pub(super) fn decision(
        &self,
        request: &Request,
        decision: &Decision,
        known: &DeletedRecord,
    ) -> Result<Line, AuditError> {
        let digests = decision.digests.as_deref();
        let (time, policy) = (time::digits(SystemTime::now()), digests.map(|digests| digests.policy.to_string()));
        let is_deleted = decision.record == RecordOutcome::Deleted;
        let name = known.owner.as_deref().filter(|_| is_deleted);
        let owner = name.map(|name| (Redaction::new(name, self.owner_salt), name));
        let error = decision.error.as_ref().filter(|error| !matches!(error, PolicyError::Overloaded));
        let entry = Entry {
            denied_by: decision.denied_by(),
            guards: guard_digests(digests),
            learning_type: known.learning_type.as_deref().filter(|_| is_deleted),
            outcome: Some(decision.record.as_str()),
            owner: owner.as_ref().map(|(redaction, _)| text(&redaction.digest)),
            policy: policy.as_deref(),
            rule: Some(decision.rule()),
            status: Some(decision.answer.as_ref().err().map_or(204, |rejection| rejection.status)),
            storage: last_delete(decision),
            violation: error.map(PolicyError::kind),
            ..self.entry(request, Kind::Decision, text(&time))
        };
        let owner = owner.as_ref().map(|(redaction, name)| redaction.salted(name));
        Line::new(&entry, &Values { owner, ..self.values(request) })
    }

    /// The members that all entries of the request have.
    fn entry<'a>(&'a self, request: &'a Request, event: Kind, time: &'a str) -> Entry<&'a str> {
        Entry {
            client: Some(text(&self.client.digest)),
            confined: request.caller.is_confined(),
            credential: Some(request.caller.credential().as_str()),
            database: request.target.as_ref().map(|target| target.database.as_str()),
            learning_id: self.learning_id.as_ref().map(|redaction| text(&redaction.digest)),
            request_id: Some(&request.id),
            subject: self.subject.as_ref().map(|redaction| text(&redaction.digest)),
            table: request.target.as_ref().map(|target| target.table.as_str()),
            ..Entry::at(event, time)
        }
    }

    /// The values that all entries of the request redact.
    fn values<'a>(&'a self, request: &'a Request) -> Values<&'a str> {
        let salted = |redaction: &'a Option<Redaction>, value: Option<&'a str>| {
            redaction.as_ref().zip(value).map(|(redaction, value)| redaction.salted(value))
        };
        Values {
            client: Some(self.client.salted(&self.address)),
            learning_id: salted(&self.learning_id, request.learning_id.as_deref()),
            owner: None,
            subject: salted(&self.subject, request.caller.subject()),
        }
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::{CallerSummary, Entry, Kind, Line, RedactedRequest, Request, Salted, Values};
    use delete_learning::storage::DeletedRecord;
    use delete_learning::{
        Caller, Condition, Credential, Decision, Digest, Digests, HostCall, IdentityError, IdentityErrorKind, Outcome,
        PolicyError, RecordOutcome, StorageError, StorageErrorKind,
    };
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    /// An entry with every member.
    pub(in crate::audit) fn full() -> Entry {
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
        let values =
            Values { subject: Some(Salted { salt: "0".repeat(32), value: "a\tb\nc".to_owned() }), ..Values::default() };
        let line = Line::new(&full(), &values).expect("a line").text;
        let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
        assert_eq!((count(b'\t'), count(b'\n')), (1, 1));
        assert!(line.ends_with(b"\n"));
    }

    #[test]
    fn equal_values_have_different_digests() {
        let error =
            IdentityError { kind: IdentityErrorKind::Missing, credential: Credential::None, message: String::new() };
        let request = Request {
            id: "a".to_owned(),
            client: [127, 0, 0, 1].into(),
            caller: CallerSummary::new(&Err(error)),
            target: None,
            learning_id: Some("127.0.0.1".to_owned()),
        };
        let [a, b] = [(); 2].map(|()| RedactedRequest::new(&request).expect("salts"));
        let line = a.intent(&request, None).expect("a line").text;
        let (a, values) = parse(&line);
        assert_ne!(a.client.as_deref(), Some(super::text(&b.client.digest)));
        assert_ne!(a.client, a.learning_id);
        assert_eq!(values.mismatch(&a), None);
        let Salted { salt, value } = values.client.expect("an address");
        assert_eq!((value.as_str(), salt.len()), ("127.0.0.1", 32), "as `AUDIT.md` says");
        assert!(salt.bytes().all(|digit| digit.is_ascii_hexdigit()), "{salt}");
    }

    fn parse(line: &[u8]) -> (Entry, Values) {
        let (entry, values) = line.split_at(line.iter().position(|byte| *byte == b'\t').expect("a tab"));
        (serde_json::from_slice(entry).expect("an entry"), serde_json::from_slice(values).expect("values"))
    }

    fn decision(calls: Vec<HostCall>, error: Option<PolicyError>) -> Entry {
        let (client, caller) = (IpAddr::from([127, 0, 0, 1]), CallerSummary::new(&Err(no_caller())));
        let request = Request { id: "r".to_owned(), client, caller, target: None, learning_id: None };
        let decision = Decision {
            answer: Ok(()),
            record: RecordOutcome::Unknown,
            calls,
            guards: Vec::new(),
            error,
            output: None,
            digests: None,
        };
        let redacted = RedactedRequest::new(&request).expect("random bytes");
        let line = redacted.decision(&request, &decision, &DeletedRecord::default()).expect("a line").text;
        parse(&line).0
    }

    fn no_caller() -> IdentityError {
        IdentityError::new(IdentityErrorKind::Missing, Credential::Jwt, "no Authorization header")
    }

    #[test]
    fn violation_of_a_policy_or_a_guard_is_recorded_by_its_name() {
        let of_guard = |error| PolicyError::Guard { name: "g".to_owned(), error: Box::new(error) };
        for (error, name) in [
            (None, None),
            (Some(PolicyError::Overloaded), None),
            (Some(PolicyError::FalseSuccess), Some("false-success")),
            (Some(PolicyError::CpuTimeLimit), Some("cpu-time-limit")),
            (Some(of_guard(PolicyError::TooManyCalls)), Some("too-many-calls")),
        ] {
            assert_eq!(decision(Vec::new(), error).violation.as_deref(), name);
        }
    }

    #[test]
    fn last_delete_is_recorded_as_the_storage_answered_it() {
        let delete = |result| HostCall::Delete { condition: Condition::Any, result };
        let unavailable = StorageError::new(StorageErrorKind::Unavailable, "down");
        for (result, name) in [
            (Some(Ok(Outcome::Absent)), "absent"),
            (Some(Err(unavailable)), "unavailable"),
            // The policy was stopped before the storage answered.
            (None, "outcome-unknown"),
        ] {
            let calls = vec![delete(Some(Ok(Outcome::Deleted))), delete(result), HostCall::Current];
            assert_eq!(decision(calls, None).storage.as_deref(), Some(name));
        }
        assert_eq!(decision(vec![HostCall::Current], None).storage, None);
    }

    #[test]
    fn kind_has_the_name_that_entries_have() {
        use Kind::{Decision, Dropped, Intent, Interrupted, Repaired, Rotated, Started, Stopped};
        for kind in [Started, Stopped, Rotated, Repaired, Intent, Decision, Interrupted, Dropped] {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
    }

    #[test]
    fn value_that_an_entry_has_and_a_line_has_not_was_erased() {
        let salted = || Some(Salted { salt: "00".repeat(16), value: "x".to_owned() });
        let all = || Values { client: salted(), learning_id: salted(), owner: salted(), subject: salted() };
        let redacted = Entry { owner: Some("x".to_owned()), ..full() };
        assert!(!all().is_erased(&redacted) && !Values::default().is_erased(&Entry::new(Kind::Decision)));
        assert!(!all().is_erased(&Entry::new(Kind::Decision)));
        for erased in [
            Values { client: None, ..all() },
            Values { learning_id: None, ..all() },
            Values { owner: None, ..all() },
            Values { subject: None, ..all() },
        ] {
            assert!(erased.is_erased(&redacted), "{erased:?}");
        }
    }

    #[test]
    fn intent_states_how_its_caller_authenticated() {
        let caller = Caller {
            credential: Credential::ServiceAccount,
            subject: Some("sa:bot".to_owned()),
            scopes: Vec::new(),
            scopes_optional: false,
            all_owners: false,
            admin_scope: "admin".to_owned(),
        };
        let (client, caller) = (IpAddr::from([127, 0, 0, 1]), CallerSummary::new(&Ok(caller)));
        let request = Request { id: "r".to_owned(), client, caller, target: None, learning_id: Some("a".to_owned()) };
        let line = RedactedRequest::new(&request).expect("random bytes").intent(&request, None).expect("a line").text;
        let (entry, values) = parse(&line);
        assert_eq!(
            (entry.credential.as_deref(), entry.confined),
            (Some(Credential::ServiceAccount.as_str()), Some(true))
        );
        let value = |salted: Option<Salted>| salted.map(|salted| salted.value);
        assert_eq!(value(values.subject).as_deref(), Some("sa:bot"));
        assert_eq!(
            (value(values.client).as_deref(), value(values.learning_id).as_deref()),
            (Some("127.0.0.1"), Some("a"))
        );
    }

    #[test]
    fn intent_names_the_components_that_decide() {
        let (client, caller) = (IpAddr::from([127, 0, 0, 1]), CallerSummary::new(&Err(no_caller())));
        let request = Request { id: "r".to_owned(), client, caller, target: None, learning_id: None };
        let [policy, guard] = [Digest::of(b"policy"), Digest::of(b"guard")];
        let digests = Digests { policy, guards: vec![("hold".to_owned(), guard)] };
        let redacted = RedactedRequest::new(&request).expect("random bytes");
        let (entry, _) = parse(&redacted.intent(&request, Some(&digests)).expect("a line").text);
        assert_eq!(entry.policy, Some(policy.to_string()));
        let guards: Vec<_> = entry.guards.into_iter().map(|guard| (guard.name, guard.sha256)).collect();
        assert_eq!(guards, [("hold".to_owned(), guard.to_string())]);
    }
}
