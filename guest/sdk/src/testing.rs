//! Test doubles, for native tests of policies and guards.
//!
//! ```
//! use delete_learning_sdk::testing::{TestHost, alice, learning, run};
//! use delete_learning_sdk::{Outcome, PolicyHost};
//!
//! let host = TestHost::new(alice()).with_record(learning());
//! assert_eq!(run(host.delete_if_owned_by("alice")), Ok(Outcome::Deleted));
//! assert_eq!(host.record(), None);
//! ```

use crate::contract::{
    Caller, Credential, DeleteRequest, IdentityError, Learning, Outcome, Rejection, StorageError, StorageErrorKind,
    Target,
};
use crate::host::{Environment, PolicyHost, SettingError};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::hash::DefaultHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A call that a [`TestHost`] received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each call is the method of `PolicyHost` with that name")]
pub enum Call {
    Caller,
    Locate,
    Find,
    Delete,
    DeleteIfOwnedBy(String),
    DeleteIfUnchanged(String),
}

/// A host with at most one record in memory, which stores the calls that it receives.
pub struct TestHost {
    caller: Result<Caller, IdentityError>,
    settings: Result<BTreeMap<String, String>, SettingError>,
    now: i64,
    faults: Box<Faults>,
    state: Mutex<State>,
}

/// Returns the error of a call that fails.
type Faults = dyn Fn(&Call) -> Option<StorageErrorKind> + Send + Sync;

/// Changes the record.
type Change = dyn FnMut(&mut Option<Learning>) + Send;

struct State {
    record: Option<Learning>,
    calls: Vec<Call>,
    after_find: Box<Change>,
}

impl TestHost {
    /// A host that serves this caller. It has no record and no settings, and the time is 0.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self {
            caller: Ok(caller),
            settings: Ok(BTreeMap::new()),
            now: 0,
            faults: Box::new(|_| None),
            state: Mutex::new(State { record: None, calls: Vec::new(), after_find: Box::new(|_| {}) }),
        }
    }

    /// Returns this error in place of the caller.
    #[must_use]
    pub fn with_identity_error(self, error: IdentityError) -> Self {
        Self { caller: Err(error), ..self }
    }

    /// Stores a record. Its revision is computed from its columns.
    #[must_use]
    pub fn with_record(self, record: Learning) -> Self {
        self.state().record = Some(record);
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        if let Ok(settings) = &mut self.settings {
            settings.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Fails every call of [`Environment::setting`].
    #[must_use]
    pub fn with_setting_error(self) -> Self {
        Self { settings: Err(SettingError { message: "injected".to_owned() }), ..self }
    }

    /// Sets the time, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn with_now(self, now: i64) -> Self {
        Self { now, ..self }
    }

    /// Fails the calls of storage for which `faults` returns an error. A failed delete deletes nothing.
    #[must_use]
    pub fn with_faults(self, faults: impl Fn(&Call) -> Option<StorageErrorKind> + Send + Sync + 'static) -> Self {
        Self { faults: Box::new(faults), ..self }
    }

    /// Changes the record after every read of it, as another writer can.
    #[must_use]
    pub fn with_change_after_find(self, change: impl FnMut(&mut Option<Learning>) + Send + 'static) -> Self {
        self.state().after_find = Box::new(change);
        self
    }

    /// Returns the record with its current revision, or none if there is none.
    #[must_use]
    pub fn record(&self) -> Option<Learning> {
        self.state().record.clone().map(with_revision)
    }

    /// Returns all calls, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, call: Call) -> Result<MutexGuard<'_, State>, StorageError> {
        let fault = (self.faults)(&call);
        let mut state = self.state();
        state.calls.push(call);
        match fault {
            None => Ok(state),
            Some(kind) => Err(StorageError { kind, message: "injected".to_owned() }),
        }
    }

    /// Deletes the record unless `unmet` returns another outcome for it.
    fn delete_unless(
        &self,
        call: Call,
        unmet: impl FnOnce(&Learning) -> Option<Outcome>,
    ) -> Result<Outcome, StorageError> {
        let mut state = self.receive(call)?;
        let Some(record) = state.record.clone() else { return Ok(Outcome::Absent) };
        if let Some(outcome) = unmet(&with_revision(record)) {
            return Ok(outcome);
        }
        state.record = None;
        Ok(Outcome::Deleted)
    }
}

