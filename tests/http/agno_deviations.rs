//! Errors of the real service that this server must not repeat.

use crate::support::server::{LONG_TIMEOUTS, Setup};
use crate::support::token::{admin, now, user, with_claims};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn error_body_has_detail_and_code() {
    let server = Setup::jwt().start();
    for (response, code) in [
        (server.delete(ALICE_PROFILE, None), "UNAUTHENTICATED"),
        (server.delete("/learnings/entity_global_person_ada", Some(&user("alice"))), "FORBIDDEN"),
        (server.delete("/learnings/absent", Some(&admin())), "NOT_FOUND"),
        (server.delete("/learnings/absent?table=t", Some(&admin())), "BAD_REQUEST"),
        (server.request("GET", "/learnings/absent", &[]), "METHOD_NOT_ALLOWED"),
        (server.request("GET", "/elsewhere", &[]), "NOT_FOUND"),
    ] {
        assert_eq!(response.error().2, code);
    }
}

#[test]
fn delete_by_former_owner_is_refused() {
    let server = Setup::jwt().start();
    let database = server.database("main");
    let token = user("alice");
    // Another connection reassigns the record to bob while alice deletes it. The number of updated rows shows which came
    // first: a reassigned record must still exist, and alice's response must be 404.
    for round in 0..200 {
        let id = format!("contended_{round}");
        database.insert(&id, Some("alice"));
        let connection = database.connect();
        let (reassigned, response) = thread::scope(|scope| {
            let id = &id;
            let update = scope.spawn(move || {
                // Varies the delay, so that the two overlap at different points.
                thread::sleep(Duration::from_micros(50 * (round % 40)));
                let sql = "UPDATE agno_learnings SET user_id = 'bob' WHERE learning_id = ?1";
                connection.execute(sql, [id]).expect("the update runs")
            });
            let response = server.delete(&format!("/learnings/{id}"), Some(&token));
            (update.join().expect("the update runs"), response)
        });
        let expected = if reassigned == 1 { (404, true) } else { (204, false) };
        assert_eq!((response.status, database.contains(&id)), expected, "round {round}, reassigned {reassigned}");
    }
}

#[test]
fn record_deleted_concurrently_is_404() {
    let server = Setup::jwt().start();
    let token = user("alice");
    let statuses = thread::scope(|scope| {
        let delete = || server.delete(ALICE_PROFILE, Some(&token)).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(delete)).collect();
        let mut statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().expect("a response")).collect();
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [204, 404, 404, 404, 404, 404, 404, 404]);
}

#[test]
fn storage_error_is_500_and_its_cause_is_only_logged() {
    let server = Setup::jwt().start();
    server.database("main").execute("DROP TABLE agno_learnings");
    let response = server.delete(ALICE_PROFILE, Some(&user("alice")));
    response.assert_error(500, "Failed to delete learning", "INTERNAL_SERVER_ERROR");
    let line = server.wait_for_log(&["storage failed"]);
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("has no table agno_learnings")), "{line}");
}

