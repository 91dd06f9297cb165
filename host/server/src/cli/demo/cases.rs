//! The requests of the demonstration, and the answer that is documented for each.

use super::client::Answer;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of the shared secret that signs tokens: as many as HS256 takes (RFC 7518, section 3.2).
pub(super) const SECRET_BYTES: usize = 32;

/// Requests to one server.
pub(super) struct Act {
    /// What the server runs.
    pub(super) title: &'static str,
    /// The sections of the configuration that only this server has.
    pub(super) configuration: &'static str,
    /// The records at the start, in the database `main`.
    pub(super) records: &'static [Record],
    /// The requests.
    pub(super) cases: &'static [Case],
    /// The ids of the records that nobody could delete.
    pub(super) left: &'static [&'static str],
}

/// A record at the start of an act.
pub(super) struct Record {
    id: &'static str,
    learning_type: &'static str,
    owner: Option<&'static str>,
    metadata: Option<&'static str>,
    created_at: i64,
}

/// A request and its documented answer.
pub(super) struct Case {
    /// Path and query, as sent.
    pub(super) target: &'static str,
    pub(super) caller: CallerOf,
    pub(super) expected: Expected,
}

/// Who sends a request.
#[derive(Clone, Copy)]
pub(super) enum CallerOf {
    Nobody,
    Forger,
    AliceLongAgo,
    AliceWithoutScope,
    Alice,
    TokenWithoutSubject,
    Admin,
}

/// A documented answer.
pub(super) enum Expected {
    Deleted,
    Error(u16, &'static str, &'static str),
}

use CallerOf::{Admin, Alice, AliceLongAgo, AliceWithoutScope, Forger, Nobody, TokenWithoutSubject};
use Expected::{Deleted, Error};

/// The default policy alone, then with guards.
pub(super) const ACTS: [&Act; 2] = [
    &Act {
        title: "the default policy",
        configuration: "",
        records: RECORDS,
        cases: CASES,
        left: &["user_profile_bob", "team_knowledge"],
    },
    &Act {
        title: "the default policy behind the guards legal-hold and retention",
        configuration: r#"
[[guards]]
name = "legal-hold"
component = "legal-hold.wasm"
settings = { held_users = ["carol"] }

[[guards]]
name = "retention"
component = "retention.wasm"
grants = ["wasi:clocks/wall-clock@0.2.12"]
settings = { minimum_age_days.decision_log = 30 }
"#,
        records: GUARDED_RECORDS,
        cases: GUARDED_CASES,
        left: &["held", "of_carol", "young"],
    },
];

/// Every documented answer, in the order of the rules.
const CASES: &[Case] = &[
    case("/learnings/user_profile_alice?db_id=main", Nobody, unauthenticated("Authorization header missing")),
    case("/learnings/user_profile_alice?db_id=main", Forger, unauthenticated("Invalid token")),
    case("/learnings/user_profile_alice?db_id=main", AliceLongAgo, unauthenticated("Token has expired")),
    case(
        "/learnings/user_profile_alice?db_id=main",
        AliceWithoutScope,
        forbidden("Insufficient permissions. Required scope(s): learnings:delete"),
    ),
    case(
        "/learnings/user_profile_alice?table=agno_learnings",
        Alice,
        bad_request("The db_id query parameter is required when passing a table"),
    ),
    case(
        "/learnings/user_profile_alice",
        Alice,
        bad_request("The db_id query parameter is required when using multiple databases"),
    ),
    case(
        "/learnings/user_profile_alice?db_id=main&db_id=broken",
        Alice,
        bad_request("The db_id and table query parameters may be given once each"),
    ),
    case(
        "/learnings/%FF?db_id=main",
        Alice,
        bad_request("The learning_id must be UTF-8, percent-encoded, and not overlong"),
    ),
    case("/learnings/user_profile_alice?db_id=other", Alice, not_found("No database found with id 'other'")),
    case(
        "/learnings/user_profile_alice?db_id=main&table=agno_sessions",
        Alice,
        not_found("No database with id 'main' has table 'agno_sessions'"),
    ),
    case(
        "/learnings/user_profile_alice?db_id=main",
        TokenWithoutSubject,
        forbidden("Authenticated request is missing a user identity"),
    ),
    case("/learnings/user_profile_alice?db_id=main", Alice, Deleted),
    case("/learnings/user_profile_alice?db_id=main", Alice, not_found("Learning not found")),
    case("/learnings/user_profile_bob?db_id=main", Alice, not_found("Learning not found")),
    case(
        "/learnings/entity_global_person_ada?db_id=main",
        Alice,
        forbidden("Only admins can modify learnings that have no owner (user_id is null)"),
    ),
    case("/learnings/entity_global_person_ada?db_id=main", Admin, Deleted),
    case("/learnings/notes%2F2026%20%F0%9F%A6%80?db_id=main", Alice, Deleted),
    case(
        "/learnings/user_profile_alice?db_id=broken",
        Alice,
        Error(500, "Failed to delete learning", "INTERNAL_SERVER_ERROR"),
    ),
];

const RECORDS: &[Record] = &[
    record("user_profile_alice", Some("alice")),
    record("user_profile_bob", Some("bob")),
    record("entity_global_person_ada", None),
    record("team_knowledge", None),
    record("notes/2026 🦀", Some("alice")),
];

