//! The server over HTTP, on SQLite: one process for each configuration.
//!
//! [`State::Busy`] is not tested here, because the server would wait for the busy timeout.

mod client;

use super::combinations::{callers, configurations, records, targets};
use super::rules::{Caller, Combination, Configuration, Effect, Inactive, Mode, Record, State, expected_effect};
use super::{Sample, assert_no_mismatches, combine, record_mismatch};
use crate::support::accounts::{Account, create_table};
use crate::support::database::AgnoDatabase;
use crate::support::server::{Setup, TestServer};
use crate::support::token::{now, with_claims};
pub use client::Encoding;
use client::{Client, Response};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One in so many combinations is checked unless all are.
const ONE_IN: usize = 307;

const KEY: &str = "the key of this deployment";
const AUDIENCE: &str = "this deployment";
const STATES: [State; 2] = [State::Available, State::TableMissing];

pub fn compare() {
    let (next, sample, mismatches) = (AtomicUsize::new(0), Sample::new(ONE_IN), Mutex::new(Vec::new()));
    let (configurations, targets, records) = (configurations(), targets(), records());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let server = ServerSubject::start(configuration);
                    for state in STATES {
                        for caller in &callers(configuration) {
                            for (target, record, state) in combine(&targets, &records, &[state]) {
                                let combination = Combination { configuration, caller, record, target, state };
                                if sample.selects() {
                                    let observed = server.delete(combination, Encoding::PLAIN);
                                    record_mismatch(&mismatches, combination, &expected_effect(combination), &observed);
                                }
                            }
                        }
                    }
                }
            });
        }
    });
    assert_no_mismatches("server", &sample, &mismatches.into_inner().expect("no thread panicked"));
}

/// A running server and connections to its databases.
pub struct ServerSubject {
    /// Stopped when it is dropped.
    _host: TestServer,
    client: Client,
    databases: Vec<(String, Connection)>,
    has_accounts: bool,
    /// The service accounts that are stored, so that each is stored once.
    accounts: RefCell<Vec<(String, Vec<String>)>>,
    /// The next address that has sent no token of a service account yet.
    next_address: Cell<u32>,
    /// An address that is rate limited, and since when.
    rate_limited: Cell<Option<(u32, Instant)>>,
}

/// How long an address is used as rate limited. Less than the time after which the server forgets its failures.
const RATE_LIMITED_FOR: Duration = Duration::from_secs(40);

/// Records that exist all the time, in every database.
const OTHER_RECORDS: [(&str, &str); 2] = [("another record", "alice"), ("another record of the bot", "sa:bot")];

impl ServerSubject {
    pub fn start(configuration: &Configuration) -> Self {
        let Configuration { mode, service_accounts, enforce_scopes, user_isolation, admin_scope, databases } =
            configuration;
        let mut setup = match mode {
            Mode::None => Setup::without_auth(),
            Mode::SecurityKey => Setup::security_key(KEY),
            Mode::Jwt => Setup::jwt(),
        };
        if *mode == Mode::Jwt {
            setup.auth += &format!("audience = {}\n", Value::from(AUDIENCE));
        }
        if *service_accounts {
            setup.auth += &format!("[auth.service_accounts]\ndatabase = {}\n", Value::from(databases[0].as_str()));
        }
        let authorization = format!(
            "enforce_scopes = {enforce_scopes}\nuser_isolation = {user_isolation}\nadmin_scope = {}\n",
            Value::from(admin_scope.as_str())
        );
        // Leaks a few names, because `Setup` needs them for the life of the program.
        let names: Vec<&'static str> = databases.iter().map(|name| &*name.clone().leak()).collect();
        // In memory if possible: durability is not tested, and waiting for the disk takes most of the time.
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary directory");
        for name in &names {
            AgnoDatabase::copy_to(directory.path(), &format!("{name}.db"));
        }
        let host = Setup { authorization, databases: names, ..setup }.start_in(directory);
        if *service_accounts {
            create_table(&host.database(&databases[0]));
        }
        let open = |id: &String| {
            let connection = host.database(id).connect();
            connection.execute_batch("PRAGMA synchronous = OFF; DELETE FROM agno_learnings").expect("an open database");
            for (id, owner) in OTHER_RECORDS {
                insert(&connection, id, Some(owner));
            }
            (id.clone(), connection)
        };
        let databases = databases.iter().map(open).collect();
        let client = Client::new(host.address);
        let (accounts, next_address, rate_limited) = (RefCell::default(), Cell::new(1), Cell::default());
        Self { _host: host, client, databases, has_accounts: *service_accounts, accounts, next_address, rate_limited }
    }

