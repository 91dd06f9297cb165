//! The server asked over HTTP, on SQLite: one process a configuration. A database that is busy is left to the other doors,
//! because a server waits for it.

mod client;

use super::combinations::{callers, configurations, records, targets};
use super::rules::{Caller, Combination, Configuration, Ended, Expected, Mode, Record, State, expected};
use super::{Share, each, note, settle};
use crate::support::accounts::{Account, make_table};
use crate::support::database::AgnoDatabase;
use crate::support::server::{Host, Setup};
use crate::support::token::{now, with_claims};
pub use client::Spelling;
use client::{Answer, Client};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// About one in how many combinations, where not all are asked about.
const SHARE: usize = 31;

const KEY: &str = "the key of this deployment";
const AUDIENCE: &str = "this deployment";
const STATES: [State; 2] = [State::Fine, State::TableMissing];

pub fn compare() {
    let (next, share, wrong) = (AtomicUsize::new(0), Share::new(SHARE), Mutex::new(Vec::new()));
    let (configurations, targets, records) = (configurations(), targets(), records());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let served = Served::start(configuration);
                    for state in STATES {
                        for caller in &callers(configuration) {
                            for (target, record, state) in each(&targets, &records, &[state]) {
                                let combination = Combination { configuration, caller, record, target, state };
                                if share.takes() {
                                    note(
                                        &wrong,
                                        combination,
                                        &expected(combination),
                                        &served.ask(combination, Spelling::PLAIN),
                                    );
                                }
                            }
                        }
                    }
                }
            });
        }
    });
    settle("the server, over HTTP", &share, &wrong.into_inner().expect("no panic while writing"));
}

/// A server of one configuration, its databases open beside it.
pub struct Served {
    /// Serves until it is dropped.
    _host: Host,
    client: Client,
    databases: Vec<(String, Connection)>,
    has_accounts: bool,
    /// Service accounts that are stored, so that each is stored once.
    accounts: RefCell<Vec<(String, Vec<String>)>>,
    /// Addresses that have sent no token of a service account yet.
    addresses: Cell<u32>,
    /// An address from which too many have come, and since when.
    flooded: Cell<Option<(u32, Instant)>>,
}

/// Who asks first has some time until its failures are counted anew; a flood is made again before that.
const FLOOD_LASTS: Duration = Duration::from_secs(40);

/// Records that are there all the time, in every database.
const BESIDE: [(&str, &str); 2] = [("beside", "alice"), ("beside of the bot", "sa:bot")];

