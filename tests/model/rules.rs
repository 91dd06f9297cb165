//! The rules as a small, slow, obvious program, written from the documents: the operation that Agno documents, the order
//! of decisions of the real service, the contract in `wit/`. It shares no code with the policy.

/// How the deployment authenticates and what it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub mode: Mode,
    /// Whether it has service accounts, which stand beside any mode but the open one.
    pub service_accounts: bool,
    pub enforce_scopes: bool,
    pub user_isolation: bool,
    pub admin_scope: String,
    /// The databases; each has the learnings table [`TABLE`].
    pub databases: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    SecurityKey,
    Jwt,
}

pub const TABLE: &str = "agno_learnings";

/// Bytes of an id, at most.
pub const ID_BYTES: usize = 4096;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Sends no credential.
    Nobody,
    /// Sends one that does not verify.
    Bad,
    /// Sends a token whose time has passed.
    Expired,
    /// Sends a token that is meant for another service.
    Elsewhere,
    /// Sends what is not the Bearer scheme.
    Malformed,
    /// Sends two credentials, each of them good.
    Twice,
    /// Knows the security key.
    Root,
    /// Bears a token.
    Token { scopes: Vec<String>, sub: Option<String> },
    /// Is the service account of this name.
    ServiceAccount { name: String, scopes: Vec<String> },
    /// Is a service account that has ended, or never was.
    BadServiceAccount(Ended),
    /// The same, and has sent too many tokens that do not verify.
    Flood,
    /// Is a service account, and calls while the account store is down.
    Unlucky,
}

/// Why a service account's token does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Unknown,
    Expired,
    Revoked,
}

/// The record that the request names, in every database alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Absent,
    Unowned,
    OwnedBy(String),
}

/// What the request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The id; none where the path holds bytes that are no text.
    pub id: Option<String>,
    /// The parameters, each in the order in which its values were sent.
    pub db_id: Vec<String>,
    pub table: Vec<String>,
}

/// How the databases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Fine,
    TableMissing,
    Busy,
}

/// Everything that the answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Combination<'a> {
    pub configuration: &'a Configuration,
    pub caller: &'a Caller,
    pub record: &'a Record,
    pub target: &'a Target,
    pub state: State,
}

/// What the caller is told, and the database from which the record is then gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Status, detail and error code; none where it is 204.
    pub error: Option<(u16, String, &'static str)>,
    pub deleted_from: Option<String>,
}

fn refuse(status: u16, detail: &str) -> Expected {
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
    Expected { error: Some((status, detail.to_owned(), code)), deleted_from: None }
}

