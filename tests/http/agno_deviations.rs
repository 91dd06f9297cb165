//! What the real service gets wrong and this one must not: each row of that table.

use crate::support::server::Setup;
use crate::support::token::{admin, now, user, with_claims};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

const ALICES: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn every_error_carries_detail_and_code() {
    let host = Setup::jwt().start();
    // `error` asserts on exactly the two members.
    for (answer, code) in [
        (host.delete(ALICES, None), "UNAUTHENTICATED"),
        (host.delete("/learnings/entity_global_person_ada", Some(&user("alice"))), "FORBIDDEN"),
        (host.delete("/learnings/absent", Some(&admin())), "NOT_FOUND"),
        (host.delete("/learnings/absent?table=t", Some(&admin())), "BAD_REQUEST"),
        (host.request("GET", "/learnings/absent", &[]), "METHOD_NOT_ALLOWED"),
        (host.request("GET", "/elsewhere", &[]), "NOT_FOUND"),
    ] {
        assert_eq!(answer.error().2, code);
    }
}

#[test]
fn a_record_whose_owner_changes_meanwhile_goes_only_if_its_owner_of_that_moment_asked() {
    let host = Setup::jwt().start();
    let database = host.database("main");
    let token = user("alice");
    // Another process gives the record to bob while alice deletes it. Whether the record was still there to be given says
    // which came first: what was given to bob must be there afterwards, and alice be told that there is nothing of hers.
    for round in 0..200 {
        let id = format!("contended_{round}");
        database.insert(&id, Some("alice"));
        let mover = database.connect();
        let (given, answer) = thread::scope(|scope| {
            let id = &id;
            let giving = scope.spawn(move || {
                // So that the two meet at every point of the way.
                thread::sleep(Duration::from_micros(50 * (round % 40)));
                let sql = "UPDATE agno_learnings SET user_id = 'bob' WHERE learning_id = ?1";
                mover.execute(sql, [id]).expect("the update runs")
            });
            let answer = host.delete(&format!("/learnings/{id}"), Some(&token));
            (giving.join().expect("the update runs"), answer)
        });
        let expected = if given == 1 { (404, true) } else { (204, false) };
        assert_eq!((answer.status, database.has(&id)), expected, "round {round}, given {given}");
    }
}

#[test]
fn a_record_that_vanishes_meanwhile_is_404() {
    let host = Setup::jwt().start();
    let token = user("alice");
    let statuses = thread::scope(|scope| {
        let ask = || host.delete(ALICES, Some(&token)).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        let mut statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().expect("an answer")).collect();
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [204, 404, 404, 404, 404, 404, 404, 404]);
}

#[test]
fn an_error_inside_the_delete_is_500_with_the_cause_in_the_log_and_none_of_it_on_the_wire() {
    let host = Setup::jwt().start();
    host.database("main").execute("DROP TABLE agno_learnings");
    let answer = host.delete(ALICES, Some(&user("alice")));
    answer.is_error(500, "Failed to delete learning", "INTERNAL_SERVER_ERROR");
    let line = host.logged(&["storage failed"]);
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("no such table")), "{line}");
}

#[test]
fn any_id_can_be_deleted() {
    let host = Setup::jwt().start();
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
    let database = host.database("main");
    for (id, _) in ids {
        database.insert(id, Some("alice"));
    }
    for (id, encoded) in ids {
        host.delete(&format!("/learnings/{encoded}"), Some(&user("alice"))).is_deleted();
        assert!(!database.has(id), "{id:?}");
    }
    assert_eq!(database.ids().len(), crate::support::database::RECORDS, "nothing else went");
}

#[test]
fn an_id_that_is_no_text_or_too_long_is_400() {
    let host = Setup::jwt().start();
    let detail = "The learning_id must be UTF-8, percent-encoded, and not overlong";
    for id in ["%FF".to_owned(), "a%C3".to_owned(), "%ED%A0%80".to_owned(), "x".repeat(4097), "%41".repeat(5000)] {
        host.delete(&format!("/learnings/{id}"), Some(&user("alice"))).is_error(400, detail, "BAD_REQUEST");
        assert_eq!(host.delete(&format!("/learnings/{id}"), None).status, 401, "who is unknown is told nothing");
    }
}

