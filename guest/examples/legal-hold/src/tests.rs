//! What is held, on a record in memory.

use super::*;
use delete_learning_sdk::testing::{TestHost, admin, alice, bob, learning, run, security_key, service_account};
use delete_learning_sdk::{Guarded, Outcome, PolicyHost, StorageErrorKind};

fn with_metadata(metadata: &str) -> Learning {
    Learning { metadata: Some(metadata.into()), ..learning() }
}

/// Returns the message of the denial, on a host without settings.
fn denial(metadata: &str) -> Option<String> {
    legal_hold(&with_metadata(metadata), &alice(), &TestHost::new(alice())).err()
}

#[test]
fn record_with_legal_hold_is_deleted_by_nobody() {
    for caller in [alice(), admin(), service_account(), security_key()] {
        let host = TestHost::new(caller).with_record(with_metadata(r#"{"legal_hold": true}"#));
        let error = run(Guarded::new(&host, legal_hold).delete()).expect_err("denied");
        assert_eq!(error.kind, StorageErrorKind::Denied);
        assert_eq!(error.message, "This learning is under legal hold");
        assert!(host.record().is_some());
    }
}

#[test]
fn record_without_legal_hold_is_deleted() {
    let host = TestHost::new(alice()).with_record(learning());
    assert_eq!(run(Guarded::new(&host, legal_hold).delete()), Ok(Outcome::Deleted));
}

#[test]
fn legal_hold_is_found_at_the_top_level_only() {
    for metadata in [
        "null",
        "{}",
        "[]",
        r#""legal_hold""#,
        "true",
        "1",
        "-1",
        "1.5",
        r#"[{"legal_hold": true}]"#,
        r#"{"legal_hold": false}"#,
        r#"{"legal_hold": null}"#,
        r#"{"case": {"legal_hold": true}}"#,
        r#"{"case": "legal_hold\": true"}"#,
        r#"{"Legal_hold": true, "legal_hold ": true, "legal-hold": true, "": true}"#,
        r#" { "legal_hold" : false , "a" : [ 1e999, "\u00e9", { } ] } "#,
    ] {
        assert_eq!(denial(metadata), None, "{metadata}");
    }
}

#[test]
fn legal_hold_in_any_notation_is_found() {
    for metadata in [
        r#"{"legal_hold":true}"#,
        " \t\r\n{ \"legal_hold\" : true } \n",
        r#"{"legal\u005fhold": true}"#,
        r#"{"\u006cegal\u005Fhold": true}"#,
        r#"{"legal_hold": false, "legal_hold": true}"#,
        r#"{"legal_hold": true, "legal_hold": false}"#,
        r#"{"legal_hold": true, "legal_hold": null}"#,
        r#"{"a": {"b": [1, {"c": "}"}]}, "legal_hold": true, "z": null}"#,
    ] {
        assert_eq!(denial(metadata).as_deref(), Some("This learning is under legal hold"), "{metadata}");
    }
}

#[test]
fn unreadable_metadata_counts_as_held() {
    let deep = "[".repeat(100_000);
    for metadata in [
        "",
        " ",
        "legal_hold",
        "{",
        r#"{"legal_hold": true"#,
        r#"{"legal_hold": tru}"#,
        r#"{"legal_hold": false,}"#,
        r#"{"legal_hold": false} {}"#,
        r#"{'legal_hold': false}"#,
        r#"{legal_hold: false}"#,
        r#"{"legal_hold": "true"}"#,
        r#"{"legal_hold": "false"}"#,
        r#"{"legal_hold": 0}"#,
        r#"{"legal_hold": 1}"#,
        r#"{"legal_hold": []}"#,
        r#"{"legal_hold": {"legal_hold": true}}"#,
        r#"{"score": NaN}"#,
        r#"{"\ud800": false}"#,
        "{\"a\n\": 1}",
        "\u{feff}{}",
        &deep,
    ] {
        let message = denial(metadata);
        assert_eq!(
            message.as_deref(),
            Some("This learning is retained because its metadata cannot be read"),
            "{metadata:.40}"
        );
    }
}

#[test]
fn record_of_held_user_or_session_is_held() {
    let host = TestHost::new(alice())
        .with_setting("held_users", r#"["carol", "\u0061lice", "bob\u0000"]"#)
        .with_setting("held_sessions", r#" [ "s-1" ] "#);
    let user = |user_id: Option<&str>| Learning { user_id: user_id.map(Into::into), ..learning() };
    let session = |session_id: &str| Learning { session_id: Some(session_id.into()), ..user(None) };
    let by_user = Err("This learning belongs to a user under legal hold".into());
    let by_session = Err("This learning belongs to a session under legal hold".into());
    for (record, expected) in [
        (user(Some("alice")), by_user.clone()),
        (user(Some("carol")), by_user.clone()),
        (user(Some("bob\0")), by_user),
        (user(Some("bob")), Ok(())),
        (user(Some("Alice")), Ok(())),
        (user(Some("alice ")), Ok(())),
        (user(None), Ok(())),
        (session("s-1"), by_session),
        (session("s-11"), Ok(())),
        (session("alice"), Ok(())),
    ] {
        // The owner of the record counts, not the caller.
        assert_eq!(legal_hold(&record, &alice(), &host), expected, "{record:?}");
        assert_eq!(legal_hold(&record, &bob(), &host), expected, "{record:?}");
    }
}

#[test]
fn unreadable_setting_holds_every_record() {
    let unreadable = Err("All learnings are retained because the settings of the legal hold cannot be read".into());
    for name in ["held_users", "held_sessions"] {
        for value in ["", "alice", "alice,bob", r#""alice""#, r#"["alice""#, r#"["alice", 1]"#, "[null]", "{}", "null"]
        {
            let host = TestHost::new(alice()).with_setting(name, value);
            assert_eq!(legal_hold(&learning(), &alice(), &host), unreadable, "{name} = {value}");
        }
    }
    let host = TestHost::new(alice()).with_setting_error();
    assert_eq!(legal_hold(&learning(), &alice(), &host), unreadable);
    let host = TestHost::new(alice()).with_setting("held_users", "[]").with_setting("held_sessions", "[]");
    assert_eq!(legal_hold(&learning(), &alice(), &host), Ok(()));
}
