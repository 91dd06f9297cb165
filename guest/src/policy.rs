//! The order of decisions on a request to delete a learning.
//!
//! A decision has two halves with one storage call between them. [`plan`] decides on what is known of the request and
//! its caller: refuse, or which single delete to ask for. [`conclude`] decides on what storage answered. Neither does
//! input or output, so whoever runs them (the component, a native program, a test) makes the call in the middle.
//!
//! The rules are those of the Agno API's `DELETE /learnings/{learning_id}`, in its order, first match wins:
//!
//! 1. who is calling: [`IdentityErrorKind`] → 401 (429, 503, 500)
//! 2. the scope: `learnings:delete`, or the admin scope → 403
//! 3. the target: a table without a database → 400; then what storage says of it → 400, 404, 501
//! 4. a caller who is confined to its own records and has no subject → 403, before any record is looked at
//! 5. the record: absent → 404; without an owner → 403; with another owner → 404, worded like absent
//! 6. anything that failed → 500 or 503, the cause for the log only

use alloc::string::String;
use alloc::vec::Vec;

/// What the caller asks for. An empty `db_id` or `table` means the same as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The database that the caller named.
    pub db_id: Option<String>,
    /// The table that the caller named.
    pub table: Option<String>,
}

/// What the caller proved itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing, in a deployment that asks for nothing.
    None,
    /// The deployment's security key, the root credential.
    SecurityKey,
    /// A JSON Web Token.
    Jwt,
    /// A service account's token.
    ServiceAccount,
}

/// An authenticated caller, and how the deployment weighs what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What it proved itself with.
    pub credential: Credential,
    /// Whom the credential stands for; an empty subject counts as none.
    pub subject: Option<String>,
    /// The scopes that it carries.
    pub scopes: Vec<String>,
    /// Whether a token needs a scope.
    pub enforce_scopes: bool,
    /// Whether a token's holder is confined to its own records.
    pub user_isolation: bool,
    /// The scope that makes an administrator.
    pub admin_scope: String,
}

/// Why there is no caller. See the contract's `identity-error-kind` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract describes each case; the mapping below is its meaning here")]
pub enum IdentityErrorKind {
    Missing,
    Malformed,
    Invalid,
    Expired,
    WrongAudience,
    ReservedSubject,
    NotEnabled,
    RateLimited,
    Unavailable,
    Internal,
}

/// Why there is no caller, and which credential it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityError {
    /// The reason.
    pub kind: IdentityErrorKind,
    /// The credential presented, or where none was, the one asked for.
    pub credential: Credential,
}

/// How a delete ended. See the contract's `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract describes each case; the mapping below is its meaning here")]
pub enum Outcome {
    Deleted,
    Absent,
    Unowned,
    OwnedByAnother,
    Changed,
}

/// Why storage has no answer. See the contract's `storage-error-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract describes each case; the mapping below is its meaning here")]
pub enum StorageErrorKind {
    InvalidLearningId,
    RepeatedParameter,
    DatabaseRequired,
    UnknownDatabase,
    UnknownTable,
    Unsupported,
    Unavailable,
    OutcomeUnknown,
    Internal,
}

/// The category of a refusal; each belongs to one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract describes each case")]
pub enum ErrorCode {
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    TooManyRequests,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
}

impl ErrorCode {
    /// The HTTP status of this category (RFC 9110, section 15; RFC 6585 for 429).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooManyRequests => 429,
            Self::InternalServerError => 500,
            Self::NotImplemented => 501,
            Self::ServiceUnavailable => 503,
        }
    }
}

/// A refusal: what the caller is told, and the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The category, and with it the status.
    pub code: ErrorCode,
    /// One sentence for the caller.
    pub detail: String,
    /// The name of the rule, for log and audit.
    pub rule: &'static str,
}

/// What to do about a request, as far as it is decided without storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Refuse. Storage is not asked.
    Refuse(Rejection),
    /// Ask whether the request names its target well, looking at no record. If it does not, [`conclude`] words the
    /// refusal; if it does, refuse with this.
    RefuseAtTarget(Rejection),
    /// Delete the record, whoever owns it.
    Delete,
    /// Delete the record if this user owns it.
    DeleteIfOwnedBy(String),
}

/// Which record a plan's delete was to take, whoever owns it or only if its owner is the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The record, whoever owns it.
    Any,
    /// The record, if the caller owns it.
    Own,
}

/// The scope that deleting takes, as the Agno API names it.
const SCOPE: &str = "learnings:delete";
/// The same scope, spelled for every record.
const SCOPE_EVERY_RECORD: &str = "learnings:*:delete";