#[test]
fn a_confined_token_without_a_subject_is_403_whether_or_not_the_record_is_there() {
    let host = Setup::jwt().start();
    for claims in [json!({}), json!({ "sub": "" })] {
        let mut claims = claims;
        claims["scopes"] = json!(["learnings:delete"]);
        claims["exp"] = json!(now() + 60);
        let token = with_claims(claims);
        let answers = [ALICES, "/learnings/entity_global_person_ada", "/learnings/absent"]
            .map(|target| host.delete(target, Some(&token)));
        for answer in answers {
            answer.is_error(403, "Authenticated request is missing a user identity", "FORBIDDEN");
        }
        // The target comes first, as everywhere.
        let answer = host.delete("/learnings/x?db_id=nowhere", Some(&token));
        answer.is_error(404, "No database found with id 'nowhere'", "NOT_FOUND");
    }
}

#[test]
fn a_table_that_exists_and_holds_no_learnings_is_404() {
    let host = Setup::jwt().start();
    host.database("main").execute("CREATE TABLE agno_sessions (session_id TEXT)");
    let answer = host.delete(&format!("{ALICES}?db_id=main&table=agno_sessions"), Some(&user("alice")));
    answer.is_error(404, "No database with id 'main' has table 'agno_sessions'", "NOT_FOUND");
    assert!(host.database("main").has("user_profile_alice@example.com"));
}

#[test]
fn a_parameter_given_twice_is_400() {
    let host = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let detail = "The db_id and table query parameters may be given once each";
    for query in [
        "db_id=main&db_id=second",
        "db_id=main&db_id=main",
        "db_id=&db_id=main",
        "db_id=main&table=agno_learnings&table=agno_learnings",
        "db%5Fid=main&db_id=main",
    ] {
        host.delete(&format!("{ALICES}?{query}"), Some(&user("alice"))).is_error(400, detail, "BAD_REQUEST");
    }
    let twice = format!("{ALICES}?db_id=main&db_id=main");
    assert_eq!(host.delete(&twice, None).status, 401, "who is unknown is told nothing");
}

#[test]
fn a_token_without_the_bearer_scheme_is_401() {
    let host = Setup::jwt().start();
    let token = user("alice");
    for value in [token.clone(), format!("Basic {token}"), format!("Token {token}"), format!("Bearer{token}")] {
        let answer = host.request("DELETE", ALICES, &[("authorization", &value)]);
        answer.is_error(401, "Authorization header must be one 'Bearer <token>'", "UNAUTHENTICATED");
    }
    for scheme in ["bearer", "BEARER", "BeArEr"] {
        let answer = host.request("DELETE", "/learnings/absent", &[("authorization", &format!("{scheme} {token}"))]);
        assert_eq!(answer.status, 404, "the scheme may be written {scheme}");
    }
}

#[test]
fn a_slow_database_stalls_nobody_else() {
    let host = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let slow = host.database("main").connect();
    slow.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| host.delete(&format!("{ALICES}?db_id=main"), Some(&user("alice"))));
        thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        host.delete(&format!("{ALICES}?db_id=second"), Some(&user("alice"))).is_deleted();
        assert_eq!(host.request("GET", "/health", &[]).status, 200);
        assert!(!waiting.is_finished(), "answered in {:?}, while the other waits for the lock", start.elapsed());
        slow.execute_batch("COMMIT").expect("the lock can be given back");
        waiting.join().expect("an answer").is_deleted();
    });
}

#[test]
fn every_decision_leaves_an_audit_record() {
    let host = Setup::jwt().start();
    host.delete(ALICES, None);
    host.delete("/learnings/user_profile_bob@example.com", Some(&user("alice")));
    host.delete("/learnings/session_context_s1?db_id=main&table=agno_learnings", Some(&user("bob")));

    let unknown = host.logged(&["\"target\":\"audit\"", "identity-missing"]);
    assert_eq!((&unknown["status"], &unknown["record"], unknown.get("subject")), (&json!(401), &json!("kept"), None));

    let anothers = host.logged(&["\"target\":\"audit\"", "learning-owned-by-another"]);
    assert_eq!((&anothers["subject"], &anothers["status"]), (&json!("alice"), &json!(404)));
    assert_eq!(anothers["storage"], "delete-if-owned-by: owned by another");

    let deleted = host.logged(&["\"target\":\"audit\"", "deleted-as-owner"]);
    assert_eq!(deleted["learning_id"], "session_context_s1");
    assert_eq!((&deleted["db_id"], &deleted["table"]), (&json!("main"), &json!("agno_learnings")));
    assert_eq!((&deleted["subject"], &deleted["credential"]), (&json!("bob"), &json!("jwt")));
    assert_eq!((&deleted["record"], &deleted["status"]), (&json!("deleted"), &json!(204)));
    assert!(deleted["duration_us"].is_u64() && deleted["request_id"].is_string());
}
