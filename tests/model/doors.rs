//! The policy asked natively, and as a component in its sandbox; both on records in memory.

use super::rules::{Caller, Combination, Configuration, Expected, ID_BYTES, Mode, Record, State, TABLE};
use delete_learning::plugin::Fate;
use delete_learning::storage::{Database, Databases, MemoryTable, Named, Table};
use delete_learning::{
    BoxFuture, Condition, Credential, DELETE_LEARNING, ErrorCode, IdentityError, IdentityErrorKind, Learning, Limits,
    Outcome, Plugin, Request, Storage, StorageError, StorageErrorKind,
};
use delete_learning_policy::policy::{self, Asked, Plan};
use std::future::ready;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A way to ask the policy.
pub struct Door {
    runtime: Runtime,
    /// The component; none for the policy natively.
    plugin: Option<Plugin>,
}

/// What a door was told, and from which databases the record is gone.
type Told = Option<(u16, String, &'static str)>;

impl Door {
    pub fn native() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, plugin: None }
    }

    pub fn sandbox() -> Self {
        let plugin = Plugin::load(DELETE_LEARNING, &Limits::default()).expect("the policy fits");
        Self { plugin: Some(plugin), ..Self::native() }
    }

    pub fn ask(&self, Combination { configuration, caller, record, target, state }: Combination<'_>) -> Expected {
        // What an id is that cannot name a record, the host has found before the policy is asked.
        let id = target.id.as_deref().filter(|id| id.len() <= ID_BYTES);
        let held = id.unwrap_or("a record that nobody can name");
        let tables: Vec<_> = configuration.databases.iter().map(|_| table(held, record)).collect();
        let databases = configuration.databases.iter().zip(&tables).map(|(id, records)| Database {
            id: id.clone(),
            table_name: TABLE.to_owned(),
            table: match state {
                State::Fine => Arc::<MemoryTable>::clone(records),
                State::TableMissing => Arc::new(Failing(StorageErrorKind::UnknownTable)),
                State::Busy => Arc::new(Failing(StorageErrorKind::Unavailable)),
            },
        });
        let storage = Databases(databases.collect()).record(&Named {
            learning_id: id,
            db_id: target.db_id.first().map(String::as_str),
            table: target.table.first().map(String::as_str),
            repeated: target.db_id.len() > 1 || target.table.len() > 1,
        });
        let (db_id, table) = (target.db_id.first().cloned(), target.table.first().cloned());
        let caller = identity(configuration, caller);
        let error = match &self.plugin {
            Some(plugin) => {
                let request = Request { learning_id: held.to_owned(), db_id, table };
                let decision = self.runtime.block_on(plugin.decide(request, Arc::new(caller), storage));
                assert!(decision.fault.is_none(), "{decision:?}");
                assert_eq!(decision.answer.is_ok(), decision.fate == Fate::Deleted, "{decision:?}");
                decision.answer.err().map(|refusal| (refusal.status, refusal.detail, refusal.code.as_str()))
            }
            None => natively(&policy::Request { db_id, table }, native_identity(caller), storage.as_ref()),
        };
        let gone = configuration.databases.iter().zip(&tables).filter(|(_, table)| !is_kept(table, held));
        let gone: Vec<_> = gone.map(|(id, _)| id).filter(|_| *record != Record::Absent).collect();
        assert!(gone.len() <= 1, "deleted from several databases");
        Expected { error, deleted_from: gone.first().copied().cloned() }
    }
}

/// Whether the record is there, and the one beside it for sure.
fn is_kept(table: &MemoryTable, id: &str) -> bool {
    let ids = table.ids();
    assert!(ids.contains(&beside(id)), "another record is gone");
    ids.iter().any(|held| held == id)
}

fn beside(id: &str) -> String {
    format!("{id} and more")
}

fn table(id: &str, record: &Record) -> Arc<MemoryTable> {
    let table = MemoryTable::default();
    table.insert(beside(id), Learning::owned_by(Some("alice")));
    match record {
        Record::Absent => {}
        Record::Unowned => table.insert(id, Learning::owned_by(None)),
        Record::OwnedBy(owner) => table.insert(id, Learning::owned_by(Some(owner))),
    }
    Arc::new(table)
}

