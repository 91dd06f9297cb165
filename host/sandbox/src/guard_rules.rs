//! The rules of a guard (`wit/world.wit`): a guard can only retain records.
//!
//! [`GuardRules`] records what the storage behind a guard returned in one request. From that it decides whether the guard
//! can perform a delete, before the delete is performed, and whether what the guard returns is true.

use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind, Target};
use crate::storage::Condition;

/// The function that a guard serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    Locate,
    Find,
    Delete(Condition),
}

/// A rule that a guard violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GuardViolation(pub(crate) &'static str);

/// What the storage behind a guard returned.
#[derive(Debug, Default)]
pub(crate) struct GuardRules {
    serving: Option<Export>,
    /// The result of the last `find` of this request.
    found: Option<Option<Learning>>,
    /// The rest is about the call that is being served.
    located: Option<Target>,
    found_now: bool,
    outcomes: Vec<(Condition, Outcome)>,
    errors: Vec<StorageErrorKind>,
    has_denied: bool,
}

impl GuardRules {
    /// Begins a call to the guard.
    pub(crate) fn begin(&mut self, export: Export) {
        let found = self.found.take();
        *self = Self { serving: Some(export), found, has_denied: self.has_denied, ..Self::default() };
    }

    /// Whether the guard itself denied a delete in this request.
    pub(crate) const fn has_denied(&self) -> bool {
        self.has_denied
    }

    /// Records what `locate` of the storage behind the guard returned.
    pub(crate) fn record_locate(&mut self, result: &Result<Target, StorageError>) {
        self.located = result.as_ref().ok().cloned();
        self.record_error(result);
    }

    /// Records what `find` of the storage behind the guard returned.
    pub(crate) fn record_find(&mut self, result: &Result<Option<Learning>, StorageError>) {
        if let Ok(found) = result {
            self.found = Some(found.clone());
            self.found_now = true;
        }
        self.record_error(result);
    }

    /// Records what a delete of the storage behind the guard returned.
    pub(crate) fn record_delete(&mut self, condition: &Condition, result: &Result<Outcome, StorageError>) {
        if let Ok(outcome) = result {
            self.outcomes.push((condition.clone(), *outcome));
        }
        self.record_error(result);
    }

    fn record_error<T>(&mut self, result: &Result<T, StorageError>) {
        if let Err(error) = result {
            self.errors.push(error.kind);
        }
    }

    /// Checks a delete of the guard before it is performed.
    pub(crate) fn check_delete(&self, condition: &Condition) -> Result<(), GuardViolation> {
        let Some(Export::Delete(called)) = &self.serving else {
            return Err(GuardViolation("it deleted although no delete was called"));
        };
        let is_found_revision = match (condition, &self.found) {
            (Condition::Unchanged(revision), Some(Some(learning))) => *revision == learning.revision,
            _ => false,
        };
        let implies =
            *called == Condition::Any || condition == called || (is_found_revision && self.found_meets(called));
        if implies {
            Ok(())
        } else {
            Err(GuardViolation("its delete has a weaker condition than the delete that was called"))
        }
    }

    /// Checks what `locate` of the guard returned.
    pub(crate) fn check_locate(&self, answer: &Result<Target, StorageError>) -> Result<(), GuardViolation> {
        match answer {
            Ok(target) if self.located.as_ref() == Some(target) => Ok(()),
            Ok(_) => Err(GuardViolation("its locate returned another target than the storage")),
            Err(error) => self.check_read_error(error),
        }
    }

    /// Checks what `find` of the guard returned.
    pub(crate) fn check_find(&self, answer: &Result<Option<Learning>, StorageError>) -> Result<(), GuardViolation> {
        match answer {
            Ok(learning) if self.found_now && self.found.as_ref() == Some(learning) => Ok(()),
            Ok(_) => Err(GuardViolation("its find returned another record than the storage")),
            Err(error) => self.check_read_error(error),
        }
    }