/// The first half: decides on the request and its caller.
///
/// The one statement a delete needs is chosen here, so that its condition travels with it.
#[must_use]
pub fn plan(request: &Request, caller: Result<Caller, IdentityError>) -> Plan {
    let caller = match caller {
        Ok(caller) => caller,
        Err(error) => return Plan::Refuse(not_identified(error)),
    };
    if !may_delete(&caller) {
        return Plan::Refuse(refuse(
            ErrorCode::Forbidden,
            "Insufficient permissions. Required scope(s): learnings:delete",
            "missing-scope",
        ));
    }
    if named(request.table.as_deref()).is_some() && named(request.db_id.as_deref()).is_none() {
        return Plan::Refuse(refuse(
            ErrorCode::BadRequest,
            "The db_id query parameter is required when passing a table",
            "table-without-database",
        ));
    }
    if !is_confined(&caller) {
        return Plan::Delete;
    }
    match caller.subject {
        Some(subject) if !subject.is_empty() => Plan::DeleteIfOwnedBy(subject),
        _ => Plan::RefuseAtTarget(refuse(
            ErrorCode::Forbidden,
            "Authenticated request is missing a user identity",
            "missing-subject",
        )),
    }
}

/// The second half: what the caller is told of what storage answered to the plan's one question.
///
/// # Errors
/// The refusal, for every answer but [`Outcome::Deleted`].
pub fn conclude(request: &Request, asked: Asked, answer: Result<Outcome, StorageErrorKind>) -> Result<(), Rejection> {
    match answer {
        Ok(Outcome::Deleted) => Ok(()),
        Ok(Outcome::Absent) => Err(refuse(ErrorCode::NotFound, "Learning not found", "learning-absent")),
        // Answers to a question that was not asked: a host that gives them is not to be trusted.
        Ok(Outcome::Unowned | Outcome::OwnedByAnother) if asked == Asked::Any => Err(failed("unexpected-outcome")),
        Ok(Outcome::Changed) => Err(failed("unexpected-outcome")),
        Ok(Outcome::Unowned) => Err(refuse(
            ErrorCode::Forbidden,
            "Only admins can modify learnings that have no owner (user_id is null)",
            "learning-unowned",
        )),
        // Worded like an absent one, so that nobody learns which ids exist.
        Ok(Outcome::OwnedByAnother) => {
            Err(refuse(ErrorCode::NotFound, "Learning not found", "learning-owned-by-another"))
        }
        Err(kind) => Err(not_stored(request, kind)),
    }
}

/// Whether the caller holds the authority to delete learnings at all.
fn may_delete(caller: &Caller) -> bool {
    match caller.credential {
        // No authentication was configured, or this is the root credential: there are no scopes to hold.
        Credential::None | Credential::SecurityKey => true,
        Credential::Jwt if !caller.enforce_scopes => true,
        Credential::Jwt | Credential::ServiceAccount => {
            is_admin(caller) || holds(caller, SCOPE) || holds(caller, SCOPE_EVERY_RECORD)
        }
    }
}

/// Whether the caller may delete its own records only.
fn is_confined(caller: &Caller) -> bool {
    match caller.credential {
        Credential::None | Credential::SecurityKey => false,
        Credential::Jwt => caller.user_isolation && !is_admin(caller),
        // A machine's identity is confined whether or not people are.
        Credential::ServiceAccount => !is_admin(caller),
    }
}

/// Whether the caller is an administrator. An admin scope without a name makes nobody one.
fn is_admin(caller: &Caller) -> bool {
    !caller.admin_scope.is_empty() && holds(caller, &caller.admin_scope)
}

fn holds(caller: &Caller, scope: &str) -> bool {
    caller.scopes.iter().any(|held| held == scope)
}

/// A query parameter that names something: an empty one counts as absent.
fn named(parameter: Option<&str>) -> Option<&str> {
    parameter.filter(|value| !value.is_empty())
}

