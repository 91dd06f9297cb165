//! The order of decisions: each row of it, and that the first that matches wins.

use crate::support::server::Setup;
use crate::support::token::{admin, now, user, with_claims};
use serde_json::json;

const ALICES: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn no_credential_is_401_with_a_challenge() {
    let host = Setup::jwt().start();
    let answer = host.delete(ALICES, None);
    answer.is_error(401, "Authorization header missing", "UNAUTHENTICATED");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));

    let host = Setup::security_key("the key of this deployment").start();
    host.delete(ALICES, None).is_error(401, "Authorization header required", "UNAUTHENTICATED");
}

#[test]
fn a_credential_that_does_not_verify_is_401() {
    let host = Setup::jwt().start();
    let answer = host.delete(ALICES, Some("not.a.token"));
    answer.is_error(401, "Invalid token", "UNAUTHENTICATED");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert!(host.database("main").has("user_profile_alice@example.com"));

    let host = Setup::security_key("the key of this deployment").start();
    host.delete(ALICES, Some("another key")).is_error(401, "Invalid authentication token", "UNAUTHENTICATED");
}

#[test]
fn a_token_without_the_scope_is_403_before_anything_else_is_looked_at() {
    let host = Setup::jwt().start();
    let token = with_claims(json!({ "sub": "alice", "scopes": ["learnings:read"], "exp": now() + 60 }));
    for target in [ALICES, "/learnings/absent", "/learnings/x?table=t", "/learnings/x?db_id=nowhere"] {
        host.delete(target, Some(&token)).is_error(
            403,
            "Insufficient permissions. Required scope(s): learnings:delete",
            "FORBIDDEN",
        );
    }
    assert!(host.database("main").has("user_profile_alice@example.com"));
}

#[test]
fn scopes_that_are_not_enforced_are_not_needed() {
    let host = Setup { authorization: "enforce_scopes = false".to_owned(), ..Setup::jwt() }.start();
    let token = with_claims(json!({ "sub": "alice", "exp": now() + 60 }));
    host.delete(ALICES, Some(&token)).is_deleted();
    host.delete("/learnings/session_context_s1", Some(&token)).is_error(404, "Learning not found", "NOT_FOUND");
}

#[test]
fn either_spelling_of_the_scope_and_a_scope_that_is_one_text_suffice() {
    let host = Setup::jwt().start();
    let token = |scopes: serde_json::Value| with_claims(json!({ "sub": "alice", "scopes": scopes, "exp": now() + 60 }));
    host.delete(ALICES, Some(&token(json!(["learnings:*:delete"])))).is_deleted();
    host.delete("/learnings/user_memory_alice", Some(&token(json!("learnings:delete")))).is_deleted();
    let answer = host.delete("/learnings/decision_1", Some(&token(json!("learnings:delete learnings:read"))));
    assert_eq!(answer.error().0, 403, "one text is one scope");
}

#[test]
fn a_table_without_a_database_is_400_and_an_empty_parameter_counts_as_absent() {
    let host = Setup::jwt().start();
    let detail = "The db_id query parameter is required when passing a table";
    for query in ["?table=agno_learnings", "?table=agno_learnings&db_id=", "?table=nothing"] {
        host.delete(&format!("{ALICES}{query}"), Some(&user("alice"))).is_error(400, detail, "BAD_REQUEST");
    }
    host.delete(&format!("{ALICES}?table=&db_id="), Some(&user("alice"))).is_deleted();
}

#[test]
fn a_database_or_table_that_there_is_not_is_404_with_its_name() {
    let host = Setup::jwt().start();
    let delete = |query: &str| host.delete(&format!("{ALICES}?{query}"), Some(&user("alice")));
    delete("db_id=o%27brien%20%F0%9F%A6%80").is_error(404, "No database found with id 'o'brien 🦀'", "NOT_FOUND");
    delete("db_id=main&table=other").is_error(404, "No database with id 'main' has table 'other'", "NOT_FOUND");
    delete("db_id=main&table=agno_learnings").is_deleted();
}

