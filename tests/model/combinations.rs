//! The configurations, callers, records, targets and states that are combined.

use super::rules::{Caller, Configuration, Inactive, Mode, Record, State, TABLE, Target};

const SCOPES: [&[&str]; 9] = [
    &[],
    &["learnings:read"],
    &["learnings:delete"],
    &["learnings:*:delete"],
    &["agent_os:admin"],
    &["learnings:root"],
    &["learnings:read", "learnings:delete"],
    &["learnings:root", "agent_os:admin"],
    // One string is one scope.
    &["learnings:delete learnings:read"],
];

const SUBJECTS: [Option<&str>; 4] = [None, Some(""), Some("alice"), Some("bob")];

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub fn records() -> Vec<Record> {
    let owned = ["alice", "sa:bot", ""].map(|owner| Record::OwnedBy(owner.to_owned()));
    [Record::Absent, Record::Unowned].into_iter().chain(owned).collect()
}

pub fn configurations() -> Vec<Configuration> {
    let mut all = Vec::new();
    for databases in [&["main"][..], &["main", "second"]] {
        let mut add = |mode, service_accounts, enforce_scopes, user_isolation, admin_scope: &str| {
            let (admin_scope, databases) = (admin_scope.to_owned(), texts(databases));
            all.push(Configuration { mode, service_accounts, enforce_scopes, user_isolation, admin_scope, databases });
        };
        for mode in [Mode::None, Mode::SecurityKey, Mode::Jwt] {
            for enforce_scopes in [false, true] {
                for user_isolation in [false, true] {
                    for admin_scope in ["agent_os:admin", "learnings:root"] {
                        add(mode, mode != Mode::None, enforce_scopes, user_isolation, admin_scope);
                    }
                }
            }
        }
        // Without service accounts. Only the error for their tokens differs, so two configurations are enough.
        for mode in [Mode::SecurityKey, Mode::Jwt] {
            add(mode, false, true, true, "agent_os:admin");
        }
    }
    all
}

/// Returns the callers of a deployment.
pub fn callers(configuration: &Configuration) -> Vec<Caller> {
    let mut all = vec![Caller::Anonymous, Caller::InvalidCredential];
    let account = |scopes: &[&str]| Caller::ServiceAccount { name: "bot".to_owned(), scopes: texts(scopes) };
    match (configuration.mode, configuration.service_accounts) {
        (Mode::None, _) => return all,
        // All other callers are covered by the configurations with service accounts.
        (_, false) => return vec![Caller::Anonymous, account(&["agent_os:admin", "learnings:root"])],
        (_, true) => {}
    }
    all.extend([Caller::Malformed, Caller::TwoCredentials, Caller::RateLimited, Caller::AccountStoreUnavailable]);
    all.extend([Inactive::Unknown, Inactive::Expired, Inactive::Revoked].map(Caller::InactiveServiceAccount));
    all.extend(SCOPES.map(account));
    if configuration.mode == Mode::SecurityKey {
        all.push(Caller::SecurityKey);
        return all;
    }
    all.extend([Caller::ExpiredToken, Caller::WrongAudience]);
    let token =
        |scopes: &[&str], sub: Option<&str>| Caller::Token { scopes: texts(scopes), sub: sub.map(str::to_owned) };
    for scopes in SCOPES {
        all.extend(SUBJECTS.map(|sub| token(scopes, sub)));
    }
    // A subject that is reserved for the platform.
    all.push(token(&["learnings:delete", "agent_os:admin", "learnings:root"], Some("sa:bot")));
    all
}

pub fn targets() -> Vec<Target> {
    let target =
        |id: Option<&str>, db_id, table| Target { id: id.map(str::to_owned), db_id: texts(db_id), table: texts(table) };
    let id = Some("the record");
    let mut all = Vec::new();
    for db_id in [&[][..], &[""], &["main"], &["unknown"]] {
        for table in [&[][..], &[""], &[TABLE], &["unknown_table"]] {
            all.push(target(id, db_id, table));
        }
    }
    for (db_id, table) in [
        (&["main", "main"][..], &[][..]),
        (&["main", "unknown"], &[]),
        (&["unknown", "main"], &[TABLE]),
        (&["", "main"], &[]),
        (&["", "main"], &[TABLE]),
        (&["main"], &[TABLE, TABLE]),
        (&["main"], &["", TABLE]),
        (&["unknown"], &["unknown_table", TABLE]),
        (&[], &[TABLE, TABLE]),
        (&[], &["", ""]),
    ] {
        all.push(target(id, db_id, table));
    }
    // An invalid id, alone and with other invalid values.
    for (db_id, table) in [(&[][..], &[][..]), (&["main", "unknown"], &["unknown_table"])] {
        all.push(target(None, db_id, table));
    }
    all
}

pub const STATES: [State; 3] = [State::Available, State::TableMissing, State::Busy];
