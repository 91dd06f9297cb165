//! The server asked over HTTP, on SQLite: one process a configuration. Service accounts are left to the other doors, and
//! so is a database that is busy, which a server waits for.

use super::combinations::{RECORDS, callers, configurations, targets};
use super::rules::{Caller, Configuration, Expected, Mode, Record, State, Target, expected};
use super::{Share, note, settle};
use crate::harness::host::{Host, Setup};
use crate::harness::token::{SECRET, now, with_claims};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// About one in how many combinations, where not all are asked about.
const SHARE: usize = 17;

const KEY: &str = "the key of this deployment";

pub fn compare() {
    let (asked, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (share, wrong) = (Share::new(SHARE), Mutex::new(Vec::new()));
    let configurations = configurations();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let served = Served::start(configuration);
                    for state in [State::Fine, State::TableMissing] {
                        served.bring_about(state);
                        for caller in callers(configuration.mode) {
                            let Some(authorization) = authorization(configuration, caller) else { continue };
                            for target in targets() {
                                for record in RECORDS {
                                    if !share.takes() {
                                        continue;
                                    }
                                    asked.fetch_add(1, Ordering::Relaxed);
                                    let expected = expected(configuration, caller, record, target, state);
                                    let observed = served.ask(authorization.as_deref(), record, target, state);
                                    note(&wrong, (configuration, caller, record, target, state), &expected, &observed);
                                }
                            }
                        }
                    }
                    served.bring_about(State::Fine);
                    assert_eq!(served.left(), served.everything(), "something is gone, and no answer said so");
                }
            });
        }
    });
    settle("the server, over HTTP", asked.into_inner(), &share, &wrong.into_inner().expect("no panic while writing"));
}

/// The header that a caller sends, if any; none where it is none of HTTP's callers.
#[expect(clippy::option_option, reason = "whether there is such a caller, and whether it sends a header")]
fn authorization(configuration: &Configuration, caller: Caller) -> Option<Option<String>> {
    let bearer = |token: &str| Some(Some(format!("Bearer {token}")));
    match caller {
        Caller::Nobody => Some(None),
        Caller::Bad if configuration.mode == Mode::Jwt => {
            let token = with_claims(json!({ "sub": "alice", "scopes": ["agent_os:admin"] }));
            bearer(&token[..token.len() - 1])
        }
        Caller::Bad => bearer("another key"),
        Caller::Malformed => Some(Some("Basic YWxpY2U6c2VjcmV0".to_owned())),
        Caller::Expired => bearer(&with_claims(json!({ "sub": "alice", "exp": now() - 60 }))),
        Caller::Root => bearer(KEY),
        Caller::Token { scopes, sub } => {
            let mut claims = json!({ "scopes": scopes, "exp": now() + 3600 });
            if let Some(sub) = sub {
                claims["sub"] = json!(sub);
            }
            bearer(&with_claims(claims))
        }
        Caller::ServiceAccount { .. } | Caller::BadServiceAccount | Caller::Flood | Caller::Unlucky => None,
    }
}

/// A server of one configuration, its databases open beside it.
struct Served {
    host: Host,
    agent: ureq::Agent,
    databases: Vec<(&'static str, Connection)>,
}

/// The id under which every database has this record, or for the absent one, has none.
fn id(record: Record) -> String {
    match record {
        Record::Absent => "absent".to_owned(),
        Record::Unowned => "unowned".to_owned(),
        Record::OwnedBy(owner) => format!("of '{owner}'"),
    }
}

impl Served {
    fn start(configuration: &Configuration) -> Self {
        let Configuration { mode, enforce_scopes, user_isolation, admin_scope, databases } = configuration;
        let setup = match mode {
            Mode::None => Setup::open(),
            Mode::SecurityKey => Setup::security_key(KEY),
            Mode::Jwt => Setup::jwt(),
        };
        let authorization = format!(
            "enforce_scopes = {enforce_scopes}\nuser_isolation = {user_isolation}\nadmin_scope = \"{admin_scope}\"\n"
        );
        assert!(SECRET.len() >= 32);
        let host = Setup { authorization, databases: databases.to_vec(), ..setup }.start();
        let open = |id: &&'static str| {
            let connection = host.database(id).connect();
            // Durability is not what is asked about, and waiting for the disk is what takes time.
            connection.execute_batch("PRAGMA synchronous = OFF; DELETE FROM agno_learnings").expect("an open database");
            (*id, connection)
        };
        let databases = databases.iter().map(open).collect();
        let agent =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        let served = Self { host, agent: agent.build().into(), databases };
        for record in RECORDS {
            for (_, connection) in &served.databases {
                insert(connection, record);
            }
        }
        served
    }