#[test]
fn several_databases_and_none_named_is_400() {
    let host = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let detail = "The db_id query parameter is required when using multiple databases";
    host.delete(ALICES, Some(&user("alice"))).is_error(400, detail, "BAD_REQUEST");
    host.delete(&format!("{ALICES}?db_id=second"), Some(&user("alice"))).is_deleted();
    assert!(host.database("main").has("user_profile_alice@example.com"), "the other database is another");
    assert!(!host.database("second").has("user_profile_alice@example.com"));
}

#[test]
fn an_absent_record_is_404_to_everybody() {
    let host = Setup::jwt().start();
    for token in [user("alice"), admin()] {
        host.delete("/learnings/absent", Some(&token)).is_error(404, "Learning not found", "NOT_FOUND");
    }
}

#[test]
fn a_record_without_an_owner_is_for_administrators() {
    let host = Setup::jwt().start();
    let target = "/learnings/entity_global_person_ada";
    host.delete(target, Some(&user("alice"))).is_error(
        403,
        "Only admins can modify learnings that have no owner (user_id is null)",
        "FORBIDDEN",
    );
    assert!(host.database("main").has("entity_global_person_ada"));
    host.delete(target, Some(&admin())).is_deleted();
}

#[test]
fn anothers_record_is_told_like_an_absent_one() {
    let host = Setup::jwt().start();
    let anothers = host.delete("/learnings/user_profile_bob@example.com", Some(&user("alice")));
    let absent = host.delete("/learnings/absent", Some(&user("alice")));
    assert_eq!((anothers.status, &anothers.body), (absent.status, &absent.body));
    assert!(host.database("main").has("user_profile_bob@example.com"));
}

#[test]
fn owners_compare_byte_for_byte() {
    let host = Setup::jwt().start();
    for name in ["Alice", "alice ", "ALICE", "álice", "alic"] {
        host.delete(ALICES, Some(&user(name))).is_error(404, "Learning not found", "NOT_FOUND");
    }
    host.delete(ALICES, Some(&user("alice"))).is_deleted();
}

#[test]
fn a_deletion_is_204_without_a_body_and_takes_one_record() {
    let host = Setup::jwt().start();
    let before = host.database("main").ids();
    let answer = host.delete(ALICES, Some(&user("alice")));
    answer.is_deleted();
    assert_eq!(answer.header("content-type"), None);
    let mut expected = before;
    assert!(expected.remove("user_profile_alice@example.com"));
    assert_eq!(host.database("main").ids(), expected);
    host.delete(ALICES, Some(&user("alice"))).is_error(404, "Learning not found", "NOT_FOUND");
}

#[test]
fn without_isolation_scopes_alone_decide() {
    let host = Setup { authorization: "user_isolation = false".to_owned(), ..Setup::jwt() }.start();
    host.delete("/learnings/user_profile_bob@example.com", Some(&user("alice"))).is_deleted();
    host.delete("/learnings/entity_global_person_ada", Some(&user("alice"))).is_deleted();
}

#[test]
fn the_admin_scope_has_the_name_that_the_operator_gave_it() {
    let host = Setup { authorization: "admin_scope = \"learnings:root\"".to_owned(), ..Setup::jwt() }.start();
    assert_eq!(host.delete(ALICES, Some(&admin())).status, 403, "the usual name means nothing here");
    let root = with_claims(json!({ "scopes": ["learnings:root"], "exp": now() + 60 }));
    host.delete(ALICES, Some(&root)).is_deleted();
}

#[test]
fn the_security_key_and_an_open_deployment_delete_anything() {
    let host = Setup::security_key("the key of this deployment").start();
    host.delete("/learnings/entity_global_person_ada", Some("the key of this deployment")).is_deleted();
    host.delete(ALICES, Some("the key of this deployment")).is_deleted();

    let host = Setup::open().start();
    host.delete("/learnings/entity_global_person_ada", None).is_deleted();
    host.delete(ALICES, Some("whatever")).is_deleted();
    assert!(host.log().contains("everybody who reaches this address can delete every learning"));
}
