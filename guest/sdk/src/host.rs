//! The interface between a policy and its host.

use crate::contract::{Caller, IdentityError, Learning, Outcome, StorageError, Target};
use alloc::string::String;

/// What a policy can do: get the caller of one request, and find or delete the one record that the request names.
///
/// The host binds an implementation to one request before the policy runs, so no method takes a database, a table or a
/// learning id. `wit/identity.wit` and `wit/storage.wit` specify every method; an implementation must guarantee that:
///
/// - Every call of [`caller`](Self::caller) during one request returns the same result.
/// - Each delete is atomic: nothing can change the record between the check of the condition and the deletion.
/// - A delete returns [`Outcome::Deleted`] only after the deletion is durable.
/// - If a method returns an error other than `StorageErrorKind::OutcomeUnknown`, nothing was deleted.
/// - Calls can come in any order and any number. A second delete after `Deleted` returns [`Outcome::Absent`].
pub trait PolicyHost {
    /// Returns the authenticated caller of this request.
    fn caller(&self) -> impl Future<Output = Result<Caller, IdentityError>> + Send;

    /// Checks that the request names an existing database and table, without reading any record.
    fn locate(&self) -> impl Future<Output = Result<Target, StorageError>> + Send;

    /// Reads the record; `None` if there is no such record. Read-only.
    ///
    /// The record can change after this call. To delete the state that was read, pass its `revision` to
    /// [`delete_if_unchanged`](Self::delete_if_unchanged).
    fn find(&self) -> impl Future<Output = Result<Option<Learning>, StorageError>> + Send;

    /// Deletes the record regardless of its owner: `Deleted` or `Absent`.
    fn delete(&self) -> impl Future<Output = Result<Outcome, StorageError>> + Send;

    /// Deletes the record if `user_id` owns it: `Deleted`, `Absent`, `Unowned` or `OwnedByAnother`.
    ///
    /// Owners are compared byte by byte.
    fn delete_if_owned_by(&self, user_id: &str) -> impl Future<Output = Result<Outcome, StorageError>> + Send;

    /// Deletes the record if its revision is still `revision`, as [`find`](Self::find) returned it: `Deleted`, `Absent`
    /// or `Changed`.
    fn delete_if_unchanged(&self, revision: &str) -> impl Future<Output = Result<Outcome, StorageError>> + Send;
}

/// What a rule can depend on besides the request, the caller and the record: settings and the time.
///
/// In a component, each method is an import of its own, which the operator must grant: `wasi:config/store` and
/// `wasi:clocks/wall-clock`. A component imports only what it calls.
pub trait Environment: Sync {
    /// Returns the setting with this name from the configuration; `None` if the configuration has no such setting.
    ///
    /// Every value is text. A server passes an array as JSON, and a nested table as keys with dots.
    ///
    /// # Errors
    /// Fails if the host cannot read its configuration. A rule must then refuse the deletion.
    fn setting(&self, name: &str) -> Result<Option<String>, SettingError>;

    /// Returns the time in seconds since 1970-01-01T00:00:00Z, as [`Learning::created_at`] does.
    fn now(&self) -> i64;
}

/// The host cannot read its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// A description for the log.
    pub message: String,
}
