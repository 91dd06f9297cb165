//! The decisions one by one. What crosses the boundary is tested through the component, by the conformance cases.

use super::*;
use alloc::string::ToString;
use alloc::vec;

fn request(db_id: Option<&str>, table: Option<&str>) -> Request {
    Request { db_id: db_id.map(String::from), table: table.map(String::from) }
}

/// A token's holder with the scope, where scopes are enforced and users isolated: the strict deployment.
fn alice() -> Caller {
    Caller {
        credential: Credential::Jwt,
        subject: Some("alice".to_string()),
        scopes: vec![SCOPE.to_string()],
        enforce_scopes: true,
        user_isolation: true,
        admin_scope: "agent_os:admin".to_string(),
    }
}

fn planned(caller: Caller) -> Plan {
    plan(&Request::default(), Ok(caller))
}

/// Status and rule of a plan that refuses.
fn refusal(plan: Plan) -> (u16, &'static str) {
    match plan {
        Plan::Refuse(rejection) | Plan::RefuseAtTarget(rejection) => (rejection.code.status(), rejection.rule),
        Plan::Delete | Plan::DeleteIfOwnedBy(_) => panic!("not a refusal: {plan:?}"),
    }
}

fn concluded(answer: Result<Outcome, StorageErrorKind>) -> Rejection {
    conclude(&request(Some("main"), Some("learnings")), Asked::Own, answer).expect_err("a refusal")
}

const OWN: fn() -> Plan = || Plan::DeleteIfOwnedBy("alice".to_string());

#[test]
fn an_isolated_user_deletes_only_what_it_owns() {
    assert_eq!(planned(alice()), OWN());
}

#[test]
fn without_isolation_scopes_alone_decide() {
    assert_eq!(planned(Caller { user_isolation: false, ..alice() }), Plan::Delete);
    let nobody = Caller { user_isolation: false, subject: None, ..alice() };
    assert_eq!(planned(nobody), Plan::Delete);
}

#[test]
fn either_spelling_of_the_scope_suffices_and_nothing_like_it() {
    for (scope, suffices) in [
        ("learnings:delete", true),
        ("learnings:*:delete", true),
        ("learnings:a:delete", false),
        ("learnings:read", false),
        ("learnings:*", false),
        ("learnings:delete ", false),
        ("LEARNINGS:DELETE", false),
        ("*", false),
        ("", false),
        ("agent_os", false),
        ("learnings:delete learnings:read", false),
    ] {
        let plan = planned(Caller { scopes: vec!["other".to_string(), scope.to_string()], ..alice() });
        if suffices {
            assert_eq!(plan, OWN(), "{scope}");
        } else {
            assert_eq!(refusal(plan), (403, "missing-scope"), "{scope}");
        }
    }
}

#[test]
fn scopes_that_are_not_enforced_are_not_asked_of_a_token() {
    assert_eq!(planned(Caller { scopes: vec![], enforce_scopes: false, ..alice() }), OWN());
}

#[test]
fn a_service_account_needs_its_scope_and_is_confined_whatever_the_deployment_says() {
    let account = Caller {
        credential: Credential::ServiceAccount,
        subject: Some("sa:bot".to_string()),
        enforce_scopes: false,
        user_isolation: false,
        ..alice()
    };
    assert_eq!(planned(account.clone()), Plan::DeleteIfOwnedBy("sa:bot".to_string()));
    assert_eq!(refusal(planned(Caller { scopes: vec![], ..account.clone() })), (403, "missing-scope"));
    let admin = Caller { scopes: vec!["agent_os:admin".to_string()], ..account };
    assert_eq!(planned(admin), Plan::Delete);
}

