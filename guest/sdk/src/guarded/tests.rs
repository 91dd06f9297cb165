//! The rules of world `guard`, on a record in memory that another writer changes.

use super::*;
use crate::testing::{Call, TestHost, admin, alice, learning, run, security_key};
use crate::{Credential, IdentityErrorKind};
use alloc::borrow::ToOwned;

type Delete = fn(&TestHost) -> Result<Outcome, StorageError>;

/// The three deletes, each with a condition that the record of `learning` meets.
const DELETES: [Delete; 3] =
    [delete, |host| delete_if_owned_by(host, "alice"), |host| delete_if_unchanged(host, &revision(host))];

/// Permits the deletion unless the record is held.
fn unless_held(learning: &Learning, _: &Caller, _: &TestHost) -> Result<(), String> {
    if learning.metadata.is_some() { Err("The record is held".to_owned()) } else { Ok(()) }
}

fn held() -> Learning {
    Learning { metadata: Some("{}".to_owned()), ..learning() }
}

fn owned_by(user_id: Option<&str>) -> Learning {
    Learning { user_id: user_id.map(str::to_owned), ..learning() }
}

fn delete(host: &TestHost) -> Result<Outcome, StorageError> {
    run(Guarded::new(host, unless_held).delete())
}

fn delete_if_owned_by(host: &TestHost, user_id: &str) -> Result<Outcome, StorageError> {
    run(Guarded::new(host, unless_held).delete_if_owned_by(user_id))
}

fn delete_if_unchanged(host: &TestHost, revision: &str) -> Result<Outcome, StorageError> {
    run(Guarded::new(host, unless_held).delete_if_unchanged(revision))
}

fn denied() -> Result<Outcome, StorageError> {
    Err(StorageError { kind: StorageErrorKind::Denied, message: "The record is held".to_owned() })
}

fn revision(host: &TestHost) -> String {
    host.record().expect("the record exists").revision
}

/// The number of deletes that reached the storage.
fn deletes(host: &TestHost) -> usize {
    host.calls().iter().filter(|call| !matches!(call, Call::Caller | Call::Locate | Call::Find)).count()
}

#[test]
fn permitted_delete_names_the_revision_that_was_read() {
    for delete in DELETES {
        let host = TestHost::new(alice()).with_record(learning());
        let revision = revision(&host);
        assert_eq!(delete(&host), Ok(Outcome::Deleted));
        assert_eq!(host.calls(), [Call::Find, Call::Caller, Call::DeleteIfUnchanged(revision)]);
        assert_eq!(host.record(), None);
    }
}

#[test]
fn refused_delete_is_denied_for_every_caller() {
    for caller in [alice(), admin(), security_key()] {
        for delete in DELETES {
            let host = TestHost::new(caller.clone()).with_record(held());
            assert_eq!(delete(&host), denied());
            assert_eq!(deletes(&host), 0);
            assert!(host.record().is_some());
        }
    }
}

#[test]
fn condition_is_applied_before_the_rule() {
    for (record, expected) in [
        (None, Outcome::Absent),
        (Some(Learning { user_id: None, ..held() }), Outcome::Unowned),
        (Some(Learning { user_id: Some("bob".to_owned()), ..held() }), Outcome::OwnedByAnother),
    ] {
        let host = record.into_iter().fold(TestHost::new(alice()), TestHost::with_record);
        assert_eq!(delete_if_owned_by(&host, "alice"), Ok(expected));
        assert_eq!(host.calls(), [Call::Find]);
    }
    let host = TestHost::new(alice());
    assert_eq!((delete(&host), delete_if_unchanged(&host, "a")), (Ok(Outcome::Absent), Ok(Outcome::Absent)));
    let host = TestHost::new(alice()).with_record(held());
    assert_eq!(delete_if_unchanged(&host, "another"), Ok(Outcome::Changed));
    assert_eq!(host.calls(), [Call::Find]);
}

#[test]
fn owners_are_compared_byte_by_byte() {
    // Equal after case folding, trimming or normalization, or up to a NUL; the last two are é in two forms.
    let names =
        ["", "alice", "Alice", "alice ", " alice", "alice\0", "alic", "alicé", "alice\u{301}", "\u{e9}", "e\u{301}"];
    for owner in names {
        for user_id in names {
            let host = TestHost::new(alice()).with_record(owned_by(Some(owner)));
            let expected = if owner == user_id { Outcome::Deleted } else { Outcome::OwnedByAnother };
            assert_eq!(delete_if_owned_by(&host, user_id), Ok(expected), "{owner:?} {user_id:?}");
        }
    }
    let host = TestHost::new(alice()).with_record(owned_by(None));
    assert_eq!(delete_if_owned_by(&host, ""), Ok(Outcome::Unowned));
}

/// A host whose record changes after the first `changes` reads.
fn changing(changes: usize) -> TestHost {
    let mut reads = 0;
    TestHost::new(alice()).with_record(learning()).with_change_after_find(move |record| {
        reads += 1;
        if let (true, Some(record)) = (reads <= changes, record) {
            record.content.push('x');
        }
    })
}

