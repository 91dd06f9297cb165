//! The decisions on a request to delete a learning.
//!
//! The rules are those of the Agno API's `DELETE /learnings/{learning_id}`. They are checked in this order, and the first
//! rule that matches decides:
//!
//! 1. There is no caller → 401 (429, 503, 500).
//! 2. The caller has neither the scope `learnings:delete` nor the admin scope → 403.
//! 3. The request names a table without a database → 400.
//! 4. Storage reports that the request names no valid target → 400, 404, 501.
//! 5. The caller can delete only records of its own and has no subject → 403, before any record is looked at.
//! 6. The record is absent → 404; has no owner → 403; has another owner → 404, worded like an absent record.
//! 7. The deletion fails → 500 or 503. Only the log has the cause.

use alloc::string::String;
use delete_learning_sdk::{
    Caller, Credential, DeleteRequest, ErrorCode, IdentityError, IdentityErrorKind, Outcome, PolicyHost, Rejection,
    StorageError, StorageErrorKind, is_valid_detail,
};

/// The scope that permits deleting learnings.
const REQUIRED_SCOPE: &str = "learnings:delete";

/// The same scope in its form for every record.
const REQUIRED_SCOPE_ALL_RECORDS: &str = "learnings:*:delete";

/// Decides on a request to delete a learning, and deletes the learning if the caller has permission.
///
/// Calls [`PolicyHost::caller`] once, then at most one other method. The condition on the owner is part of the delete, so
/// the owner cannot change between the decision and the deletion.
///
/// # Errors
/// Returns a rejection unless the host reports that this call deleted the record.
pub async fn delete_learning(request: &DeleteRequest, host: &impl PolicyHost) -> Result<(), Rejection> {
    // 1. The host must know the caller.
    let caller = host.caller().await.map_err(|error| reject_identity(&error))?;

    // 2. The caller must have permission to delete learnings.
    if !has_delete_permission(&caller) {
        return Err(reject(
            ErrorCode::Forbidden,
            "missing-scope",
            "Insufficient permissions. Required scope(s): learnings:delete",
        ));
    }

    // 3. A table must come with its database.
    if non_empty(request.table.as_deref()).is_some() && non_empty(request.db_id.as_deref()).is_none() {
        return Err(reject(
            ErrorCode::BadRequest,
            "table-without-database",
            "The db_id query parameter is required when passing a table",
        ));
    }

    // 4. The target must exist: every method of storage checks that before it looks at a record.
    let reject_storage = |error| reject_storage(request, &error);
    match DeleteScope::for_caller(&caller) {
        // 5. A caller that is limited to its own records must have a subject.
        DeleteScope::None => {
            host.locate().await.map_err(reject_storage)?;
            Err(reject(ErrorCode::Forbidden, "missing-subject", "Authenticated request is missing a user identity"))
        }
        // 6. The record must exist and be within the scope of the caller.
        DeleteScope::Own(user_id) => match host.delete_if_owned_by(user_id).await.map_err(reject_storage)? {
            Outcome::Deleted => Ok(()),
            Outcome::Absent => Err(reject_as_absent("learning-absent")),
            Outcome::Unowned => Err(reject(
                ErrorCode::Forbidden,
                "learning-unowned",
                "Only admins can modify learnings that have no owner (user_id is null)",
            )),
            Outcome::OwnedByAnother => Err(reject_as_absent("learning-owned-by-another")),
            Outcome::Changed => Err(reject_as_failed("unexpected-outcome")),
        },
        DeleteScope::All => match host.delete().await.map_err(reject_storage)? {
            Outcome::Deleted => Ok(()),
            Outcome::Absent => Err(reject_as_absent("learning-absent")),
            Outcome::Unowned | Outcome::OwnedByAnother | Outcome::Changed => {
                Err(reject_as_failed("unexpected-outcome"))
            }
        },
    }
}

/// The records that a caller can delete.
enum DeleteScope<'a> {
    /// No records: the caller is limited to its own, and has no subject that could own any.
    None,
    /// The records that this user owns.
    Own(&'a str),
    /// All records.
    All,
}

impl<'a> DeleteScope<'a> {
    fn for_caller(caller: &'a Caller) -> Self {
        let is_confined = match caller.credential {
            Credential::None | Credential::SecurityKey => false,
            Credential::Jwt => !caller.all_owners && !is_admin(caller),
            // A service account is confined even if the deployment does not isolate users.
            Credential::ServiceAccount => !is_admin(caller),
        };
        if is_confined { non_empty(caller.subject.as_deref()).map_or(Self::None, Self::Own) } else { Self::All }
    }
}

/// Whether the caller has permission to delete learnings at all.
fn has_delete_permission(caller: &Caller) -> bool {
    let needs_scope = match caller.credential {
        // A deployment without authentication, and the root credential: neither has scopes.
        Credential::None | Credential::SecurityKey => false,
        Credential::Jwt => !caller.scopes_optional,
        Credential::ServiceAccount => true,
    };
    !needs_scope
        || is_admin(caller)
        || has_scope(caller, REQUIRED_SCOPE)
        || has_scope(caller, REQUIRED_SCOPE_ALL_RECORDS)
}

/// Whether the caller is an administrator. An empty admin scope makes no caller an administrator.
fn is_admin(caller: &Caller) -> bool {
    !caller.admin_scope.is_empty() && has_scope(caller, &caller.admin_scope)
}

fn has_scope(caller: &Caller, scope: &str) -> bool {
    caller.scopes.iter().any(|granted| granted == scope)
}