impl Served {
    pub fn start(configuration: &Configuration) -> Self {
        let Configuration { mode, service_accounts, enforce_scopes, user_isolation, admin_scope, databases } =
            configuration;
        let mut setup = match mode {
            Mode::None => Setup::open(),
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
        // A few names, for as long as the program runs.
        let names: Vec<&'static str> = databases.iter().map(|name| &*name.clone().leak()).collect();
        // Durability is not what is asked about, and waiting for the disk is what takes time: in memory where that is easy.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder");
        for name in &names {
            AgnoDatabase::in_folder(folder.path(), &format!("{name}.db"));
        }
        let host = Setup { authorization, databases: names, ..setup }.start_in(folder);
        if *service_accounts {
            make_table(&host.database(&databases[0]));
        }
        let open = |id: &String| {
            let connection = host.database(id).connect();
            connection.execute_batch("PRAGMA synchronous = OFF; DELETE FROM agno_learnings").expect("an open database");
            for (beside, owner) in BESIDE {
                insert(&connection, beside, Some(owner));
            }
            (id.clone(), connection)
        };
        let databases = databases.iter().map(open).collect();
        let client = Client::of(host.address);
        let (accounts, addresses, flooded) = (RefCell::default(), Cell::new(1), Cell::default());
        Self { _host: host, client, databases, has_accounts: *service_accounts, accounts, addresses, flooded }
    }

    /// Brings about what the combination says, asks, sees what is gone, and puts it back.
    pub fn ask(&self, combination: Combination<'_>, spelling: Spelling) -> Expected {
        let Combination { caller, record, target, state, .. } = combination;
        let id = target.id.as_deref().unwrap_or("a record that nobody can name");
        for (_, connection) in &self.databases {
            match record {
                Record::Absent => {}
                Record::Unowned => insert(connection, id, None),
                Record::OwnedBy(owner) => insert(connection, id, Some(owner)),
            }
        }
        if state == State::TableMissing {
            self.rename("agno_learnings", "away");
        }
        let answer = self.answer(combination.configuration, caller, &client::path(target, spelling));
        if state == State::TableMissing {
            self.rename("away", "agno_learnings");
        }
        let mut gone = Vec::new();
        for (name, connection) in &self.databases {
            let is_there = is_there(connection, id);
            if *record != Record::Absent && !is_there {
                gone.push(name.clone());
            }
            connection
                .prepare_cached("DELETE FROM agno_learnings WHERE learning_id = ?1")
                .and_then(|mut delete| delete.execute([id]))
                .expect("it can be deleted");
            let left = count(connection);
            assert_eq!(left, BESIDE.len(), "other records are gone, or there, than the one asked for: {combination:?}");
        }
        assert!(gone.len() <= 1, "deleted from several databases");
        Expected { error: answer.error(), deleted_from: gone.pop() }
    }

    fn answer(&self, configuration: &Configuration, caller: &Caller, path: &str) -> Answer {
        let bearer = |token: &str| vec![format!("Bearer {token}")];
        let claims = |claims: Value| {
            let mut all = json!({ "aud": AUDIENCE, "exp": now() + 3600 });
            all.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
            with_claims(all)
        };
        let administrator = || claims(json!({ "sub": "alice", "scopes": [configuration.admin_scope] }));
        let is_jwt = configuration.mode == Mode::Jwt;
        let good = || if is_jwt { administrator() } else { KEY.to_owned() };
        let authorization = match caller {
            Caller::Nobody => vec![],
            Caller::Bad if is_jwt => {
                let token = administrator();
                bearer(&token[..token.len() - 1])
            }
            Caller::Bad => bearer("another key"),
            Caller::Malformed => vec![format!("Basic {}", good())],
            Caller::Twice => [bearer(&good()), bearer(&good())].concat(),
            Caller::Expired => bearer(&claims(json!({ "sub": "alice", "exp": now() - 60 }))),
            Caller::Elsewhere => bearer(&claims(json!({ "sub": "alice", "aud": "another deployment" }))),
            Caller::Root => bearer(KEY),
            Caller::Token { scopes, sub } => {
                let mut own = json!({ "scopes": scopes });
                if let Some(sub) = sub {
                    own["sub"] = json!(sub);
                }
                bearer(&claims(own))
            }
            Caller::ServiceAccount { name, scopes } => bearer(&self.account(name, scopes)),
            Caller::BadServiceAccount(ended) => {
                let address = self.addresses.replace(self.addresses.get() + 1);
                return self.client.ask_from(address, path, &bearer(&self.ended(*ended)));
            }
            Caller::Flood => return self.client.ask_from(self.flooded(), path, &bearer("agno_pat_unknown")),
            Caller::Unlucky => {
                self.rename("agno_service_accounts", "accounts away");
                let answer = self.client.ask(path, &bearer("agno_pat_unknown"));
                self.rename("accounts away", "agno_service_accounts");
                return answer;
            }
        };
        self.client.ask(path, &authorization)
    }

    /// The token of the service account with this name and these scopes, which is stored where it is not yet.
    fn account(&self, name: &str, scopes: &[String]) -> String {
        let mut accounts = self.accounts.borrow_mut();
        let known = accounts.iter().position(|(held, its)| held == name && its == scopes);
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

    /// The token of a service account that has ended, the same in everything but that valid.
    fn ended(&self, ended: Ended) -> String {
        let (name, expires_at, revoked_at) = match ended {
            _ if !self.has_accounts => return "agno_pat_unknown".to_owned(),
            Ended::Unknown => return "agno_pat_unknown".to_owned(),
            Ended::Expired => ("expired", Some(now().cast_signed() - 1), None),
            Ended::Revoked => ("revoked", None, Some(1)),
        };
        let token = format!("agno_pat_{name}");
        let connection = &self.databases[0].1;
        let sql = "SELECT 1 FROM agno_service_accounts WHERE id = ?1";
        if !connection.prepare_cached(sql).and_then(|mut sql| sql.exists([name])).expect("it can be asked") {
            let account = Account::new(name, &token, "[\"learnings:delete\"]");
            Account { expires_at, revoked_at, ..account }.store(connection);
        }
        token
    }

    /// An address from which so many tokens have come that did not verify that it is told to slow down.
    fn flooded(&self) -> u32 {
        if let Some((address, since)) = self.flooded.get()
            && since.elapsed() < FLOOD_LASTS
        {
            return address;
        }
        let address = self.addresses.replace(self.addresses.get() + 1);
        self.flooded.set(Some((address, Instant::now())));
        for _ in 0..20 {
            assert_eq!(self.client.ask_from(address, "/learnings/x", &["Bearer agno_pat_x".to_owned()]).status, 401);
        }
        address
    }

    fn rename(&self, from: &str, to: &str) {
        for (_, connection) in &self.databases {
            if connection.table_exists(None, from).expect("the schema can be read") {
                let sql = format!("ALTER TABLE \"{from}\" RENAME TO \"{to}\"");
                connection.execute_batch(&sql).expect("it can be renamed");
            }
        }
    }
}

fn insert(connection: &Connection, id: &str, owner: Option<&str>) {
    let sql = "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
               VALUES (?1, 'user_memory', ?2, '{}', 1790000000)";
    connection.prepare_cached(sql).and_then(|mut sql| sql.execute((id, owner))).expect("it can be inserted");
}

fn is_there(connection: &Connection, id: &str) -> bool {
    let sql = "SELECT 1 FROM agno_learnings WHERE learning_id = ?1";
    connection.prepare_cached(sql).and_then(|mut sql| sql.exists([id])).expect("it can be asked")
}

fn count(connection: &Connection) -> usize {
    let sql = "SELECT learning_id FROM agno_learnings";
    let counted = connection.prepare_cached(sql).and_then(|mut sql| sql.query_map([], |_| Ok(())).map(Iterator::count));
    counted.expect("they can be counted")
}