#[test]
fn record_with_any_id_can_be_deleted() {
    let server = Setup::jwt().start();
    let long = "x".repeat(4096);
    let ids = [
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("with space", "with%20space"),
        ("plus+plus", "plus+plus"),
        ("'quoted' \"twice\"", "%27quoted%27%20%22twice%22"),
        ("🦀 é 漢字", "%F0%9F%A6%80%20%C3%A9%20%E6%BC%A2%E5%AD%97"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("..", ".."),
        (".", "%2E"),
        ("?x=1&y#z", "%3Fx=1&y%23z"),
        ("'; DROP TABLE agno_learnings; --", "%27;%20DROP%20TABLE%20agno_learnings;%20--"),
        ("line\nfeed\t\u{7f}", "line%0Afeed%09%7F"),
        ("nul\0inside", "nul%00inside"),
        ("users", "users"),
        (&long, &long),
    ];
    let database = server.database("main");
    for (id, _) in ids {
        database.insert(id, Some("alice"));
    }
    for (id, encoded) in ids {
        server.delete(&format!("/learnings/{encoded}"), Some(&user("alice"))).assert_deleted();
        assert!(!database.contains(id), "{id:?}");
    }
    assert_eq!(database.ids().len(), crate::support::database::RECORD_COUNT, "no other record was deleted");
}

#[test]
fn id_that_is_not_utf8_or_too_long_is_400() {
    let server = Setup::jwt().start();
    let detail = "The learning_id must be UTF-8, percent-encoded, and not overlong";
    for id in ["%FF".to_owned(), "a%C3".to_owned(), "%ED%A0%80".to_owned(), "x".repeat(4097), "%41".repeat(5000)] {
        server.delete(&format!("/learnings/{id}"), Some(&user("alice"))).assert_error(400, detail, "BAD_REQUEST");
        assert_eq!(
            server.delete(&format!("/learnings/{id}"), None).status,
            401,
            "an unauthenticated caller gets no detail"
        );
    }
}

#[test]
fn confined_token_without_subject_is_403_for_any_record() {
    let server = Setup::jwt().start();
    for claims in [json!({}), json!({ "sub": "" })] {
        let mut claims = claims;
        claims["scopes"] = json!(["learnings:delete"]);
        claims["exp"] = json!(now() + 60);
        let token = with_claims(claims);
        let responses = [ALICE_PROFILE, "/learnings/entity_global_person_ada", "/learnings/absent"]
            .map(|target| server.delete(target, Some(&token)));
        for response in responses {
            response.assert_error(403, "Authenticated request is missing a user identity", "FORBIDDEN");
        }
        // The database is resolved first, as for every caller.
        let response = server.delete("/learnings/x?db_id=nowhere", Some(&token));
        response.assert_error(404, "No database found with id 'nowhere'", "NOT_FOUND");
    }
}

#[test]
fn table_without_learnings_is_404() {
    let server = Setup::jwt().start();
    server.database("main").execute("CREATE TABLE agno_sessions (session_id TEXT)");
    let response = server.delete(&format!("{ALICE_PROFILE}?db_id=main&table=agno_sessions"), Some(&user("alice")));
    response.assert_error(404, "No database with id 'main' has table 'agno_sessions'", "NOT_FOUND");
    assert!(server.database("main").contains("user_profile_alice@example.com"));
}

#[test]
fn repeated_query_parameter_is_400() {
    let server = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let detail = "The db_id and table query parameters may be given once each";
    for query in [
        "db_id=main&db_id=second",
        "db_id=main&db_id=main",
        "db_id=&db_id=main",
        "db_id=main&table=agno_learnings&table=agno_learnings",
        "db%5Fid=main&db_id=main",
    ] {
        server.delete(&format!("{ALICE_PROFILE}?{query}"), Some(&user("alice"))).assert_error(
            400,
            detail,
            "BAD_REQUEST",
        );
    }
    let twice = format!("{ALICE_PROFILE}?db_id=main&db_id=main");
    assert_eq!(server.delete(&twice, None).status, 401, "an unauthenticated caller gets no detail");
}

#[test]
fn token_without_bearer_scheme_is_401() {
    let server = Setup::jwt().start();
    let token = user("alice");
    for value in [token.clone(), format!("Basic {token}"), format!("Token {token}"), format!("Bearer{token}")] {
        let response = server.request("DELETE", ALICE_PROFILE, &[("authorization", &value)]);
        response.assert_error(401, "Authorization header must be one 'Bearer <token>'", "UNAUTHENTICATED");
    }
    for scheme in ["bearer", "BEARER", "BeArEr"] {
        let response =
            server.request("DELETE", "/learnings/absent", &[("authorization", &format!("{scheme} {token}"))]);
        assert_eq!(response.status, 404, "the scheme can be spelled {scheme}");
    }
}

#[test]
fn slow_database_does_not_delay_other_databases() {
    let setup = Setup { settings: LONG_TIMEOUTS.to_owned(), databases: vec!["main", "second"], ..Setup::jwt() };
    let server = setup.start();
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.delete(&format!("{ALICE_PROFILE}?db_id=main"), Some(&user("alice"))));
        thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        server.delete(&format!("{ALICE_PROFILE}?db_id=second"), Some(&user("alice"))).assert_deleted();
        assert_eq!(server.request("GET", "/health", &[]).status, 200);
        assert!(
            !waiting.is_finished(),
            "answered after {:?}, while the other request waits for the lock",
            start.elapsed()
        );
        lock.execute_batch("COMMIT").expect("the lock can be released");
        waiting.join().expect("a response").assert_deleted();
    });
}

#[test]
fn every_decision_writes_an_audit_event() {
    let server = Setup::jwt().start();
    server.delete(ALICE_PROFILE, None);
    server.delete("/learnings/user_profile_bob@example.com", Some(&user("alice")));
    server.delete("/learnings/session_context_s1?db_id=main&table=agno_learnings", Some(&user("bob")));

    let missing = server.wait_for_log(&["\"target\":\"audit\"", "identity-missing"]);
    assert_eq!(
        (&missing["status"], &missing["record"], missing.get("subject")),
        (&json!(401), &json!("not-deleted"), None)
    );

    let other_owner = server.wait_for_log(&["\"target\":\"audit\"", "learning-owned-by-another"]);
    assert_eq!((&other_owner["subject"], &other_owner["status"]), (&json!("alice"), &json!(404)));
    assert_eq!(other_owner["storage"], "delete-if-owned-by: owned-by-another");

    let deleted = server.wait_for_log(&["\"target\":\"audit\"", "deleted-as-owner"]);
    assert_eq!(deleted["learning_id"], "session_context_s1");
    assert_eq!((&deleted["db_id"], &deleted["table"]), (&json!("main"), &json!("agno_learnings")));
    assert_eq!((&deleted["subject"], &deleted["credential"]), (&json!("bob"), &json!("jwt")));
    assert_eq!((&deleted["record"], &deleted["status"]), (&json!("deleted"), &json!(204)));
    assert!(deleted["duration_us"].is_u64() && deleted["request_id"].is_string());
}
