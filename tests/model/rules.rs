//! The reference model: the rules as a small, slow, obvious program that shares no code with the policy.
//!
//! It is written from the operation that Agno documents, the order of decisions of the real service, and the contract in
//! `wit/`.

/// How a deployment authenticates and authorizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub mode: Mode,
    /// Whether service accounts are enabled. Possible in every mode except [`Mode::None`].
    pub service_accounts: bool,
    pub enforce_scopes: bool,
    pub user_isolation: bool,
    pub admin_scope: String,
    /// The ids of the databases. Each has the table [`TABLE`].
    pub databases: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    SecurityKey,
    Jwt,
}

pub const TABLE: &str = "agno_learnings";

/// Maximum length of a learning id in bytes.
pub const MAX_ID_BYTES: usize = 4096;

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Sends no credential.
    Anonymous,
    /// Sends a credential that does not verify.
    InvalidCredential,
    /// Sends an expired token.
    ExpiredToken,
    /// Sends a token for another audience.
    WrongAudience,
    /// Sends a header with another scheme than Bearer.
    Malformed,
    /// Sends two valid credentials.
    TwoCredentials,
    /// Sends the security key.
    SecurityKey,
    /// Sends a valid token.
    Token { scopes: Vec<String>, sub: Option<String> },
    /// Is an active service account.
    ServiceAccount { name: String, scopes: Vec<String> },
    /// Sends the token of an unknown or inactive service account.
    InactiveServiceAccount(Inactive),
    /// Sends an unknown token of a service account, after too many others.
    RateLimited,
    /// Sends the token of a service account while the account store is unavailable.
    AccountStoreUnavailable,
}

/// Why the token of a service account does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    Unknown,
    Expired,
    Revoked,
}

/// The record that the request names. The same in every database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Absent,
    Unowned,
    OwnedBy(String),
}

/// The database, table and id that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The learning id. `None` if the path is not UTF-8.
    pub id: Option<String>,
    /// The values of each query parameter, in the order in which they are sent.
    pub db_id: Vec<String>,
    pub table: Vec<String>,
}

/// The state of all databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Available,
    TableMissing,
    Busy,
}

/// Everything that the effect of a request depends on.
#[derive(Clone, Copy, Debug)]
pub struct Combination<'a> {
    pub configuration: &'a Configuration,
    pub caller: &'a Caller,
    pub record: &'a Record,
    pub target: &'a Target,
    pub state: State,
}

/// The effect of a request: its answer, and the database from which the record was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Status, detail and error code. `None` for 204.
    pub error: Option<(u16, String, &'static str)>,
    pub deleted_from: Option<String>,
}

fn reject(status: u16, detail: &str) -> Effect {
    let code = match status {
        400 => "BAD_REQUEST",
        401 => "UNAUTHENTICATED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        429 => "TOO_MANY_REQUESTS",
        500 => "INTERNAL_SERVER_ERROR",
        503 => "SERVICE_UNAVAILABLE",
        _ => unreachable!("no rule has this status"),
    };
    Effect { error: Some((status, detail.to_owned(), code)), deleted_from: None }
}