#[test]
fn an_administrator_is_confined_to_nothing() {
    let admin = Caller { scopes: vec!["agent_os:admin".to_string()], ..alice() };
    assert_eq!(planned(admin.clone()), Plan::Delete);
    assert_eq!(planned(Caller { enforce_scopes: false, ..admin.clone() }), Plan::Delete);
    assert_eq!(planned(Caller { subject: None, ..admin.clone() }), Plan::Delete);
    // Renamed, the usual name is a scope like any other.
    let renamed = Caller { admin_scope: "root".to_string(), ..admin };
    assert_eq!(refusal(planned(renamed.clone())), (403, "missing-scope"));
    assert_eq!(planned(Caller { scopes: vec!["root".to_string()], ..renamed }), Plan::Delete);
}

#[test]
fn an_admin_scope_without_a_name_makes_nobody_an_administrator() {
    let caller = Caller { admin_scope: String::new(), scopes: vec![String::new()], ..alice() };
    assert_eq!(refusal(planned(caller)), (403, "missing-scope"));
}

#[test]
fn root_and_open_deployments_delete_anything() {
    for credential in [Credential::SecurityKey, Credential::None] {
        let caller = Caller { credential, subject: None, scopes: vec![], ..alice() };
        assert_eq!(planned(caller), Plan::Delete, "{credential:?}");
    }
}

#[test]
fn a_confined_caller_without_a_subject_is_refused_without_a_look_at_the_record() {
    for subject in [None, Some(String::new())] {
        let plan = planned(Caller { subject, ..alice() });
        assert!(matches!(plan, Plan::RefuseAtTarget(_)), "{plan:?}");
        assert_eq!(refusal(plan), (403, "missing-subject"));
    }
}