/// What is to happen.
pub fn expected(Combination { configuration, caller, record, target, state }: Combination<'_>) -> Expected {
    // 1. Who is calling. Where nothing is configured, everybody is welcome and nothing is looked at.
    if configuration.mode != Mode::None
        && let Some(refusal) = unauthenticated(configuration, caller)
    {
        return refusal;
    }
    let (is_token, is_service_account, scopes, subject) = match (configuration.mode, caller) {
        (Mode::None, _) => (false, false, &[][..], None),
        (_, Caller::Token { scopes, sub }) => (true, false, &scopes[..], sub.clone()),
        (_, Caller::ServiceAccount { name, scopes }) => (false, true, &scopes[..], Some(format!("sa:{name}"))),
        _ => (false, false, &[][..], None),
    };
    let holds = |scope: &str| scopes.iter().any(|held| held == scope);
    // A deployment without a name for administrators has none.
    let admin_scope = Some(configuration.admin_scope.as_str()).filter(|scope| !scope.is_empty());
    let is_admin = (is_token || is_service_account) && admin_scope.is_some_and(holds);

    // 2. The scope. A service account's are always enforced.
    let needs_scope = is_service_account || is_token && configuration.enforce_scopes;
    let has_scope = holds("learnings:delete") || holds("learnings:*:delete");
    if needs_scope && !has_scope && !is_admin {
        return refuse(403, "Insufficient permissions. Required scope(s): learnings:delete");
    }

    // 3. A table without a database. What was sent more than once counts with its first value, the empty as absent.
    let (db_id, table) = (first(&target.db_id), first(&target.table));
    if table.is_some() && db_id.is_none() {
        return refuse(400, "The db_id query parameter is required when passing a table");
    }

    // 4. The target.
    if target.db_id.len() > 1 || target.table.len() > 1 {
        return refuse(400, "The db_id and table query parameters may be given once each");
    }
    if target.id.as_ref().is_none_or(|id| id.len() > ID_BYTES) {
        return refuse(400, "The learning_id must be UTF-8, percent-encoded, and not overlong");
    }
    let database = match db_id {
        Some(id) => match configuration.databases.iter().find(|known| *known == id) {
            Some(known) => known,
            None => return refuse(404, &format!("No database found with id '{}'", repeated(id))),
        },
        None if configuration.databases.len() > 1 => {
            return refuse(400, "The db_id query parameter is required when using multiple databases");
        }
        None => &configuration.databases[0],
    };
    let busy = || refuse(503, "The database is temporarily unavailable; nothing was deleted");
    if let Some(table) = table {
        let no_such_table =
            || refuse(404, &format!("No database with id '{}' has table '{}'", repeated(database), repeated(table)));
        // Only the table of the learnings can be meant, and it must exist, which a database that is busy cannot say.
        if table != TABLE {
            return no_such_table();
        }
        match state {
            State::Fine => {}
            State::TableMissing => return no_such_table(),
            State::Busy => return busy(),
        }
    }

    // A caller that is confined to its own records and has no name: before any record is looked at.
    let is_confined = !is_admin && (is_service_account || is_token && configuration.user_isolation);
    let name = subject.filter(|subject| !subject.is_empty());
    if is_confined && name.is_none() {
        return refuse(403, "Authenticated request is missing a user identity");
    }

    // 5. The record cannot be read.
    match state {
        State::Fine => {}
        State::TableMissing => return refuse(500, "Failed to delete learning"),
        State::Busy => return busy(),
    }
    // There is none.
    if *record == Record::Absent {
        return refuse(404, "Learning not found");
    }
    // 6. There is one, and it is not the caller's.
    if is_confined && *record == Record::Unowned {
        return refuse(403, "Only admins can modify learnings that have no owner (user_id is null)");
    }
    if is_confined && *record != Record::OwnedBy(name.expect("it was looked for above")) {
        return refuse(404, "Learning not found");
    }
    // 7. Deleted.
    Expected { error: None, deleted_from: Some(database.clone()) }
}

/// Why there is no caller, where credentials are asked for.
fn unauthenticated(configuration: &Configuration, caller: &Caller) -> Option<Expected> {
    let is_jwt = configuration.mode == Mode::Jwt;
    let detail = match caller {
        Caller::ServiceAccount { .. } | Caller::BadServiceAccount(_) | Caller::Flood | Caller::Unlucky
            if !configuration.service_accounts =>
        {
            "Service accounts are not enabled on this AgentOS instance"
        }
        Caller::Flood => return Some(refuse(429, "Too many failed authentication attempts")),
        Caller::Unlucky => return Some(refuse(503, "Authentication is temporarily unavailable")),
        Caller::Nobody if is_jwt => "Authorization header missing",
        Caller::Nobody => "Authorization header required",
        Caller::Bad if is_jwt => "Invalid token",
        Caller::Bad => "Invalid authentication token",
        Caller::Expired => "Token has expired",
        Caller::Elsewhere => "Invalid token audience - token not valid for this AgentOS instance",
        Caller::Malformed | Caller::Twice => "Authorization header must be one 'Bearer <token>'",
        Caller::BadServiceAccount(_) => "Invalid or expired service account token",
        // Names that only the platform itself gives.
        Caller::Token { sub: Some(sub), .. }
            if sub.starts_with("sa:") || sub.starts_with("__oauth__:") || sub == "__scheduler__" =>
        {
            "Invalid token subject"
        }
        Caller::Root | Caller::Token { .. } | Caller::ServiceAccount { .. } => return None,
    };
    Some(refuse(401, detail))
}

fn first(values: &[String]) -> Option<&String> {
    values.first().filter(|value| !value.is_empty())
}

/// A name as it is repeated to whoever sent it: without control characters, and its first 400 bytes.
fn repeated(name: &str) -> String {
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
