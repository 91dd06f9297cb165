//! The order of the policy's rules: the first matching rule decides.

use crate::support::server::Setup;
use crate::support::token::{admin, now, user, with_claims};
use serde_json::json;

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn missing_credentials_are_401_with_a_challenge() {
    let server = Setup::jwt().start();
    let response = server.delete(ALICE_PROFILE, None);
    response.assert_error(401, "Authorization header missing", "UNAUTHENTICATED");
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));

    let server = Setup::security_key("the key of this deployment").start();
    server.delete(ALICE_PROFILE, None).assert_error(401, "Authorization header required", "UNAUTHENTICATED");
}

#[test]
fn invalid_credentials_are_401() {
    let server = Setup::jwt().start();
    let response = server.delete(ALICE_PROFILE, Some("not.a.token"));
    response.assert_error(401, "Invalid token", "UNAUTHENTICATED");
    assert_eq!(response.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert!(server.database("main").contains("user_profile_alice@example.com"));

    let server = Setup::security_key("the key of this deployment").start();
    server.delete(ALICE_PROFILE, Some("another key")).assert_error(
        401,
        "Invalid authentication token",
        "UNAUTHENTICATED",
    );
}

#[test]
fn missing_scope_is_403_before_the_record_is_resolved() {
    let server = Setup::jwt().start();
    let token = with_claims(json!({ "sub": "alice", "scopes": ["learnings:read"], "exp": now() + 60 }));
    for target in [ALICE_PROFILE, "/learnings/absent", "/learnings/x?table=t", "/learnings/x?db_id=nowhere"] {
        server.delete(target, Some(&token)).assert_error(
            403,
            "Insufficient permissions. Required scope(s): learnings:delete",
            "FORBIDDEN",
        );
    }
    assert!(server.database("main").contains("user_profile_alice@example.com"));
}

#[test]
fn scope_is_not_required_without_enforcement() {
    let server = Setup { authorization: "enforce_scopes = false".to_owned(), ..Setup::jwt() }.start();
    let token = with_claims(json!({ "sub": "alice", "exp": now() + 60 }));
    server.delete(ALICE_PROFILE, Some(&token)).assert_deleted();
    server.delete("/learnings/session_context_s1", Some(&token)).assert_error(404, "Learning not found", "NOT_FOUND");
}

#[test]
fn both_scope_spellings_and_a_single_string_are_accepted() {
    let server = Setup::jwt().start();
    let token = |scopes: serde_json::Value| with_claims(json!({ "sub": "alice", "scopes": scopes, "exp": now() + 60 }));
    server.delete(ALICE_PROFILE, Some(&token(json!(["learnings:*:delete"])))).assert_deleted();
    server.delete("/learnings/user_memory_alice", Some(&token(json!("learnings:delete")))).assert_deleted();
    let response = server.delete("/learnings/decision_1", Some(&token(json!("learnings:delete learnings:read"))));
    assert_eq!(response.error().0, 403, "a string is one scope");
}

#[test]
fn table_without_db_id_is_400_and_empty_values_are_absent() {
    let server = Setup::jwt().start();
    let detail = "The db_id query parameter is required when passing a table";
    for query in ["?table=agno_learnings", "?table=agno_learnings&db_id=", "?table=nothing"] {
        server.delete(&format!("{ALICE_PROFILE}{query}"), Some(&user("alice"))).assert_error(
            400,
            detail,
            "BAD_REQUEST",
        );
    }
    server.delete(&format!("{ALICE_PROFILE}?table=&db_id="), Some(&user("alice"))).assert_deleted();
}

#[test]
fn unknown_database_or_table_is_404_with_its_name() {
    let server = Setup::jwt().start();
    let delete = |query: &str| server.delete(&format!("{ALICE_PROFILE}?{query}"), Some(&user("alice")));
    delete("db_id=o%27brien%20%F0%9F%A6%80").assert_error(404, "No database found with id 'o'brien 🦀'", "NOT_FOUND");
    delete("db_id=main&table=other").assert_error(404, "No database with id 'main' has table 'other'", "NOT_FOUND");
    delete("db_id=main&table=agno_learnings").assert_deleted();
}

#[test]
fn missing_db_id_with_several_databases_is_400() {
    let server = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let detail = "The db_id query parameter is required when using multiple databases";
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_error(400, detail, "BAD_REQUEST");
    server.delete(&format!("{ALICE_PROFILE}?db_id=second"), Some(&user("alice"))).assert_deleted();
    assert!(
        server.database("main").contains("user_profile_alice@example.com"),
        "the record of the other database is not deleted"
    );
    assert!(!server.database("second").contains("user_profile_alice@example.com"));
}

#[test]
fn absent_record_is_404_for_users_and_admins() {
    let server = Setup::jwt().start();
    for token in [user("alice"), admin()] {
        server.delete("/learnings/absent", Some(&token)).assert_error(404, "Learning not found", "NOT_FOUND");
    }
}

#[test]
fn unowned_record_can_be_deleted_only_by_admins() {
    let server = Setup::jwt().start();
    let target = "/learnings/entity_global_person_ada";
    server.delete(target, Some(&user("alice"))).assert_error(
        403,
        "Only admins can modify learnings that have no owner (user_id is null)",
        "FORBIDDEN",
    );
    assert!(server.database("main").contains("entity_global_person_ada"));
    server.delete(target, Some(&admin())).assert_deleted();
}

#[test]
fn record_of_another_owner_gets_the_absent_response() {
    let server = Setup::jwt().start();
    let other_owner = server.delete("/learnings/user_profile_bob@example.com", Some(&user("alice")));
    let absent = server.delete("/learnings/absent", Some(&user("alice")));
    assert_eq!((other_owner.status, &other_owner.body), (absent.status, &absent.body));
    assert!(server.database("main").contains("user_profile_bob@example.com"));
}

#[test]
fn owner_is_compared_byte_for_byte() {
    let server = Setup::jwt().start();
    for name in ["Alice", "alice ", "ALICE", "álice", "alic"] {
        server.delete(ALICE_PROFILE, Some(&user(name))).assert_error(404, "Learning not found", "NOT_FOUND");
    }
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_deleted();
}

#[test]
fn delete_is_204_without_body_and_removes_one_record() {
    let server = Setup::jwt().start();
    let before = server.database("main").ids();
    let response = server.delete(ALICE_PROFILE, Some(&user("alice")));
    response.assert_deleted();
    assert_eq!(response.header("content-type"), None);
    let mut expected = before;
    assert!(expected.remove("user_profile_alice@example.com"));
    assert_eq!(server.database("main").ids(), expected);
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_error(404, "Learning not found", "NOT_FOUND");
}

#[test]
fn scope_alone_decides_without_user_isolation() {
    let server = Setup { authorization: "user_isolation = false".to_owned(), ..Setup::jwt() }.start();
    server.delete("/learnings/user_profile_bob@example.com", Some(&user("alice"))).assert_deleted();
    server.delete("/learnings/entity_global_person_ada", Some(&user("alice"))).assert_deleted();
}

#[test]
fn configured_admin_scope_replaces_the_default() {
    let server = Setup { authorization: "admin_scope = \"learnings:root\"".to_owned(), ..Setup::jwt() }.start();
    assert_eq!(server.delete(ALICE_PROFILE, Some(&admin())).status, 403, "the default admin scope grants nothing");
    let root = with_claims(json!({ "scopes": ["learnings:root"], "exp": now() + 60 }));
    server.delete(ALICE_PROFILE, Some(&root)).assert_deleted();
}

#[test]
fn security_key_and_mode_none_delete_any_record() {
    let server = Setup::security_key("the key of this deployment").start();
    server.delete("/learnings/entity_global_person_ada", Some("the key of this deployment")).assert_deleted();
    server.delete(ALICE_PROFILE, Some("the key of this deployment")).assert_deleted();

    let server = Setup::without_auth().start();
    server.delete("/learnings/entity_global_person_ada", None).assert_deleted();
    server.delete(ALICE_PROFILE, Some("any token")).assert_deleted();
    assert!(server.log().contains("everybody who reaches this address can delete every learning"));
}
