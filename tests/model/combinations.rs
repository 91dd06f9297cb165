//! Every combination that the model is asked about.

use super::rules::{Caller, Configuration, Ended, Mode, Record, State, TABLE, Target};

const SCOPES: [&[&str]; 9] = [
    &[],
    &["learnings:read"],
    &["learnings:delete"],
    &["learnings:*:delete"],
    &["agent_os:admin"],
    &["learnings:root"],
    &["learnings:read", "learnings:delete"],
    &["learnings:root", "agent_os:admin"],
    // One scope, however it looks.
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
        // Without service accounts, which those with them are told apart from by one answer.
        for mode in [Mode::SecurityKey, Mode::Jwt] {
            add(mode, false, true, true, "agent_os:admin");
        }
    }
    all
}

/// Those who may call a deployment.
pub fn callers(configuration: &Configuration) -> Vec<Caller> {
    let mut all = vec![Caller::Nobody, Caller::Bad];
    let account = |scopes: &[&str]| Caller::ServiceAccount { name: "bot".to_owned(), scopes: texts(scopes) };
    match (configuration.mode, configuration.service_accounts) {
        (Mode::None, _) => return all,
        // Those who have nothing to do with service accounts are asked about beside them.
        (_, false) => return vec![Caller::Nobody, account(&["agent_os:admin", "learnings:root"])],
        (_, true) => {}
    }
    all.extend([Caller::Malformed, Caller::Twice, Caller::Flood, Caller::Unlucky]);
    all.extend([Ended::Unknown, Ended::Expired, Ended::Revoked].map(Caller::BadServiceAccount));
    all.extend(SCOPES.map(account));
    if configuration.mode == Mode::SecurityKey {
        all.push(Caller::Root);
        return all;
    }
    all.extend([Caller::Expired, Caller::Elsewhere]);
    let token =
        |scopes: &[&str], sub: Option<&str>| Caller::Token { scopes: texts(scopes), sub: sub.map(str::to_owned) };
    for scopes in SCOPES {
        all.extend(SUBJECTS.map(|sub| token(scopes, sub)));
    }
    // One that would be somebody whom only the platform names.
    all.push(token(&["learnings:delete", "agent_os:admin", "learnings:root"], Some("sa:bot")));
    all
}

pub fn targets() -> Vec<Target> {
    let target =
        |id: Option<&str>, db_id, table| Target { id: id.map(str::to_owned), db_id: texts(db_id), table: texts(table) };
    let id = Some("the record");
    let mut all = Vec::new();
    for db_id in [&[][..], &[""], &["main"], &["nowhere"]] {
        for table in [&[][..], &[""], &[TABLE], &["nothing"]] {
            all.push(target(id, db_id, table));
        }
    }
    for (db_id, table) in [
        (&["main", "main"][..], &[][..]),
        (&["main", "nowhere"], &[]),
        (&["nowhere", "main"], &[TABLE]),
        (&["", "main"], &[]),
        (&["", "main"], &[TABLE]),
        (&["main"], &[TABLE, TABLE]),
        (&["main"], &["", TABLE]),
        (&["nowhere"], &["nothing", TABLE]),
        (&[], &[TABLE, TABLE]),
        (&[], &["", ""]),
    ] {
        all.push(target(id, db_id, table));
    }
    // An id that cannot be one, by itself and with what else can be wrong.
    for (db_id, table) in [(&[][..], &[][..]), (&["main", "nowhere"], &["nothing"])] {
        all.push(target(None, db_id, table));
    }
    all
}

pub const STATES: [State; 3] = [State::Fine, State::TableMissing, State::Busy];