/// Returns the effect that the specification requires.
pub fn expected_effect(Combination { configuration, caller, record, target, state }: Combination<'_>) -> Effect {
    // 1. The caller. Without authentication, credentials are ignored.
    if configuration.mode != Mode::None
        && let Some(rejection) = authentication_error(configuration, caller)
    {
        return rejection;
    }
    let (is_token, is_service_account, scopes, subject) = match (configuration.mode, caller) {
        (Mode::None, _) => (false, false, &[][..], None),
        (_, Caller::Token { scopes, sub }) => (true, false, &scopes[..], sub.clone()),
        (_, Caller::ServiceAccount { name, scopes }) => (false, true, &scopes[..], Some(format!("sa:{name}"))),
        _ => (false, false, &[][..], None),
    };
    let has = |scope: &str| scopes.iter().any(|other| other == scope);
    // A deployment with an empty admin scope has no admins.
    let admin_scope = Some(configuration.admin_scope.as_str()).filter(|scope| !scope.is_empty());
    let is_admin = (is_token || is_service_account) && admin_scope.is_some_and(has);

    // 2. The scope. The scopes of a service account are always enforced.
    let needs_scope = is_service_account || is_token && configuration.enforce_scopes;
    let has_scope = has("learnings:delete") || has("learnings:*:delete");
    if needs_scope && !has_scope && !is_admin {
        return reject(403, "Insufficient permissions. Required scope(s): learnings:delete");
    }

    // 3. A table without a database. The first value of a repeated parameter counts; an empty value counts as absent.
    let (db_id, table) = (first(&target.db_id), first(&target.table));
    if table.is_some() && db_id.is_none() {
        return reject(400, "The db_id query parameter is required when passing a table");
    }

    // 4. The target.
    if target.db_id.len() > 1 || target.table.len() > 1 {
        return reject(400, "The db_id and table query parameters may be given once each");
    }
    if target.id.as_ref().is_none_or(|id| id.len() > MAX_ID_BYTES) {
        return reject(400, "The learning_id must be UTF-8, percent-encoded, and not overlong");
    }
    let database = match db_id {
        Some(id) => match configuration.databases.iter().find(|known| *known == id) {
            Some(known) => known,
            None => return reject(404, &format!("No database found with id '{}'", sanitize(id))),
        },
        None if configuration.databases.len() > 1 => {
            return reject(400, "The db_id query parameter is required when using multiple databases");
        }
        None => &configuration.databases[0],
    };
    let busy = || reject(503, "The database is temporarily unavailable; nothing was deleted");
    if let Some(table) = table {
        let unknown_table =
            || reject(404, &format!("No database with id '{}' has table '{}'", sanitize(database), sanitize(table)));
        // The table must be the learnings table, and it must exist, which a busy database cannot report.
        if table != TABLE {
            return unknown_table();
        }
        match state {
            State::Available => {}
            State::TableMissing => return unknown_table(),
            State::Busy => return busy(),
        }
    }

    // A caller that is confined to its own records and has no subject. Before any record is read.
    let is_confined = !is_admin && (is_service_account || is_token && configuration.user_isolation);
    let owner = subject.filter(|subject| !subject.is_empty());
    if is_confined && owner.is_none() {
        return reject(403, "Authenticated request is missing a user identity");
    }

    // 5. The record cannot be read.
    match state {
        State::Available => {}
        State::TableMissing => return reject(500, "Failed to delete learning"),
        State::Busy => return busy(),
    }
    // The record does not exist.
    if *record == Record::Absent {
        return reject(404, "Learning not found");
    }
    // 6. The record exists, and the caller is not its owner.
    if is_confined && *record == Record::Unowned {
        return reject(403, "Only admins can modify learnings that have no owner (user_id is null)");
    }
    if is_confined && *record != Record::OwnedBy(owner.expect("checked above")) {
        return reject(404, "Learning not found");
    }
    // 7. Deleted.
    Effect { error: None, deleted_from: Some(database.clone()) }
}

/// Returns the rejection of an unauthenticated request.
fn authentication_error(configuration: &Configuration, caller: &Caller) -> Option<Effect> {
    let is_jwt = configuration.mode == Mode::Jwt;
    let detail = match caller {
        Caller::ServiceAccount { .. }
        | Caller::InactiveServiceAccount(_)
        | Caller::RateLimited
        | Caller::AccountStoreUnavailable
            if !configuration.service_accounts =>
        {
            "Service accounts are not enabled on this AgentOS instance"
        }
        Caller::RateLimited => return Some(reject(429, "Too many failed authentication attempts")),
        Caller::AccountStoreUnavailable => return Some(reject(503, "Authentication is temporarily unavailable")),
        Caller::Anonymous if is_jwt => "Authorization header missing",
        Caller::Anonymous => "Authorization header required",
        Caller::InvalidCredential if is_jwt => "Invalid token",
        Caller::InvalidCredential => "Invalid authentication token",
        Caller::ExpiredToken => "Token has expired",
        Caller::WrongAudience => "Invalid token audience - token not valid for this AgentOS instance",
        Caller::Malformed | Caller::TwoCredentials => "Authorization header must be one 'Bearer <token>'",
        Caller::InactiveServiceAccount(_) => "Invalid or expired service account token",
        // Subjects that are reserved for the platform.
        Caller::Token { sub: Some(sub), .. }
            if sub.starts_with("sa:") || sub.starts_with("__oauth__:") || sub == "__scheduler__" =>
        {
            "Invalid token subject"
        }
        Caller::SecurityKey | Caller::Token { .. } | Caller::ServiceAccount { .. } => return None,
    };
    Some(reject(401, detail))
}

fn first(values: &[String]) -> Option<&String> {
    values.first().filter(|value| !value.is_empty())
}

/// Returns a name as it appears in an answer: control characters replaced, cut at 400 bytes.
fn sanitize(name: &str) -> String {
    let mut shown = String::new();
    for character in name.chars() {
        let character = if character.is_control() { '\u{FFFD}' } else { character };
        if shown.len() + character.len_utf8() > 400 {
            return shown + "…";
        }
        shown.push(character);
    }
    shown
}