/// Treats an empty value as no value.
fn non_empty(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// The rejection of a request without a caller.
fn reject_identity(error: &IdentityError) -> Rejection {
    use ErrorCode::Unauthenticated;
    use IdentityErrorKind as Kind;
    match (error.kind, error.credential) {
        (Kind::Missing, Credential::Jwt) => reject(Unauthenticated, "identity-missing", "Authorization header missing"),
        (Kind::Missing, _) => reject(Unauthenticated, "identity-missing", "Authorization header required"),
        (Kind::Malformed, _) => {
            reject(Unauthenticated, "identity-malformed", "Authorization header must be one 'Bearer <token>'")
        }
        (Kind::Invalid, Credential::Jwt) => reject(Unauthenticated, "identity-invalid", "Invalid token"),
        (Kind::Invalid | Kind::Expired, Credential::ServiceAccount) => {
            reject(Unauthenticated, "identity-invalid", "Invalid or expired service account token")
        }
        (Kind::Invalid, _) => reject(Unauthenticated, "identity-invalid", "Invalid authentication token"),
        (Kind::Expired, _) => reject(Unauthenticated, "identity-expired", "Token has expired"),
        (Kind::WrongAudience, _) => reject(
            Unauthenticated,
            "identity-wrong-audience",
            "Invalid token audience - token not valid for this AgentOS instance",
        ),
        (Kind::ReservedSubject, _) => reject(Unauthenticated, "identity-reserved-subject", "Invalid token subject"),
        (Kind::NotEnabled, Credential::ServiceAccount) => {
            reject(Unauthenticated, "identity-not-enabled", "Service accounts are not enabled on this AgentOS instance")
        }
        (Kind::NotEnabled, _) => reject(
            Unauthenticated,
            "identity-not-enabled",
            "This kind of credential is not enabled on this AgentOS instance",
        ),
        (Kind::RateLimited, _) => {
            reject(ErrorCode::TooManyRequests, "identity-rate-limited", "Too many failed authentication attempts")
        }
        (Kind::Unavailable, _) => {
            reject(ErrorCode::ServiceUnavailable, "identity-unavailable", "Authentication is temporarily unavailable")
        }
        (Kind::Internal, _) => reject(ErrorCode::InternalServerError, "identity-failed", "Internal server error"),
    }
}

/// The rejection of a request that storage could not serve.
fn reject_storage(request: &DeleteRequest, error: &StorageError) -> Rejection {
    use StorageErrorKind as Kind;
    let db_id = || sanitize(non_empty(request.db_id.as_deref()).unwrap_or_default());
    let table = || sanitize(non_empty(request.table.as_deref()).unwrap_or_default());
    match error.kind {
        Kind::InvalidLearningId => reject(
            ErrorCode::BadRequest,
            "invalid-learning-id",
            "The learning_id must be UTF-8, percent-encoded, and not overlong",
        ),
        Kind::RepeatedParameter => reject(
            ErrorCode::BadRequest,
            "repeated-parameter",
            "The db_id and table query parameters may be given once each",
        ),
        Kind::DatabaseRequired => reject(
            ErrorCode::BadRequest,
            "database-required",
            "The db_id query parameter is required when using multiple databases",
        ),
        Kind::UnknownDatabase => Rejection::new(
            ErrorCode::NotFound,
            "unknown-database",
            concat(&["No database found with id '", &db_id(), "'"]),
        ),
        Kind::UnknownTable => Rejection::new(
            ErrorCode::NotFound,
            "unknown-table",
            concat(&["No database with id '", &db_id(), "' has table '", &table(), "'"]),
        ),
        Kind::Unsupported => reject(
            ErrorCode::NotImplemented,
            "unsupported-database",
            "Learnings not supported by the configured database",
        ),
        Kind::Denied => Rejection::new(ErrorCode::Forbidden, "deletion-denied", denial(&error.message)),
        Kind::Unavailable => reject(
            ErrorCode::ServiceUnavailable,
            "storage-unavailable",
            "The database is temporarily unavailable; nothing was deleted",
        ),
        Kind::OutcomeUnknown => reject_as_failed("outcome-unknown"),
        Kind::Internal => reject_as_failed("storage-failed"),
    }
}

/// The message of a denial, or a fixed text if a rejection cannot contain the message.
fn denial(message: &str) -> String {
    String::from(if is_valid_detail(message) { message } else { "This learning cannot be deleted" })
}

/// The rejection for an absent record, and for a record of another owner, so that no caller learns that
/// a record of another owner exists.
fn reject_as_absent(rule: &str) -> Rejection {
    reject(ErrorCode::NotFound, rule, "Learning not found")
}

/// The rejection for every failed deletion, so that no caller learns the cause.
fn reject_as_failed(rule: &str) -> Rejection {
    reject(ErrorCode::InternalServerError, rule, "Failed to delete learning")
}

fn reject(code: ErrorCode, rule: &str, detail: &str) -> Rejection {
    Rejection::new(code, rule, String::from(detail))
}

/// Concatenates `parts`. `format!` would add a table of functions to the component, which every instance would have to
/// set up.
fn concat(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Makes text from a request safe to repeat in a rejection: replaces control characters with U+FFFD, and truncates the
/// text to `MAX_BYTES`.
///
/// A detail with two sanitized values stays within the contract's limit of 1024 bytes.
fn sanitize(text: &str) -> String {
    const MAX_BYTES: usize = 400;
    let mut sanitized = String::with_capacity(text.len().min(MAX_BYTES));
    for character in text.chars() {
        let character = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if sanitized.len() + character.len_utf8() > MAX_BYTES {
            sanitized.push('…');
            break;
        }
        sanitized.push(character);
    }
    sanitized
}

#[cfg(test)]
mod tests;
