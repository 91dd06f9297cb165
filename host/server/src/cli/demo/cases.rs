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

/// Every documented answer, in the order of the rules.
pub(super) const CASES: &[Case] = &[
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

/// The records at the start: id and owner.
const RECORDS: [(&str, Option<&str>); 5] = [
    ("user_profile_alice", Some("alice")),
    ("user_profile_bob", Some("bob")),
    ("entity_global_person_ada", None),
    ("team_knowledge", None),
    ("notes/2026 🦀", Some("alice")),
];

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

/// Stores the records, in the table that the server created.
pub(super) fn fill(file: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    for (id, owner) in RECORDS {
        connection.execute(
            "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
             VALUES (?1, 'user_profile', ?2, '{\"name\": \"a person\"}', 1790000000)",
            (id, owner),
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
pub(super) fn expected_left() -> BTreeSet<String> {
    ["user_profile_bob", "team_knowledge"].map(str::to_owned).into()
}