/// Every answer that the guards change, and some that they do not.
const GUARDED_CASES: &[Case] = &[
    case("/learnings/held?db_id=main", Alice, forbidden("This learning is under legal hold")),
    case("/learnings/held?db_id=main", Admin, forbidden("This learning is under legal hold")),
    case("/learnings/of_carol?db_id=main", Admin, forbidden("This learning belongs to a user under legal hold")),
    case("/learnings/of_carol?db_id=main", Alice, not_found("Learning not found")),
    case(
        "/learnings/young?db_id=main",
        Alice,
        forbidden(
            "Learnings of this type are retained for 30 days after their creation, this one until 2999-12-31T00:00:00Z",
        ),
    ),
    case("/learnings/old?db_id=main", Alice, Deleted),
    case("/learnings/old?db_id=main", Alice, not_found("Learning not found")),
];

const GUARDED_RECORDS: &[Record] = &[
    Record { metadata: Some(r#"{"legal_hold": true}"#), ..record("held", Some("alice")) },
    record("of_carol", Some("carol")),
    // Created in the future, on 2999-12-01.
    Record { learning_type: "decision_log", created_at: 32_501_001_600, ..record("young", Some("alice")) },
    Record { learning_type: "decision_log", ..record("old", Some("alice")) },
];

const fn record(id: &'static str, owner: Option<&'static str>) -> Record {
    Record { id, learning_type: "user_profile", owner, metadata: None, created_at: 1_750_000_000 }
}

const fn case(target: &'static str, caller: CallerOf, expected: Expected) -> Case {
    Case { target, caller, expected }
}

const fn bad_request(detail: &'static str) -> Expected {
    Error(400, detail, "BAD_REQUEST")
}

const fn unauthenticated(detail: &'static str) -> Expected {
    Error(401, detail, "UNAUTHENTICATED")
}

const fn forbidden(detail: &'static str) -> Expected {
    Error(403, detail, "FORBIDDEN")
}

const fn not_found(detail: &'static str) -> Expected {
    Error(404, detail, "NOT_FOUND")
}

impl Expected {
    /// Whether an answer is this one: status and body, byte for byte.
    pub(super) fn is(&self, answer: &Answer) -> bool {
        match self {
            Deleted => answer.status == 204 && answer.body.is_empty(),
            Error(status, detail, code) => {
                let body = json!({ "detail": detail, "error_code": code });
                answer.status == *status && serde_json::from_slice(&answer.body).ok() == Some(body)
            }
        }
    }
}

impl CallerOf {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Nobody => "nobody",
            Forger => "a forger",
            AliceLongAgo => "alice, long ago",
            AliceWithoutScope => "alice, no scope",
            Alice => "alice",
            TokenWithoutSubject => "no subject",
            Admin => "an admin",
        }
    }

    /// The token that this caller sends.
    pub(super) fn token(self, secret: &str) -> Option<String> {
        const DISTANT: u64 = 32_503_680_000; // the year 3000
        let claims = match self {
            Nobody => return None,
            AliceLongAgo => json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": 1_000_000_000 }),
            AliceWithoutScope => json!({ "sub": "alice", "scopes": ["learnings:read"], "exp": DISTANT }),
            Alice | Forger => json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": DISTANT }),
            TokenWithoutSubject => json!({ "scopes": ["learnings:delete"], "exp": DISTANT }),
            Admin => json!({ "sub": "root", "scopes": ["agent_os:admin"], "exp": DISTANT }),
        };
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let secret = if matches!(self, Forger) { "a secret that the server does not have" } else { secret };
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Stores the records of an act, in the table that the server created.
pub(super) fn fill(act: &Act, file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    for Record { id, learning_type, owner, metadata, created_at } in act.records {
        connection.execute(
            "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, metadata, created_at)
             VALUES (?1, ?2, ?3, '{\"name\": \"a person\"}', ?4, ?5)",
            (id, learning_type, owner, metadata, created_at),
        )?;
    }
    Ok(())
}

/// The ids of the records that are there.
pub(super) fn ids(file: &Path) -> rusqlite::Result<BTreeSet<String>> {
    let connection = Connection::open(file)?;
    let mut statement = connection.prepare("SELECT learning_id FROM agno_learnings")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    ids.collect()
}

/// The ids of the records that nobody could delete.
pub(super) fn expected_left(act: &Act) -> BTreeSet<String> {
    act.left.iter().map(|id| (*id).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::client::Answer;
    use super::{Expected, GUARDED_RECORDS};

    #[test]
    fn delete_is_answered_204_without_a_body() {
        let is =
            |status, body: &'static str| Expected::Deleted.is(&Answer { status, body: body.into(), request_id: None });
        assert_eq!([is(204, ""), is(204, "{}"), is(404, "")], [true, false, false]);
    }

    #[test]
    fn record_that_is_old_enough_to_be_deleted_has_the_type_that_is_retained() {
        let type_of = |id| GUARDED_RECORDS.iter().find(|record| record.id == id).map(|record| record.learning_type);
        assert_eq!([type_of("young"), type_of("old")], [Some("decision_log"); 2]);
    }
}