/// What the host's identity says of the caller.
fn identity(configuration: &Configuration, caller: &Caller) -> Result<delete_learning::Caller, IdentityError> {
    let expected = match configuration.mode {
        Mode::None => Credential::None,
        Mode::SecurityKey => Credential::SecurityKey,
        Mode::Jwt => Credential::Jwt,
    };
    let error = |kind, credential| Err(IdentityError::new(kind, credential, "as the combination wants it"));
    let known = |credential, subject: Option<String>, scopes: &[String]| {
        Ok(delete_learning::Caller {
            credential,
            subject,
            scopes: scopes.to_vec(),
            enforce_scopes: configuration.enforce_scopes,
            user_isolation: configuration.user_isolation,
            admin_scope: configuration.admin_scope.clone(),
        })
    };
    match caller {
        _ if configuration.mode == Mode::None => known(Credential::None, None, &[]),
        Caller::ServiceAccount { .. } | Caller::BadServiceAccount(_) | Caller::Flood | Caller::Unlucky
            if !configuration.service_accounts =>
        {
            error(IdentityErrorKind::NotEnabled, Credential::ServiceAccount)
        }
        Caller::Nobody => error(IdentityErrorKind::Missing, expected),
        Caller::Bad => error(IdentityErrorKind::Invalid, expected),
        Caller::Expired => error(IdentityErrorKind::Expired, expected),
        Caller::Elsewhere => error(IdentityErrorKind::WrongAudience, expected),
        Caller::Malformed | Caller::Twice => error(IdentityErrorKind::Malformed, expected),
        Caller::BadServiceAccount(_) => error(IdentityErrorKind::Invalid, Credential::ServiceAccount),
        Caller::Flood => error(IdentityErrorKind::RateLimited, Credential::ServiceAccount),
        Caller::Unlucky => error(IdentityErrorKind::Unavailable, Credential::ServiceAccount),
        Caller::Root => known(Credential::SecurityKey, None, &[]),
        Caller::Token { sub: Some(sub), .. } if is_reserved(sub) => error(IdentityErrorKind::ReservedSubject, expected),
        Caller::Token { scopes, sub } => known(Credential::Jwt, sub.clone(), scopes),
        Caller::ServiceAccount { name, scopes } => {
            known(Credential::ServiceAccount, Some(format!("sa:{name}")), scopes)
        }
    }
}

fn is_reserved(subject: &str) -> bool {
    subject == "__scheduler__" || ["sa:", "__oauth__:"].iter().any(|reserved| subject.starts_with(reserved))
}

/// A table that answers nothing but an error.
struct Failing(StorageErrorKind);

impl Failing {
    fn answer<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, StorageError>> {
        Box::pin(ready(Err(StorageError::new(self.0, "as the combination wants it"))))
    }
}

impl Table for Failing {
    fn find(&self, _: String) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.answer()
    }

    fn delete(&self, _: String, _: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        self.answer()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.answer()
    }
}

/// Runs the policy as a platform in Rust without a sandbox would: plan, one call to storage, conclude.
fn natively(
    request: &policy::Request,
    caller: Result<policy::Caller, policy::IdentityError>,
    storage: &dyn Storage,
) -> Told {
    // Storage in memory is done at once, so there is nothing to wait for.
    let done = |future: BoxFuture<'_, Result<Outcome, StorageError>>| {
        futures_done(future).map(outcome).map_err(|error| storage_error(error.kind))
    };
    let (asked, answer) = match policy::plan(request, caller) {
        Plan::Refuse(refusal) => return Some(told(refusal)),
        Plan::RefuseAtTarget(refusal) => match futures_done(storage.locate()) {
            Ok(_) => return Some(told(refusal)),
            Err(error) => (Asked::Any, Err(storage_error(error.kind))),
        },
        Plan::Delete => (Asked::Any, done(storage.delete(Condition::Any))),
        Plan::DeleteIfOwnedBy(user) => (Asked::Own, done(storage.delete(Condition::OwnedBy(user)))),
    };
    policy::conclude(request, asked, answer).err().map(told)
}

