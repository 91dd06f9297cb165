//! The policy asked natively, and as a component in its sandbox; both on records in memory.

use super::rules::{Caller, Combination, Configuration, Expected, ID_BYTES, Mode, Record, State, TABLE};
use crate::support::native_policy;
use delete_learning::storage::{Database, Databases, MemoryStore, UnresolvedRecord};
use delete_learning::{
    BoxFuture, Condition, Credential, DEFAULT_POLICY, DeleteRequest, IdentityError, IdentityErrorKind, Learning,
    LearningStore, Limits, Outcome, Policy, RecordOutcome, RecordStorage, StorageError, StorageErrorKind,
};
use std::future::ready;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A subject of the comparison: the policy, natively or in its sandbox.
pub struct Subject {
    runtime: Runtime,
    /// The component; none for the policy natively.
    policy: Option<Policy>,
}

impl Subject {
    pub fn native() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, policy: None }
    }

    pub fn sandbox() -> Self {
        let policy = Policy::load(DEFAULT_POLICY, &Limits::default()).expect("the policy fits");
        Self { policy: Some(policy), ..Self::native() }
    }

    pub fn ask(&self, Combination { configuration, caller, record, target, state }: Combination<'_>) -> Expected {
        // What an id is that cannot name a record, the host has found before the policy is asked.
        let id = target.id.as_deref().filter(|id| id.len() <= ID_BYTES);
        let held = id.unwrap_or("a record that nobody can name");
        let tables: Vec<_> = configuration.databases.iter().map(|_| table(held, record)).collect();
        let databases = configuration.databases.iter().zip(&tables).map(|(id, records)| Database {
            id: id.clone(),
            table: TABLE.to_owned(),
            store: match state {
                State::Fine => Arc::<MemoryStore>::clone(records) as Arc<dyn LearningStore>,
                State::TableMissing => Arc::new(Failing(StorageErrorKind::UnknownTable)),
                State::Busy => Arc::new(Failing(StorageErrorKind::Unavailable)),
            },
        });
        let (db_id, table) = (target.db_id.first().cloned(), target.table.first().cloned());
        let request = DeleteRequest { learning_id: held.to_owned(), db_id, table };
        let unresolved = |kind| Arc::new(UnresolvedRecord(StorageError::new(kind, "as the combination wants it")));
        let storage: Arc<dyn RecordStorage> = if target.db_id.len() > 1 || target.table.len() > 1 {
            unresolved(StorageErrorKind::RepeatedParameter)
        } else if id.is_none() {
            unresolved(StorageErrorKind::InvalidLearningId)
        } else {
            Databases(databases.collect()).record(&request)
        };
        let caller = identity(configuration, caller);
        let answer = match &self.policy {
            Some(policy) => {
                let decision = self.runtime.block_on(policy.decide(request, caller, storage));
                assert!(decision.error.is_none(), "{decision:?}");
                assert_eq!(decision.answer.is_ok(), decision.record == RecordOutcome::Deleted, "{decision:?}");
                decision.answer
            }
            None => self.runtime.block_on(native_policy::decide(request, caller, storage.as_ref())).0,
        };
        let error = answer.err().map(|rejection| (rejection.status, rejection.detail, rejection.code.as_str()));
        let gone = configuration.databases.iter().zip(&tables).filter(|(_, table)| !is_kept(table, held));
        let gone: Vec<_> = gone.map(|(id, _)| id).filter(|_| *record != Record::Absent).collect();
        assert!(gone.len() <= 1, "deleted from several databases");
        Expected { error, deleted_from: gone.first().copied().cloned() }
    }
}

/// Whether the record is there, and the one beside it for sure.
fn is_kept(table: &MemoryStore, id: &str) -> bool {
    let ids = table.ids();
    assert!(ids.contains(&beside(id)), "another record is gone");
    ids.iter().any(|held| held == id)
}

fn beside(id: &str) -> String {
    format!("{id} and more")
}

fn table(id: &str, record: &Record) -> Arc<MemoryStore> {
    let table = MemoryStore::default();
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

impl LearningStore for Failing {
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