    fn bring_about(&self, state: State) {
        let (from, to) = if state == State::Fine { ("away", "agno_learnings") } else { ("agno_learnings", "away") };
        for (_, connection) in &self.databases {
            let is_there = |name: &str| connection.table_exists(None, name).expect("the schema can be read");
            if is_there(from) && !is_there(to) {
                connection.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).expect("it can be renamed");
            }
        }
    }

    fn everything(&self) -> BTreeSet<(&'static str, String)> {
        let present = RECORDS.into_iter().filter(|record| *record != Record::Absent);
        present.flat_map(|record| self.databases.iter().map(move |(name, _)| (*name, id(record)))).collect()
    }

    /// What is there: the database and the id of each record.
    fn left(&self) -> BTreeSet<(&'static str, String)> {
        let mut left = BTreeSet::new();
        for (name, connection) in &self.databases {
            let sql = "SELECT learning_id FROM agno_learnings";
            let mut statement = connection.prepare_cached(sql).expect("the table is there");
            let ids = statement.query_map([], |row| row.get::<_, String>(0)).expect("it can be read");
            left.extend(ids.map(|id| (*name, id.expect("text"))));
        }
        left
    }

    /// Asks, sees what is gone, and puts it back.
    fn ask(&self, authorization: Option<&str>, record: Record, target: Target, state: State) -> Expected {
        let mut uri = format!("http://{}/learnings/{}?", self.host.address, id(record).replace(' ', "%20"));
        for (name, values) in [("db_id", target.db_id), ("table", target.table)] {
            for value in values {
                write!(uri, "{name}={value}&").expect("text can be written");
            }
        }
        let mut request = ureq::http::Request::delete(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let mut response = self.agent.run(request.body(()).expect("a request")).expect("an answer");
        let body = response.body_mut().read_to_string().expect("a body");
        let status = response.status().as_u16();
        let error = (status != 204).then(|| {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let text = |name: &str| body[name].as_str().expect("two texts").to_owned();
            (status, text("detail"), code(&text("error_code")))
        });
        assert!(status != 204 || body.is_empty(), "{body}");

        if state != State::Fine {
            return Expected { error, deleted_from: None };
        }
        let gone: Vec<_> = self.everything().difference(&self.left()).cloned().collect();
        for (name, _) in &gone {
            let (_, connection) = self.databases.iter().find(|(held, _)| held == name).expect("it is one of these");
            insert(connection, record);
        }
        match gone.as_slice() {
            [] => Expected { error, deleted_from: None },
            [(name, gone)] if *gone == id(record) => Expected { error, deleted_from: Some(name) },
            _ => panic!("other records are gone than the one asked for: {gone:?}"),
        }
    }
}

fn insert(connection: &Connection, record: Record) {
    let owner = match record {
        Record::Absent => return,
        Record::Unowned => None,
        Record::OwnedBy(owner) => Some(owner),
    };
    let sql = "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
               VALUES (?1, 'user_memory', ?2, '{}', 1790000000)";
    connection.prepare_cached(sql).and_then(|mut sql| sql.execute((id(record), owner))).expect("it can be inserted");
}

/// The same text for the life of the program.
fn code(code: &str) -> &'static str {
    let codes = [
        "BAD_REQUEST",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "TOO_MANY_REQUESTS",
        "INTERNAL_SERVER_ERROR",
        "SERVICE_UNAVAILABLE",
    ];
    codes.into_iter().find(|known| *known == code).expect("a code of the model")
}