    /// Sets up a combination, sends its request, and returns the effect. Restores the databases.
    pub fn delete(&self, combination: Combination<'_>, encoding: Encoding) -> Effect {
        let Combination { caller, record, target, state, .. } = combination;
        let id = target.id.as_deref().unwrap_or("no request names this record");
        for (_, connection) in &self.databases {
            match record {
                Record::Absent => {}
                Record::Unowned => insert(connection, id, None),
                Record::OwnedBy(owner) => insert(connection, id, Some(owner)),
            }
        }
        if state == State::TableMissing {
            self.rename("agno_learnings", "renamed_learnings");
        }
        let answer = self.send(combination.configuration, caller, &client::path(target, encoding));
        if state == State::TableMissing {
            self.rename("renamed_learnings", "agno_learnings");
        }
        let mut deleted_from = Vec::new();
        for (name, connection) in &self.databases {
            if *record != Record::Absent && !exists(connection, id) {
                deleted_from.push(name.clone());
            }
            connection
                .prepare_cached("DELETE FROM agno_learnings WHERE learning_id = ?1")
                .and_then(|mut delete| delete.execute([id]))
                .expect("the record is deleted");
            let remaining = count(connection);
            assert_eq!(remaining, OTHER_RECORDS.len(), "the request changed other records: {combination:?}");
        }
        assert!(deleted_from.len() <= 1, "deleted from several databases");
        Effect { error: answer.error(), deleted_from: deleted_from.pop() }
    }

    fn send(&self, configuration: &Configuration, caller: &Caller, path: &str) -> Response {
        let bearer = |token: &str| vec![format!("Bearer {token}")];
        let claims = |claims: Value| {
            let mut all = json!({ "aud": AUDIENCE, "exp": now() + 3600 });
            all.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
            with_claims(all)
        };
        let admin_token = || claims(json!({ "sub": "alice", "scopes": [configuration.admin_scope] }));
        let is_jwt = configuration.mode == Mode::Jwt;
        let valid = || if is_jwt { admin_token() } else { KEY.to_owned() };
        let authorization = match caller {
            Caller::Anonymous => vec![],
            Caller::InvalidCredential if is_jwt => {
                let token = admin_token();
                bearer(&token[..token.len() - 1])
            }
            Caller::InvalidCredential => bearer("another key"),
            Caller::Malformed => vec![format!("Basic {}", valid())],
            Caller::TwoCredentials => [bearer(&valid()), bearer(&valid())].concat(),
            Caller::ExpiredToken => bearer(&claims(json!({ "sub": "alice", "exp": now() - 60 }))),
            Caller::WrongAudience => bearer(&claims(json!({ "sub": "alice", "aud": "another deployment" }))),
            Caller::SecurityKey => bearer(KEY),
            Caller::Token { scopes, sub } => {
                let mut own = json!({ "scopes": scopes });
                if let Some(sub) = sub {
                    own["sub"] = json!(sub);
                }
                bearer(&claims(own))
            }
            Caller::ServiceAccount { name, scopes } => bearer(&self.account(name, scopes)),
            Caller::InactiveServiceAccount(inactive) => {
                let address = self.next_address.replace(self.next_address.get() + 1);
                return self.client.delete_from(address, path, &bearer(&self.inactive_account(*inactive)));
            }
            Caller::RateLimited => {
                return self.client.delete_from(self.rate_limited_address(), path, &bearer("agno_pat_unknown"));
            }
            Caller::AccountStoreUnavailable => {
                self.rename("agno_service_accounts", "renamed_accounts");
                let answer = self.client.delete(path, &bearer("agno_pat_unknown"));
                self.rename("renamed_accounts", "agno_service_accounts");
                return answer;
            }
        };
        self.client.delete(path, &authorization)
    }

