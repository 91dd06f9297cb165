//! The rules as a small, slow, obvious program, written from the documents: the operation that Agno documents, the order
//! of decisions of the real service, the contract in `wit/`. It shares no code with the policy.

/// How the deployment authenticates and what it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub mode: Mode,
    pub enforce_scopes: bool,
    pub user_isolation: bool,
    pub admin_scope: &'static str,
    /// The databases; each has the learnings table [`TABLE`].
    pub databases: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    SecurityKey,
    Jwt,
}

pub const TABLE: &str = "agno_learnings";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Sends no credential.
    Nobody,
    /// Sends one that does not verify.
    Bad,
    /// Sends a token whose time has passed.
    Expired,
    /// Sends what is not the Bearer scheme.
    Malformed,
    /// Knows the security key.
    Root,
    /// Bears a token.
    Token { scopes: &'static [&'static str], sub: Option<&'static str> },
    /// Is the service account `bot`.
    ServiceAccount { scopes: &'static [&'static str] },
    /// Is a service account whose token was revoked, has expired, or never was.
    BadServiceAccount,
    /// Has sent too many credentials that do not verify.
    Flood,
    /// Calls while the account store is down.
    Unlucky,
}

/// The record that the request names, in every database alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    Absent,
    Unowned,
    OwnedBy(&'static str),
}

/// The parameters, each in the order in which its values were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub db_id: &'static [&'static str],
    pub table: &'static [&'static str],
}

/// How the databases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Fine,
    TableMissing,
    Busy,
}

/// What the caller is told, and the database from which the record is then gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Status, detail and error code; none where it is 204.
    pub error: Option<(u16, String, &'static str)>,
    pub deleted_from: Option<&'static str>,
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
pub fn expected(
    configuration: &Configuration,
    caller: Caller,
    record: Record,
    target: Target,
    state: State,
) -> Expected {
    // 1. Who is calling. Where nothing is configured, everybody is welcome and nothing is looked at.
    if configuration.mode != Mode::None {
        let missing = if configuration.mode == Mode::Jwt {
            "Authorization header missing"
        } else {
            "Authorization header required"
        };
        let bad = if configuration.mode == Mode::Jwt { "Invalid token" } else { "Invalid authentication token" };
        match caller {
            Caller::Nobody => return refuse(401, missing),
            Caller::Bad => return refuse(401, bad),
            Caller::Expired => return refuse(401, "Token has expired"),
            Caller::Malformed => return refuse(401, "Authorization header must be one 'Bearer <token>'"),
            Caller::BadServiceAccount => return refuse(401, "Invalid or expired service account token"),
            Caller::Flood => return refuse(429, "Too many failed authentication attempts"),
            Caller::Unlucky => return refuse(503, "Authentication is temporarily unavailable"),
            Caller::Root | Caller::Token { .. } | Caller::ServiceAccount { .. } => {}
        }
    }
    let (is_token, is_service_account, scopes, subject) = match (configuration.mode, caller) {
        (Mode::None, _) => (false, false, &[][..], None),
        (_, Caller::Token { scopes, sub }) => (true, false, scopes, sub),
        (_, Caller::ServiceAccount { scopes }) => (false, true, scopes, Some("sa:bot")),
        _ => (false, false, &[][..], None),
    };
    let is_admin = (is_token || is_service_account) && scopes.contains(&configuration.admin_scope);

    // 2. The scope. A service account's are always enforced.
    let needs_scope = is_service_account || is_token && configuration.enforce_scopes;
    let has_scope = scopes.contains(&"learnings:delete") || scopes.contains(&"learnings:*:delete");
    if needs_scope && !has_scope && !is_admin {
        return refuse(403, "Insufficient permissions. Required scope(s): learnings:delete");
    }

    // 3. A table without a database. What was sent more than once counts with its first value, the empty as absent.
    let first = |values: &'static [&'static str]| values.first().copied().filter(|value| !value.is_empty());
    let (db_id, table) = (first(target.db_id), first(target.table));
    if table.is_some() && db_id.is_none() {
        return refuse(400, "The db_id query parameter is required when passing a table");
    }

    // 4. The target.
    if target.db_id.len() > 1 || target.table.len() > 1 {
        return refuse(400, "The db_id and table query parameters may be given once each");
    }
    let database = match db_id {
        Some(id) => match configuration.databases.iter().find(|known| **known == id) {
            Some(known) => *known,
            None => return refuse(404, &format!("No database found with id '{id}'")),
        },
        None if configuration.databases.len() > 1 => {
            return refuse(400, "The db_id query parameter is required when using multiple databases");
        }
        None => configuration.databases[0],
    };
    let busy = || refuse(503, "The database is temporarily unavailable; nothing was deleted");
    if let Some(table) = table {
        let no_such_table = || {
            let id = db_id.expect("a table is named together with its database");
            refuse(404, &format!("No database with id '{id}' has table '{table}'"))
        };
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
    if record == Record::Absent {
        return refuse(404, "Learning not found");
    }
    // 6. There is one, and it is not the caller's.
    if is_confined && record == Record::Unowned {
        return refuse(403, "Only admins can modify learnings that have no owner (user_id is null)");
    }
    if is_confined && record != Record::OwnedBy(name.expect("it was looked for above")) {
        return refuse(404, "Learning not found");
    }
    // 7. Deleted.
    Expected { error: None, deleted_from: Some(database) }
}