/// What a future that is done at once comes to.
fn futures_done<T>(future: BoxFuture<'_, T>) -> T {
    let mut future = future;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("storage in memory is done at once"),
    }
}

fn told(refusal: policy::Rejection) -> (u16, String, &'static str) {
    let code = match refusal.code {
        policy::ErrorCode::BadRequest => ErrorCode::BadRequest,
        policy::ErrorCode::Unauthenticated => ErrorCode::Unauthenticated,
        policy::ErrorCode::Forbidden => ErrorCode::Forbidden,
        policy::ErrorCode::NotFound => ErrorCode::NotFound,
        policy::ErrorCode::Conflict => ErrorCode::Conflict,
        policy::ErrorCode::TooManyRequests => ErrorCode::TooManyRequests,
        policy::ErrorCode::InternalServerError => ErrorCode::InternalServerError,
        policy::ErrorCode::NotImplemented => ErrorCode::NotImplemented,
        policy::ErrorCode::ServiceUnavailable => ErrorCode::ServiceUnavailable,
    };
    (refusal.code.status(), refusal.detail, code.as_str())
}

fn credential(credential: Credential) -> policy::Credential {
    match credential {
        Credential::None => policy::Credential::None,
        Credential::SecurityKey => policy::Credential::SecurityKey,
        Credential::Jwt => policy::Credential::Jwt,
        Credential::ServiceAccount => policy::Credential::ServiceAccount,
    }
}

fn native_identity(
    caller: Result<delete_learning::Caller, IdentityError>,
) -> Result<policy::Caller, policy::IdentityError> {
    use policy::IdentityErrorKind as Kind;
    match caller {
        Ok(caller) => Ok(policy::Caller {
            credential: credential(caller.credential),
            subject: caller.subject,
            scopes: caller.scopes,
            enforce_scopes: caller.enforce_scopes,
            user_isolation: caller.user_isolation,
            admin_scope: caller.admin_scope,
        }),
        Err(error) => {
            let kind = match error.kind {
                IdentityErrorKind::Missing => Kind::Missing,
                IdentityErrorKind::Malformed => Kind::Malformed,
                IdentityErrorKind::Invalid => Kind::Invalid,
                IdentityErrorKind::Expired => Kind::Expired,
                IdentityErrorKind::WrongAudience => Kind::WrongAudience,
                IdentityErrorKind::ReservedSubject => Kind::ReservedSubject,
                IdentityErrorKind::NotEnabled => Kind::NotEnabled,
                IdentityErrorKind::RateLimited => Kind::RateLimited,
                IdentityErrorKind::Unavailable => Kind::Unavailable,
                IdentityErrorKind::Internal => Kind::Internal,
            };
            Err(policy::IdentityError { kind, credential: credential(error.credential) })
        }
    }
}

fn outcome(outcome: Outcome) -> policy::Outcome {
    match outcome {
        Outcome::Deleted => policy::Outcome::Deleted,
        Outcome::Absent => policy::Outcome::Absent,
        Outcome::Unowned => policy::Outcome::Unowned,
        Outcome::OwnedByAnother => policy::Outcome::OwnedByAnother,
        Outcome::Changed => policy::Outcome::Changed,
    }
}

fn storage_error(kind: StorageErrorKind) -> policy::StorageErrorKind {
    use policy::StorageErrorKind as Kind;
    match kind {
        StorageErrorKind::InvalidLearningId => Kind::InvalidLearningId,
        StorageErrorKind::RepeatedParameter => Kind::RepeatedParameter,
        StorageErrorKind::DatabaseRequired => Kind::DatabaseRequired,
        StorageErrorKind::UnknownDatabase => Kind::UnknownDatabase,
        StorageErrorKind::UnknownTable => Kind::UnknownTable,
        StorageErrorKind::Unsupported => Kind::Unsupported,
        StorageErrorKind::Unavailable => Kind::Unavailable,
        StorageErrorKind::OutcomeUnknown => Kind::OutcomeUnknown,
        StorageErrorKind::Internal => Kind::Internal,
    }
}