    /// Returns the token of the service account with this name and these scopes. Stores the account if necessary.
    fn account(&self, name: &str, scopes: &[String]) -> String {
        let mut accounts = self.accounts.borrow_mut();
        let known = accounts.iter().position(|(known, its_scopes)| known == name && its_scopes == scopes);
        let number = known.unwrap_or(accounts.len());
        let token = format!("agno_pat_{number}");
        if known.is_none() {
            accounts.push((name.to_owned(), scopes.to_vec()));
            if self.has_accounts {
                let (id, scopes) = (number.to_string(), json!(scopes).to_string());
                Account { id: &id, ..Account::new(name, &token, &scopes) }.store(&self.databases[0].1);
            }
        }
        token
    }

    /// Returns the token of an inactive service account that would be allowed to delete.
    fn inactive_account(&self, inactive: Inactive) -> String {
        let (name, expires_at, revoked_at) = match inactive {
            _ if !self.has_accounts => return "agno_pat_unknown".to_owned(),
            Inactive::Unknown => return "agno_pat_unknown".to_owned(),
            Inactive::Expired => ("expired", Some(now().cast_signed() - 1), None),
            Inactive::Revoked => ("revoked", None, Some(1)),
        };
        let token = format!("agno_pat_{name}");
        let connection = &self.databases[0].1;
        let sql = "SELECT 1 FROM agno_service_accounts WHERE id = ?1";
        if !connection.prepare_cached(sql).and_then(|mut sql| sql.exists([name])).expect("the query runs") {
            let account = Account::new(name, &token, "[\"learnings:delete\"]");
            Account { expires_at, revoked_at, ..account }.store(connection);
        }
        token
    }

    /// Returns an address that is rate limited, because it sent too many invalid tokens.
    fn rate_limited_address(&self) -> u32 {
        if let Some((address, since)) = self.rate_limited.get()
            && since.elapsed() < RATE_LIMITED_FOR
        {
            return address;
        }
        let address = self.next_address.replace(self.next_address.get() + 1);
        self.rate_limited.set(Some((address, Instant::now())));
        for _ in 0..20 {
            assert_eq!(self.client.delete_from(address, "/learnings/x", &["Bearer agno_pat_x".to_owned()]).status, 401);
        }
        address
    }

    fn rename(&self, from: &str, to: &str) {
        for (_, connection) in &self.databases {
            if connection.table_exists(None, from).expect("the schema is read") {
                let sql = format!("ALTER TABLE \"{from}\" RENAME TO \"{to}\"");
                connection.execute_batch(&sql).expect("the table is renamed");
            }
        }
    }
}

fn insert(connection: &Connection, id: &str, owner: Option<&str>) {
    let sql = "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
               VALUES (?1, 'user_memory', ?2, '{}', 1790000000)";
    connection.prepare_cached(sql).and_then(|mut sql| sql.execute((id, owner))).expect("the record is inserted");
}

fn exists(connection: &Connection, id: &str) -> bool {
    let sql = "SELECT 1 FROM agno_learnings WHERE learning_id = ?1";
    connection.prepare_cached(sql).and_then(|mut sql| sql.exists([id])).expect("the query runs")
}

fn count(connection: &Connection) -> usize {
    let sql = "SELECT learning_id FROM agno_learnings";
    let counted = connection.prepare_cached(sql).and_then(|mut sql| sql.query_map([], |_| Ok(())).map(Iterator::count));
    counted.expect("the records are counted")
}