    fn check_read_error(&self, error: &StorageError) -> Result<(), GuardViolation> {
        match error.kind {
            StorageErrorKind::Unavailable | StorageErrorKind::Internal => Ok(()),
            StorageErrorKind::Denied => Err(GuardViolation("it denied a call that deletes nothing")),
            kind => self.check_error(kind),
        }
    }

    /// Checks what a delete of the guard returned, and records whether the guard denied it.
    pub(crate) fn check_outcome(
        &mut self,
        condition: &Condition,
        answer: &Result<Outcome, StorageError>,
    ) -> Result<(), GuardViolation> {
        let deleted = self.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Deleted);
        let unknown = self.errors.contains(&StorageErrorKind::OutcomeUnknown);
        let answered = |kind| answer.as_ref().is_err_and(|error| error.kind == kind);
        if deleted != (*answer == Ok(Outcome::Deleted)) {
            let reason = if deleted {
                "it deleted the record and returned something else"
            } else {
                "it returned deleted although nothing was deleted"
            };
            return Err(GuardViolation(reason));
        }
        if !deleted && unknown != answered(StorageErrorKind::OutcomeUnknown) {
            let reason = if unknown {
                "the outcome of its delete is unknown, and it returned something else"
            } else {
                "it returned outcome-unknown although no outcome is unknown"
            };
            return Err(GuardViolation(reason));
        }
        match answer {
            Ok(outcome) if self.follows(condition, *outcome) => Ok(()),
            Ok(_) => Err(GuardViolation("its outcome does not follow from what the storage returned")),
            Err(error) => match error.kind {
                StorageErrorKind::Unavailable | StorageErrorKind::Internal => Ok(()),
                StorageErrorKind::Denied if self.errors.contains(&StorageErrorKind::Denied) => Ok(()),
                StorageErrorKind::Denied if self.found_meets(condition) => {
                    self.has_denied = true;
                    Ok(())
                }
                StorageErrorKind::Denied => {
                    Err(GuardViolation("it denied a delete that it did not find would otherwise happen"))
                }
                kind => self.check_error(kind),
            },
        }
    }

    fn check_error(&self, kind: StorageErrorKind) -> Result<(), GuardViolation> {
        let was_returned = self.errors.contains(&kind);
        if was_returned { Ok(()) } else { Err(GuardViolation("it returned an error that the storage did not return")) }
    }

    /// Whether the last `find` returned a record that meets the condition.
    fn found_meets(&self, condition: &Condition) -> bool {
        match (&self.found, condition) {
            (Some(Some(_)), Condition::Any) => true,
            (Some(Some(learning)), Condition::OwnedBy(user)) => learning.user_id.as_ref() == Some(user),
            (Some(Some(learning)), Condition::Unchanged(revision)) => learning.revision == *revision,
            (Some(None) | None, _) => false,
        }
    }

    /// Whether the outcome of a delete with this condition follows from what the storage returned.
    fn follows(&self, condition: &Condition, outcome: Outcome) -> bool {
        let same_delete = |(performed, result): &(Condition, Outcome)| performed == condition && *result == outcome;
        if self.outcomes.iter().any(same_delete) {
            return true;
        }
        let found = self.found.as_ref().map(Option::as_ref);
        match (outcome, condition, found) {
            (Outcome::Deleted, ..) => true,
            (Outcome::Absent, _, found) => {
                found == Some(None) || self.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Absent)
            }
            (Outcome::Unowned, Condition::OwnedBy(_), Some(Some(learning))) => learning.user_id.is_none(),
            (Outcome::OwnedByAnother, Condition::OwnedBy(user), Some(Some(learning))) => {
                learning.user_id.as_ref().is_some_and(|owner| owner != user)
            }
            (Outcome::Changed, Condition::Unchanged(revision), Some(Some(learning))) => learning.revision != *revision,
            (Outcome::Unowned | Outcome::OwnedByAnother | Outcome::Changed, ..) => false,
        }
    }
}

#[cfg(test)]
mod tests;