fn not_identified(error: IdentityError) -> Rejection {
    use IdentityErrorKind as Kind;
    let unauthenticated = |detail, rule| refuse(ErrorCode::Unauthenticated, detail, rule);
    match (error.kind, error.credential) {
        (Kind::Missing, Credential::Jwt) => unauthenticated("Authorization header missing", "identity-missing"),
        (Kind::Missing, _) => unauthenticated("Authorization header required", "identity-missing"),
        (Kind::Malformed, _) => {
            unauthenticated("Authorization header must be one 'Bearer <token>'", "identity-malformed")
        }
        (Kind::Invalid, Credential::Jwt) => unauthenticated("Invalid token", "identity-invalid"),
        (Kind::Invalid | Kind::Expired, Credential::ServiceAccount) => {
            unauthenticated("Invalid or expired service account token", "identity-invalid")
        }
        (Kind::Invalid, _) => unauthenticated("Invalid authentication token", "identity-invalid"),
        (Kind::Expired, _) => unauthenticated("Token has expired", "identity-expired"),
        (Kind::WrongAudience, _) => unauthenticated(
            "Invalid token audience - token not valid for this AgentOS instance",
            "identity-wrong-audience",
        ),
        (Kind::ReservedSubject, _) => unauthenticated("Invalid token subject", "identity-reserved-subject"),
        (Kind::NotEnabled, Credential::ServiceAccount) => {
            unauthenticated("Service accounts are not enabled on this AgentOS instance", "identity-not-enabled")
        }
        (Kind::NotEnabled, _) => {
            unauthenticated("This kind of credential is not enabled on this AgentOS instance", "identity-not-enabled")
        }
        (Kind::RateLimited, _) => {
            refuse(ErrorCode::TooManyRequests, "Too many failed authentication attempts", "identity-rate-limited")
        }
        (Kind::Unavailable, _) => {
            refuse(ErrorCode::ServiceUnavailable, "Authentication is temporarily unavailable", "identity-unavailable")
        }
        (Kind::Internal, _) => refuse(ErrorCode::InternalServerError, "Internal server error", "identity-failed"),
    }
}

fn not_stored(request: &Request, kind: StorageErrorKind) -> Rejection {
    use StorageErrorKind as Kind;
    let db_id = named(request.db_id.as_deref()).unwrap_or_default();
    let table = named(request.table.as_deref()).unwrap_or_default();
    match kind {
        Kind::InvalidLearningId => refuse(
            ErrorCode::BadRequest,
            "The learning_id must be UTF-8, percent-encoded, and not overlong",
            "invalid-learning-id",
        ),
        Kind::RepeatedParameter => refuse(
            ErrorCode::BadRequest,
            "The db_id and table query parameters may be given once each",
            "repeated-parameter",
        ),
        Kind::DatabaseRequired => refuse(
            ErrorCode::BadRequest,
            "The db_id query parameter is required when using multiple databases",
            "database-required",
        ),
        Kind::UnknownDatabase => Rejection {
            code: ErrorCode::NotFound,
            detail: sentence(&["No database found with id '", &quotable(db_id), "'"]),
            rule: "unknown-database",
        },
        Kind::UnknownTable => Rejection {
            code: ErrorCode::NotFound,
            detail: sentence(&["No database with id '", &quotable(db_id), "' has table '", &quotable(table), "'"]),
            rule: "unknown-table",
        },
        Kind::Unsupported => refuse(
            ErrorCode::NotImplemented,
            "Learnings not supported by the configured database",
            "unsupported-database",
        ),
        Kind::Unavailable => refuse(
            ErrorCode::ServiceUnavailable,
            "The database is temporarily unavailable; nothing was deleted",
            "storage-unavailable",
        ),
        Kind::OutcomeUnknown => failed("outcome-unknown"),
        Kind::Internal => failed("storage-failed"),
    }
}

/// These parts together. By hand, as the formatting of the standard library comes with tables of functions, which every
/// fresh instance would have to be given.
fn sentence(parts: &[&str]) -> String {
    let mut sentence = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        sentence.push_str(part);
    }
    sentence
}

/// What a caller sent, as it may be repeated to it: control characters replaced, and cut at a length that keeps the
/// detail within the contract's 1024 bytes even where two of these stand in one sentence.
fn quotable(text: &str) -> String {
    const MOST_BYTES: usize = 400;
    let mut quoted = String::with_capacity(text.len().min(MOST_BYTES));
    for character in text.chars() {
        let character = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if quoted.len() + character.len_utf8() > MOST_BYTES {
            quoted.push('…');
            break;
        }
        quoted.push(character);
    }
    quoted
}

/// One wording for every failure, so that a caller cannot tell causes apart.
fn failed(rule: &'static str) -> Rejection {
    refuse(ErrorCode::InternalServerError, "Failed to delete learning", rule)
}

fn refuse(code: ErrorCode, detail: &str, rule: &'static str) -> Rejection {
    Rejection { code, detail: String::from(detail), rule }
}

#[cfg(test)]
mod tests;