#[test]
fn delete_is_retried_three_times_after_a_change() {
    for changes in 0..=3 {
        let host = changing(changes);
        assert_eq!(delete_if_owned_by(&host, "alice"), Ok(Outcome::Deleted), "{changes} changes");
        assert_eq!(deletes(&host), changes + 1);
    }
    for changes in 4..6 {
        let host = changing(changes);
        let error = delete_if_owned_by(&host, "alice").expect_err("an error");
        assert_eq!(error.kind, StorageErrorKind::Unavailable);
        assert_eq!(deletes(&host), 4);
        assert!(host.record().is_some());
    }
}

#[test]
fn change_after_the_read_is_reported_if_the_call_names_a_revision() {
    let host = changing(1);
    assert_eq!(delete_if_unchanged(&host, &revision(&host)), Ok(Outcome::Changed));
    assert!(host.record().is_some());
}

#[test]
fn retry_applies_condition_and_rule_to_the_new_state() {
    for (new, expected) in [
        (None, Ok(Outcome::Absent)),
        (Some(held()), denied()),
        (Some(owned_by(None)), Ok(Outcome::Unowned)),
        (Some(owned_by(Some("bob"))), Ok(Outcome::OwnedByAnother)),
    ] {
        let after = new.clone();
        let host = TestHost::new(alice())
            .with_record(learning())
            .with_change_after_find(move |record| *record = after.clone());
        assert_eq!(delete_if_owned_by(&host, "alice"), expected);
        assert_eq!(host.record().map(|record| record.metadata), new.map(|record| record.metadata));
    }
}

#[test]
fn errors_of_the_storage_are_returned_unchanged() {
    use StorageErrorKind as Kind;
    for kind in [
        Kind::InvalidLearningId,
        Kind::RepeatedParameter,
        Kind::DatabaseRequired,
        Kind::UnknownDatabase,
        Kind::UnknownTable,
        Kind::Unsupported,
        Kind::Denied,
        Kind::Unavailable,
        Kind::OutcomeUnknown,
        Kind::Internal,
    ] {
        let error = StorageError { kind, message: "injected".to_owned() };
        let failing = |fails: fn(&Call) -> bool| {
            TestHost::new(alice()).with_record(learning()).with_faults(move |call| fails(call).then_some(kind))
        };
        let find_fails = failing(|call| *call == Call::Find);
        let delete_fails = failing(|call| matches!(call, Call::DeleteIfUnchanged(_)));
        for host in [&find_fails, &delete_fails] {
            assert_eq!(delete(host), Err(error.clone()));
            assert_eq!(delete_if_owned_by(host, "alice"), Err(error.clone()));
            assert_eq!(delete_if_unchanged(host, &revision(host)), Err(error.clone()));
        }
        assert_eq!((deletes(&find_fails), deletes(&delete_fails)), (0, 3), "no call is repeated");
        let guard = Guarded::new(&find_fails, unless_held);
        assert_eq!(run(guard.find()), Err(error.clone()));
        let locate_fails = failing(|call| *call == Call::Locate);
        assert_eq!(run(Guarded::new(&locate_fails, unless_held).locate()), Err(error));
    }
}

#[test]
fn delete_without_caller_fails_without_delete() {
    let error =
        IdentityError { kind: IdentityErrorKind::Missing, credential: Credential::Jwt, message: "no token".to_owned() };
    let host = TestHost::new(alice()).with_identity_error(error.clone()).with_record(learning());
    assert_eq!(delete(&host), Err(StorageError { kind: StorageErrorKind::Internal, message: "no token".to_owned() }));
    assert_eq!(deletes(&host), 0);
    assert_eq!(run(Guarded::new(&host, unless_held).caller()), Err(error));
}

#[test]
fn locate_and_find_are_forwarded() {
    let host = TestHost::new(alice()).with_record(held());
    let guard = Guarded::new(&host, unless_held);
    assert_eq!(run(guard.locate()).map(|target| target.database), Ok("main".to_owned()));
    assert_eq!(run(guard.find()), Ok(host.record()));
    assert_eq!(run(guard.caller()), Ok(alice()));
    assert_eq!(host.calls(), [Call::Locate, Call::Find, Call::Caller]);
}

#[test]
fn message_that_a_rejection_cannot_contain_is_replaced() {
    let long = "é".repeat(512);
    for (message, expected) in [
        ("Until 2027", "Until 2027"),
        (&long, &long),
        (&(long.clone() + "x"), "This learning cannot be deleted"),
        ("", "This learning cannot be deleted"),
        ("two\nlines", "This learning cannot be deleted"),
        ("\u{85}", "This learning cannot be deleted"),
    ] {
        let host = TestHost::new(alice()).with_record(learning());
        let result =
            run(Guarded::new(&host, |_: &Learning, _: &Caller, _: &TestHost| Err(message.to_owned())).delete());
        assert_eq!(result, Err(StorageError { kind: StorageErrorKind::Denied, message: expected.to_owned() }));
    }
}

#[test]
fn rule_receives_caller_settings_and_time() {
    let rule = |_: &Learning, caller: &Caller, environment: &TestHost| {
        let setting = environment.setting("region").map_err(|error| error.message)?;
        Err(alloc::format!("{:?} {:?} {}", caller.subject, setting, environment.now()))
    };
    let host = TestHost::new(alice()).with_record(learning()).with_setting("region", "eu").with_now(7);
    let message = run(Guarded::new(&host, rule).delete()).expect_err("denied").message;
    assert_eq!(message, r#"Some("alice") Some("eu") 7"#);
}