impl PolicyHost for TestHost {
    async fn caller(&self) -> Result<Caller, IdentityError> {
        self.state().calls.push(Call::Caller);
        self.caller.clone()
    }

    async fn locate(&self) -> Result<Target, StorageError> {
        drop(self.receive(Call::Locate)?);
        Ok(Target { database: "main".to_owned(), table: "agno_learnings".to_owned() })
    }

    async fn find(&self) -> Result<Option<Learning>, StorageError> {
        let mut state = self.receive(Call::Find)?;
        let found = state.record.clone().map(with_revision);
        let State { record, after_find, .. } = &mut *state;
        after_find(record);
        Ok(found)
    }

    async fn delete(&self) -> Result<Outcome, StorageError> {
        self.delete_unless(Call::Delete, |_| None)
    }

    async fn delete_if_owned_by(&self, user_id: &str) -> Result<Outcome, StorageError> {
        self.delete_unless(Call::DeleteIfOwnedBy(user_id.to_owned()), |record| match &record.user_id {
            None => Some(Outcome::Unowned),
            Some(owner) => (owner != user_id).then_some(Outcome::OwnedByAnother),
        })
    }

    async fn delete_if_unchanged(&self, revision: &str) -> Result<Outcome, StorageError> {
        let call = Call::DeleteIfUnchanged(revision.to_owned());
        self.delete_unless(call, |record| (record.revision != revision).then_some(Outcome::Changed))
    }
}

impl Environment for TestHost {
    fn setting(&self, name: &str) -> Result<Option<String>, SettingError> {
        self.settings.clone().map(|settings| settings.get(name).cloned())
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl fmt::Debug for TestHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TestHost").field("record", &self.record()).field("calls", &self.calls()).finish()
    }
}

/// Sets the revision, so that it changes with every column.
fn with_revision(mut record: Learning) -> Learning {
    record.revision.clear();
    let mut hasher = DefaultHasher::new();
    format!("{record:?}").hash(&mut hasher);
    record.revision = format!("{:016x}", hasher.finish());
    record
}

/// Runs a future to its end. A future on a [`TestHost`] never waits.
///
/// # Panics
/// Panics if the future waits for something else.
#[expect(clippy::panic, reason = "only tests call this")]
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something other than its host"),
    }
}

/// Checks the type of a policy's future.
#[doc(hidden)]
pub fn assert_policy(policy: impl Future<Output = Result<(), Rejection>>) {
    drop(policy);
}

/// A user with the scope, in a deployment that enforces scopes and isolates users.
#[must_use]
pub fn alice() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_owned()),
        scopes: vec!["learnings:delete".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    }
}

/// Another user with the scope.
#[must_use]
pub fn bob() -> Caller {
    Caller { subject: Some("bob".to_owned()), ..alice() }
}

/// An administrator.
#[must_use]
pub fn admin() -> Caller {
    Caller { subject: Some("admin".to_owned()), scopes: vec!["agent_os:admin".to_owned()], ..alice() }
}

/// A service account with the scope.
#[must_use]
pub fn service_account() -> Caller {
    Caller { credential: Credential::ServiceAccount, subject: Some("sa:bot".to_owned()), ..alice() }
}

/// The deployment's security key, which is the root credential.
#[must_use]
pub fn security_key() -> Caller {
    Caller { credential: Credential::SecurityKey, subject: None, scopes: Vec::new(), ..alice() }
}

/// The caller of a deployment without authentication.
#[must_use]
pub fn no_credential() -> Caller {
    Caller { credential: Credential::None, ..security_key() }
}

/// A request that names the record and nothing else.
#[must_use]
pub fn request() -> DeleteRequest {
    DeleteRequest { learning_id: "user_memory_7".to_owned(), db_id: None, table: None }
}

/// A record of alice, without metadata, created at the time 0.
#[must_use]
pub fn learning() -> Learning {
    Learning {
        learning_type: "user_memory".to_owned(),
        namespace: None,
        user_id: Some("alice".to_owned()),
        agent_id: None,
        team_id: None,
        workflow_id: None,
        session_id: None,
        entity_id: None,
        entity_type: None,
        content: "{}".to_owned(),
        metadata: None,
        created_at: 0,
        updated_at: None,
        revision: String::new(),
    }
}
