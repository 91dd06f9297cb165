use super::{Export, GuardRules};
use crate::contract::{Learning, Outcome, StorageError, StorageErrorKind, Target};
use crate::storage::Condition;

fn owned_by(user: &str) -> Condition {
    Condition::OwnedBy(user.to_owned())
}

fn unchanged(revision: &str) -> Condition {
    Condition::Unchanged(revision.to_owned())
}

/// The rules while the guard serves a delete with this condition, after a `find` that returned `found`.
fn serving(condition: &Condition, found: Option<Option<Learning>>) -> GuardRules {
    let mut rules = GuardRules::default();
    rules.begin(Export::Delete(condition.clone()));
    if let Some(found) = found {
        rules.record_find(&Ok(found));
    }
    rules
}

fn alices() -> Option<Learning> {
    Some(Learning::owned_by(Some("alice")))
}

fn error<T>(kind: StorageErrorKind) -> Result<T, StorageError> {
    Err(StorageError::new(kind, ""))
}

const CONDITIONS: fn() -> [Condition; 5] =
    || [Condition::Any, owned_by("alice"), owned_by("bob"), unchanged("1"), unchanged("2")];

/// Whether a record meets a condition, for the record of alice in revision 1.
fn alices_meets(condition: &Condition) -> bool {
    [Condition::Any, owned_by("alice"), unchanged("1")].contains(condition)
}

#[test]
fn delete_needs_the_called_condition_or_a_revision_that_meets_it() {
    for called in CONDITIONS() {
        for condition in CONDITIONS() {
            let same = called == condition || called == Condition::Any;
            let allowed = |found| serving(&called, found).check_delete(&condition).is_ok();
            assert_eq!(allowed(None), same, "{called:?}, {condition:?}");
            assert_eq!(allowed(Some(None)), same, "{called:?}, {condition:?}");
            let by_revision = condition == unchanged("1") && alices_meets(&called);
            assert_eq!(allowed(Some(alices())), same || by_revision, "{called:?}, {condition:?}");
        }
    }
}

#[test]
fn delete_is_refused_unless_a_delete_is_served() {
    for export in [None, Some(Export::Locate), Some(Export::Find)] {
        let mut rules = GuardRules::default();
        if let Some(export) = export {
            rules.begin(export);
        }
        rules.record_find(&Ok(alices()));
        for condition in CONDITIONS() {
            assert!(rules.check_delete(&condition).is_err(), "{condition:?}");
        }
    }
}

#[test]
fn denial_needs_a_found_record_that_meets_the_condition() {
    for condition in CONDITIONS() {
        let mut unread = serving(&condition, None);
        assert!(unread.check_outcome(&condition, &error(StorageErrorKind::Denied)).is_err(), "{condition:?}");
        let mut absent = serving(&condition, Some(None));
        assert!(absent.check_outcome(&condition, &error(StorageErrorKind::Denied)).is_err(), "{condition:?}");
        let mut found = serving(&condition, Some(alices()));
        let denied = found.check_outcome(&condition, &error(StorageErrorKind::Denied)).is_ok();
        assert_eq!(denied, alices_meets(&condition), "{condition:?}");
        assert_eq!(found.has_denied(), denied, "{condition:?}");
    }
}

#[test]
fn record_that_was_found_in_an_earlier_call_can_be_denied() {
    let mut rules = GuardRules::default();
    rules.begin(Export::Find);
    rules.record_find(&Ok(alices()));
    rules.begin(Export::Delete(unchanged("1")));
    assert!(rules.check_outcome(&unchanged("1"), &error(StorageErrorKind::Denied)).is_ok());
    assert!(rules.has_denied());
}

#[test]
fn denial_of_the_storage_can_be_returned_and_is_not_the_guards_own() {
    let mut rules = serving(&owned_by("bob"), None);
    rules.record_delete(&owned_by("bob"), &error(StorageErrorKind::Denied));
    assert!(rules.check_outcome(&owned_by("bob"), &error(StorageErrorKind::Denied)).is_ok());
    assert!(!rules.has_denied());
}

#[test]
fn outcome_must_follow_from_the_record_that_was_found() {
    let unowned = || Some(Learning::owned_by(None));
    for (condition, found, expected) in [
        (Condition::Any, None, Outcome::Absent),
        (owned_by("alice"), None, Outcome::Absent),
        (unchanged("1"), None, Outcome::Absent),
        (owned_by("bob"), alices(), Outcome::OwnedByAnother),
        (owned_by("alice"), unowned(), Outcome::Unowned),
        (unchanged("2"), alices(), Outcome::Changed),
    ] {
        for outcome in [Outcome::Absent, Outcome::Unowned, Outcome::OwnedByAnother, Outcome::Changed, Outcome::Deleted]
        {
            let accepted = |found| serving(&condition, found).check_outcome(&condition, &Ok(outcome)).is_ok();
            assert_eq!(accepted(Some(found.clone())), outcome == expected, "{condition:?}, {found:?}, {outcome:?}");
            assert!(!accepted(None), "{condition:?}, {outcome:?}");
        }
    }
}

#[test]
fn outcome_of_the_same_delete_can_be_returned() {
    for outcome in [Outcome::Absent, Outcome::Unowned, Outcome::OwnedByAnother, Outcome::Changed, Outcome::Deleted] {
        for condition in CONDITIONS() {
            let mut rules = serving(&condition, None);
            rules.record_delete(&condition, &Ok(outcome));
            assert!(rules.check_outcome(&condition, &Ok(outcome)).is_ok(), "{condition:?}, {outcome:?}");
        }
    }
}

