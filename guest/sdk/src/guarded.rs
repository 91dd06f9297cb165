//! The rules of a guard: the world `guard` in `wit/world.wit`.

use crate::contract::{
    Caller, IdentityError, Learning, Outcome, StorageError, StorageErrorKind, Target, is_valid_detail,
};
use crate::host::{Environment, PolicyHost};
use alloc::string::String;

/// How often a guard starts again after the record changed between its read and its delete.
const MAX_RETRIES: usize = 3;

/// A host whose deletes must pass a rule on the record. Every other call is forwarded.
///
/// `export_guard!` exports one as a component. A policy can also pass one to another policy, so that the rule applies to
/// the records that the other policy would delete.
///
/// Before a delete, the record is read and the condition of the delete applied. If the record would be deleted, the rule
/// decides: it returns nothing, and the state that was read is deleted; or a message for the caller, and the delete
/// fails with [`StorageErrorKind::Denied`]. So no caller learns of a record that it cannot delete, and what the rule
/// checked is what is deleted. If the record changes in between, this starts again at most three times and then
/// fails with [`StorageErrorKind::Unavailable`]. An error of the host is returned as it is.
///
/// A message that is not a [valid detail](is_valid_detail) is replaced by a fixed one.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'a, H, R> {
    host: &'a H,
    rule: R,
}

/// The condition of a delete.
#[derive(Clone, Copy)]
enum Condition<'a> {
    None,
    OwnedBy(&'a str),
    Unchanged(&'a str),
}

impl Condition<'_> {
    /// The outcome of a delete with this condition if the record does not meet it.
    fn unmet(self, learning: &Learning) -> Option<Outcome> {
        match self {
            Self::None => None,
            Self::OwnedBy(user_id) => match learning.user_id.as_deref() {
                None => Some(Outcome::Unowned),
                Some(owner) => (owner != user_id).then_some(Outcome::OwnedByAnother),
            },
            Self::Unchanged(revision) => (learning.revision != revision).then_some(Outcome::Changed),
        }
    }
}

impl<'a, H, R> Guarded<'a, H, R>
where
    H: PolicyHost + Environment,
    R: Fn(&Learning, &Caller, &H) -> Result<(), String> + Sync,
{
    /// Applies `rule` to the deletes of `host`.
    pub const fn new(host: &'a H, rule: R) -> Self {
        Self { host, rule }
    }

    async fn delete_if(&self, condition: Condition<'_>) -> Result<Outcome, StorageError> {
        for _ in 0..=MAX_RETRIES {
            let Some(learning) = self.host.find().await? else { return Ok(Outcome::Absent) };
            if let Some(outcome) = condition.unmet(&learning) {
                return Ok(outcome);
            }
            let caller = self.host.caller().await.map_err(|error| fail(StorageErrorKind::Internal, error.message))?;
            (self.rule)(&learning, &caller, self.host).map_err(deny)?;
            match self.host.delete_if_unchanged(&learning.revision).await? {
                Outcome::Changed => {}
                outcome => return Ok(outcome),
            }
        }
        Err(fail(StorageErrorKind::Unavailable, String::from("the record kept changing while a guard checked it")))
    }
}

impl<H, R> PolicyHost for Guarded<'_, H, R>
where
    H: PolicyHost + Environment,
    R: Fn(&Learning, &Caller, &H) -> Result<(), String> + Sync,
{
    async fn caller(&self) -> Result<Caller, IdentityError> {
        self.host.caller().await
    }

    async fn locate(&self) -> Result<Target, StorageError> {
        self.host.locate().await
    }

    async fn find(&self) -> Result<Option<Learning>, StorageError> {
        self.host.find().await
    }

    async fn delete(&self) -> Result<Outcome, StorageError> {
        self.delete_if(Condition::None).await
    }

    async fn delete_if_owned_by(&self, user_id: &str) -> Result<Outcome, StorageError> {
        self.delete_if(Condition::OwnedBy(user_id)).await
    }

    async fn delete_if_unchanged(&self, revision: &str) -> Result<Outcome, StorageError> {
        self.delete_if(Condition::Unchanged(revision)).await
    }
}

fn deny(message: String) -> StorageError {
    let message = if is_valid_detail(&message) { message } else { String::from("This learning cannot be deleted") };
    fail(StorageErrorKind::Denied, message)
}

fn fail(kind: StorageErrorKind, message: String) -> StorageError {
    StorageError { kind, message }
}

#[cfg(test)]
mod tests;
