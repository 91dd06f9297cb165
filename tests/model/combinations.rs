//! Every combination that the model is asked about.

use super::rules::{Caller, Configuration, Mode, Record, State, TABLE, Target};

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

pub const RECORDS: [Record; 5] =
    [Record::Absent, Record::Unowned, Record::OwnedBy("alice"), Record::OwnedBy("sa:bot"), Record::OwnedBy("")];

pub fn configurations() -> Vec<Configuration> {
    let mut all = Vec::new();
    for mode in [Mode::None, Mode::SecurityKey, Mode::Jwt] {
        for enforce_scopes in [false, true] {
            for user_isolation in [false, true] {
                for admin_scope in ["agent_os:admin", "learnings:root"] {
                    for databases in [&["main"][..], &["main", "second"]] {
                        all.push(Configuration { mode, enforce_scopes, user_isolation, admin_scope, databases });
                    }
                }
            }
        }
    }
    all
}

/// Those who may call a deployment of this mode.
pub fn callers(mode: Mode) -> Vec<Caller> {
    let mut all = vec![Caller::Nobody, Caller::Bad];
    if mode == Mode::None {
        return all;
    }
    all.extend([Caller::Malformed, Caller::BadServiceAccount, Caller::Flood, Caller::Unlucky]);
    all.extend(SCOPES.map(|scopes| Caller::ServiceAccount { scopes }));
    if mode == Mode::SecurityKey {
        all.push(Caller::Root);
        return all;
    }
    all.push(Caller::Expired);
    all.extend(SCOPES.iter().flat_map(|scopes| SUBJECTS.map(|sub| Caller::Token { scopes, sub })));
    all
}

pub fn targets() -> Vec<Target> {
    let mut all = Vec::new();
    for db_id in [&[][..], &[""], &["main"], &["nowhere"]] {
        for table in [&[][..], &[""], &[TABLE], &["nothing"]] {
            all.push(Target { db_id, table });
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
        all.push(Target { db_id, table });
    }
    all
}

pub const STATES: [State; 3] = [State::Fine, State::TableMissing, State::Busy];