#[test]
fn changed_of_another_delete_is_no_outcome() {
    let mut rules = serving(&owned_by("alice"), Some(alices()));
    rules.record_delete(&unchanged("1"), &Ok(Outcome::Changed));
    assert!(rules.check_outcome(&owned_by("alice"), &Ok(Outcome::Changed)).is_err());
    assert!(rules.check_outcome(&owned_by("alice"), &error(StorageErrorKind::Unavailable)).is_ok());
}

#[test]
fn deletion_must_be_returned_as_deleted() {
    let deleted = || {
        let mut rules = serving(&Condition::Any, Some(alices()));
        rules.record_delete(&unchanged("1"), &Ok(Outcome::Deleted));
        rules
    };
    assert!(deleted().check_outcome(&Condition::Any, &Ok(Outcome::Deleted)).is_ok());
    assert!(deleted().check_outcome(&Condition::Any, &Ok(Outcome::Absent)).is_err());
    for kind in [StorageErrorKind::Denied, StorageErrorKind::Unavailable, StorageErrorKind::Internal] {
        assert!(deleted().check_outcome(&Condition::Any, &error(kind)).is_err(), "{kind:?}");
    }
    // A deletion of an earlier call does not count for this one.
    let mut later = deleted();
    later.begin(Export::Delete(Condition::Any));
    assert!(later.check_outcome(&Condition::Any, &Ok(Outcome::Deleted)).is_err());
}

#[test]
fn unknown_outcome_must_be_returned_as_unknown() {
    let unknown = || {
        let mut rules = serving(&Condition::Any, Some(alices()));
        rules.record_delete(&unchanged("1"), &error(StorageErrorKind::OutcomeUnknown));
        rules
    };
    assert!(unknown().check_outcome(&Condition::Any, &error(StorageErrorKind::OutcomeUnknown)).is_ok());
    for kind in [StorageErrorKind::Denied, StorageErrorKind::Unavailable, StorageErrorKind::Internal] {
        assert!(unknown().check_outcome(&Condition::Any, &error(kind)).is_err(), "{kind:?}");
    }
    assert!(unknown().check_outcome(&Condition::Any, &Ok(Outcome::Absent)).is_err());
    let mut known = serving(&Condition::Any, Some(alices()));
    assert!(known.check_outcome(&Condition::Any, &error(StorageErrorKind::OutcomeUnknown)).is_err());
}

#[test]
fn error_must_be_one_of_the_storage_or_a_failure_of_the_guard() {
    use StorageErrorKind as Kind;
    for kind in [
        Kind::InvalidLearningId,
        Kind::RepeatedParameter,
        Kind::DatabaseRequired,
        Kind::UnknownDatabase,
        Kind::UnknownTable,
        Kind::Unsupported,
        Kind::Unavailable,
        Kind::Internal,
    ] {
        let is_own = [Kind::Unavailable, Kind::Internal].contains(&kind);
        let mut rules = serving(&Condition::Any, None);
        assert_eq!(rules.check_outcome(&Condition::Any, &error(kind)).is_ok(), is_own, "{kind:?}");
        assert_eq!(rules.check_find(&error(kind)).is_ok(), is_own, "{kind:?}");
        assert_eq!(rules.check_locate(&error(kind)).is_ok(), is_own, "{kind:?}");
        rules.record_find(&error(kind));
        assert!(rules.check_outcome(&Condition::Any, &error(kind)).is_ok(), "{kind:?}");
        assert!(rules.check_find(&error(kind)).is_ok(), "{kind:?}");
        assert!(rules.check_locate(&error(kind)).is_ok(), "{kind:?}");
    }
}

#[test]
fn reads_return_what_the_storage_returned() {
    let mut rules = GuardRules::default();
    rules.begin(Export::Find);
    assert!(rules.check_find(&Ok(None)).is_err());
    rules.record_find(&Ok(alices()));
    assert!(rules.check_find(&Ok(alices())).is_ok());
    let altered = Learning { content: "{ }".to_owned(), ..Learning::owned_by(Some("alice")) };
    for other in [None, Some(altered), Some(Learning::owned_by(Some("bob")))] {
        assert!(rules.check_find(&Ok(other.clone())).is_err(), "{other:?}");
    }
    assert!(rules.check_find(&error(StorageErrorKind::Denied)).is_err());
    // The record of an earlier call is not what this call found.
    rules.begin(Export::Find);
    assert!(rules.check_find(&Ok(alices())).is_err());

    let target = |table: &str| Target { database: "main".to_owned(), table: table.to_owned() };
    rules.begin(Export::Locate);
    assert!(rules.check_locate(&Ok(target("a"))).is_err());
    rules.record_locate(&Ok(target("a")));
    assert!(rules.check_locate(&Ok(target("a"))).is_ok());
    assert!(rules.check_locate(&Ok(target("b"))).is_err());
    assert!(rules.check_locate(&error(StorageErrorKind::Denied)).is_err());
}

#[test]
fn record_found_before_a_deletion_is_no_reason_to_deny_afterwards() {
    let mut rules = serving(&Condition::Any, Some(alices()));
    rules.record_delete(&Condition::Any, &Ok(Outcome::Deleted));
    rules.begin(Export::Delete(Condition::Any));
    assert!(rules.check_outcome(&Condition::Any, &error(StorageErrorKind::Denied)).is_err());
}

#[test]
fn denial_is_remembered_for_the_rest_of_the_request() {
    let mut rules = serving(&Condition::Any, Some(alices()));
    assert!(rules.check_outcome(&Condition::Any, &error(StorageErrorKind::Denied)).is_ok());
    rules.begin(Export::Locate);
    assert!(rules.has_denied());
}
