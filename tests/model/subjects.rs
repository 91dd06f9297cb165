//! The policy as native code and as a component in the sandbox, both on records in memory.

use super::rules::{Caller, Combination, Configuration, Effect, MAX_ID_BYTES, Mode, Record, State, TABLE};
use crate::support::native_policy;
use crate::support::sandbox::default_policy;
use delete_learning::storage::{Database, Databases, MemoryStore, UnresolvedRecord};
use delete_learning::{
    BoxFuture, Condition, Credential, DeleteRequest, IdentityError, IdentityErrorKind, Learning, LearningStore, Limits,
    Outcome, Policy, RecordOutcome, RecordStorage, StorageError, StorageErrorKind,
};
use std::future::ready;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The policy, as native code or in the sandbox.
pub struct Subject {
    runtime: Runtime,
    /// The component. `None` for the native policy.
    policy: Option<Policy>,
}

impl Subject {
    pub fn native() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, policy: None }
    }

    pub fn sandbox() -> Self {
        // Long timeouts, because policies of other tests spin at the same time, and an offloaded policy can wait for them.
        let limits = Limits::default().queue_timeout_ms(60_000).execution_timeout_ms(120_000);
        let policy = default_policy(&limits);
        Self { policy: Some(policy), ..Self::native() }
    }

    pub fn decide(&self, Combination { configuration, caller, record, target, state }: Combination<'_>) -> Effect {
        // A host detects an invalid id before it runs the policy.
        let id = target.id.as_deref().filter(|id| id.len() <= MAX_ID_BYTES);
        let stored_id = id.unwrap_or("no request names this record");
        let tables: Vec<_> = configuration.databases.iter().map(|_| table(stored_id, record)).collect();
        let databases = configuration.databases.iter().zip(&tables).map(|(id, records)| Database {
            id: id.clone(),
            table: TABLE.to_owned(),
            store: match state {
                State::Available => Arc::<MemoryStore>::clone(records) as Arc<dyn LearningStore>,
                State::TableMissing => Arc::new(Failing(StorageErrorKind::UnknownTable)),
                State::Busy => Arc::new(Failing(StorageErrorKind::Unavailable)),
            },
        });
        let (db_id, table) = (target.db_id.first().cloned(), target.table.first().cloned());
        let request = DeleteRequest { learning_id: stored_id.to_owned(), db_id, table };
        let unresolved = |kind| Arc::new(UnresolvedRecord(StorageError::new(kind, "requested by the combination")));
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
        let deleted = configuration.databases.iter().zip(&tables).filter(|(_, table)| !exists(table, stored_id));
        let deleted: Vec<_> = deleted.map(|(id, _)| id).filter(|_| *record != Record::Absent).collect();
        assert!(deleted.len() <= 1, "deleted from several databases");
        Effect { error, deleted_from: deleted.first().copied().cloned() }
    }
}

/// Returns whether the record exists. Asserts that the other record does.
fn exists(table: &MemoryStore, id: &str) -> bool {
    let ids = table.ids();
    assert!(ids.contains(&other_id(id)), "another record was deleted");
    ids.iter().any(|stored| stored == id)
}

fn other_id(id: &str) -> String {
    format!("{id} and more")
}

fn table(id: &str, record: &Record) -> Arc<MemoryStore> {
    let table = MemoryStore::default();
    table.insert(other_id(id), Learning::owned_by(Some("alice")));
    match record {
        Record::Absent => {}
        Record::Unowned => table.insert(id, Learning::owned_by(None)),
        Record::OwnedBy(owner) => table.insert(id, Learning::owned_by(Some(owner))),
    }
    Arc::new(table)
}

/// Returns the caller as a host authenticates it.
fn identity(configuration: &Configuration, caller: &Caller) -> Result<delete_learning::Caller, IdentityError> {
    let expected = match configuration.mode {
        Mode::None => Credential::None,
        Mode::SecurityKey => Credential::SecurityKey,
        Mode::Jwt => Credential::Jwt,
    };
    let error = |kind, credential| Err(IdentityError::new(kind, credential, "requested by the combination"));
    let known = |credential, subject: Option<String>, scopes: &[String]| {
        Ok(delete_learning::Caller {
            credential,
            subject,
            scopes: scopes.to_vec(),
            scopes_optional: !configuration.enforce_scopes,
            all_owners: !configuration.user_isolation,
            admin_scope: configuration.admin_scope.clone(),
        })
    };
    match caller {
        _ if configuration.mode == Mode::None => known(Credential::None, None, &[]),
        Caller::ServiceAccount { .. }
        | Caller::InactiveServiceAccount(_)
        | Caller::RateLimited
        | Caller::AccountStoreUnavailable
            if !configuration.service_accounts =>
        {
            error(IdentityErrorKind::NotEnabled, Credential::ServiceAccount)
        }
        Caller::Anonymous => error(IdentityErrorKind::Missing, expected),
        Caller::InvalidCredential => error(IdentityErrorKind::Invalid, expected),
        Caller::ExpiredToken => error(IdentityErrorKind::Expired, expected),
        Caller::WrongAudience => error(IdentityErrorKind::WrongAudience, expected),
        Caller::Malformed | Caller::TwoCredentials => error(IdentityErrorKind::Malformed, expected),
        Caller::InactiveServiceAccount(_) => error(IdentityErrorKind::Invalid, Credential::ServiceAccount),
        Caller::RateLimited => error(IdentityErrorKind::RateLimited, Credential::ServiceAccount),
        Caller::AccountStoreUnavailable => error(IdentityErrorKind::Unavailable, Credential::ServiceAccount),
        Caller::SecurityKey => known(Credential::SecurityKey, None, &[]),
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

/// A table whose every function returns this error.
struct Failing(StorageErrorKind);

impl Failing {
    fn answer<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, StorageError>> {
        Box::pin(ready(Err(StorageError::new(self.0, "requested by the combination"))))
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