#[test]
fn a_table_needs_a_database_and_an_empty_name_is_none() {
    let refused = (400, "table-without-database");
    assert_eq!(refusal(plan(&request(None, Some("t")), Ok(alice()))), refused);
    assert_eq!(refusal(plan(&request(Some(""), Some("t")), Ok(alice()))), refused);
    for (db_id, table) in [(None, Some("")), (Some(""), Some("")), (Some("d"), Some("t")), (Some("d"), None)] {
        assert_eq!(plan(&request(db_id, table), Ok(alice())), OWN(), "{db_id:?} {table:?}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let table_alone = request(None, Some("t"));
    let error = IdentityError { kind: IdentityErrorKind::Missing, credential: Credential::Jwt };
    assert_eq!(refusal(plan(&table_alone, Err(error))), (401, "identity-missing"));
    let powerless = Caller { scopes: vec![], subject: None, ..alice() };
    assert_eq!(refusal(plan(&table_alone, Ok(powerless))), (403, "missing-scope"));
    let nameless = Caller { subject: None, ..alice() };
    assert_eq!(refusal(plan(&table_alone, Ok(nameless))), (400, "table-without-database"));
}

#[test]
fn every_identity_error_has_its_answer() {
    use Credential::{Jwt, SecurityKey, ServiceAccount};
    use IdentityErrorKind as Kind;
    for (kind, credential, status, detail) in [
        (Kind::Missing, Jwt, 401, "Authorization header missing"),
        (Kind::Missing, SecurityKey, 401, "Authorization header required"),
        (Kind::Malformed, Jwt, 401, "Authorization header must be one 'Bearer <token>'"),
        (Kind::Invalid, Jwt, 401, "Invalid token"),
        (Kind::Invalid, SecurityKey, 401, "Invalid authentication token"),
        (Kind::Invalid, ServiceAccount, 401, "Invalid or expired service account token"),
        (Kind::Expired, ServiceAccount, 401, "Invalid or expired service account token"),
        (Kind::Expired, Jwt, 401, "Token has expired"),
        (Kind::WrongAudience, Jwt, 401, "Invalid token audience - token not valid for this AgentOS instance"),
        (Kind::ReservedSubject, Jwt, 401, "Invalid token subject"),
        (Kind::NotEnabled, ServiceAccount, 401, "Service accounts are not enabled on this AgentOS instance"),
        (Kind::NotEnabled, Jwt, 401, "This kind of credential is not enabled on this AgentOS instance"),
        (Kind::RateLimited, ServiceAccount, 429, "Too many failed authentication attempts"),
        (Kind::Unavailable, ServiceAccount, 503, "Authentication is temporarily unavailable"),
        (Kind::Internal, Jwt, 500, "Internal server error"),
    ] {
        let Plan::Refuse(rejection) = plan(&Request::default(), Err(IdentityError { kind, credential })) else {
            panic!("{kind:?} is not refused");
        };
        assert_eq!((rejection.code.status(), rejection.detail.as_str()), (status, detail), "{kind:?} {credential:?}");
    }
}

#[test]
fn only_a_deletion_is_a_success() {
    assert_eq!(conclude(&Request::default(), Asked::Any, Ok(Outcome::Deleted)), Ok(()));
}

#[test]
fn an_answer_to_a_question_that_was_not_asked_is_a_failure() {
    for outcome in [Outcome::Unowned, Outcome::OwnedByAnother, Outcome::Changed] {
        let rejection = conclude(&Request::default(), Asked::Any, Ok(outcome)).expect_err("a refusal");
        assert_eq!((rejection.code.status(), rejection.rule), (500, "unexpected-outcome"), "{outcome:?}");
    }
}

#[test]
fn what_another_owns_is_told_like_what_is_absent() {
    let (absent, anothers) = (concluded(Ok(Outcome::Absent)), concluded(Ok(Outcome::OwnedByAnother)));
    assert_eq!((absent.code, &absent.detail), (anothers.code, &anothers.detail));
    assert_eq!((absent.code.status(), absent.detail.as_str()), (404, "Learning not found"));
    assert_ne!(absent.rule, anothers.rule, "the audit record tells them apart");
}

#[test]
fn every_other_answer_of_storage_has_its_own() {
    use StorageErrorKind as Kind;
    for (answer, status, detail) in [
        (Ok(Outcome::Unowned), 403, "Only admins can modify learnings that have no owner (user_id is null)"),
        (Ok(Outcome::Changed), 500, "Failed to delete learning"),
        (Err(Kind::InvalidLearningId), 400, "The learning_id must be UTF-8, percent-encoded, and not overlong"),
        (Err(Kind::RepeatedParameter), 400, "The db_id and table query parameters may be given once each"),
        (Err(Kind::DatabaseRequired), 400, "The db_id query parameter is required when using multiple databases"),
        (Err(Kind::UnknownDatabase), 404, "No database found with id 'main'"),
        (Err(Kind::UnknownTable), 404, "No database with id 'main' has table 'learnings'"),
        (Err(Kind::Unsupported), 501, "Learnings not supported by the configured database"),
        (Err(Kind::Unavailable), 503, "The database is temporarily unavailable; nothing was deleted"),
        (Err(Kind::OutcomeUnknown), 500, "Failed to delete learning"),
        (Err(Kind::Internal), 500, "Failed to delete learning"),
    ] {
        let rejection = concluded(answer);
        assert_eq!((rejection.code.status(), rejection.detail.as_str()), (status, detail), "{answer:?}");
    }
}

#[test]
fn what_a_caller_sent_is_repeated_without_control_characters_and_not_without_end() {
    let long = "é".repeat(5000);
    let request = request(Some(&long), Some(&long));
    let rejection = conclude(&request, Asked::Any, Err(StorageErrorKind::UnknownTable)).expect_err("a refusal");
    assert!(rejection.detail.len() <= 1024, "{}", rejection.detail.len());
    assert!(rejection.detail.ends_with("é…'"));
    assert_eq!(quotable("a\u{7}b\nc"), "a\u{FFFD}b\u{FFFD}c");
    let exact = "x".repeat(400);
    assert_eq!(quotable(&exact), exact);
    assert_eq!(quotable(&"x".repeat(401)), exact + "…");
}
