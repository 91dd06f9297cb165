//! The rules of the specification, one by one, on a host that records the calls of the policy.

use super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use delete_learning_sdk::testing::{Call, admin, alice, run as poll_once};
use delete_learning_sdk::{Learning, Target};
use std::sync::Mutex;

/// A host with a fixed caller and a fixed result for every method of storage.
struct TestHost {
    caller: Result<Caller, IdentityError>,
    storage: Result<Outcome, StorageErrorKind>,
    message: String,
    calls: Mutex<Vec<Call>>,
}

impl TestHost {
    fn new(caller: Result<Caller, IdentityError>, storage: Result<Outcome, StorageErrorKind>) -> Self {
        Self { caller, storage, message: "for the log".to_string(), calls: Mutex::default() }
    }

    fn record_call(&self, call: Call) -> Result<Outcome, StorageError> {
        self.calls.lock().unwrap().push(call);
        self.storage.map_err(|kind| StorageError { kind, message: self.message.clone() })
    }

    /// Runs the policy. Returns its answer and its calls after [`Call::Caller`], which is always the first one.
    fn run(self, request: &DeleteRequest) -> (Result<(), Rejection>, Vec<Call>) {
        let answer = poll_once(delete_learning(request, &self));
        let mut calls = self.calls.into_inner().unwrap();
        assert_eq!(calls.remove(0), Call::Caller);
        (answer, calls)
    }
}

impl PolicyHost for TestHost {
    async fn caller(&self) -> Result<Caller, IdentityError> {
        self.calls.lock().unwrap().push(Call::Caller);
        self.caller.clone()
    }

    async fn locate(&self) -> Result<Target, StorageError> {
        self.record_call(Call::Locate)?;
        Ok(Target { database: "main".to_string(), table: "learnings".to_string() })
    }

    async fn find(&self) -> Result<Option<Learning>, StorageError> {
        self.record_call(Call::Find)?;
        Ok(None)
    }

    async fn delete(&self) -> Result<Outcome, StorageError> {
        self.record_call(Call::Delete)
    }

    async fn delete_if_owned_by(&self, user_id: &str) -> Result<Outcome, StorageError> {
        self.record_call(Call::DeleteIfOwnedBy(user_id.to_string()))
    }

    async fn delete_if_unchanged(&self, revision: &str) -> Result<Outcome, StorageError> {
        self.record_call(Call::DeleteIfUnchanged(revision.to_string()))
    }
}

fn request(db_id: Option<&str>, table: Option<&str>) -> DeleteRequest {
    DeleteRequest {
        learning_id: "user_memory_7".to_string(),
        db_id: db_id.map(str::to_string),
        table: table.map(str::to_string),
    }
}

/// A service account with the scope, in a deployment that neither enforces scopes nor isolates users.
fn service_account() -> Caller {
    Caller {
        credential: Credential::ServiceAccount,
        subject: Some("sa:bot".to_string()),
        scopes_optional: true,
        all_owners: true,
        ..alice()
    }
}

fn scopes(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

/// The request without parameters, on a host that deletes the record.
fn run(caller: Caller) -> (Result<(), Rejection>, Vec<Call>) {
    TestHost::new(Ok(caller), Ok(Outcome::Deleted)).run(&request(None, None))
}

/// A request with `db_id=main&table=learnings`, on a host whose storage returns `result`.
fn run_with_storage(caller: Caller, result: Result<Outcome, StorageErrorKind>) -> Result<(), Rejection> {
    TestHost::new(Ok(caller), result).run(&request(Some("main"), Some("learnings"))).0
}

#[track_caller]
fn assert_deletes_all_records(caller: Caller) {
    assert_eq!(run(caller), (Ok(()), [Call::Delete].to_vec()));
}

#[track_caller]
fn assert_deletes_own_records(caller: Caller, user_id: &str) {
    assert_eq!(run(caller), (Ok(()), [Call::DeleteIfOwnedBy(user_id.to_string())].to_vec()));
}

/// Asserts on status and rule of a rejection, and on the status that belongs to its code.
#[track_caller]
fn assert_rejected(answer: &Result<(), Rejection>, status: u16, rule: &str) {
    let rejection = answer.as_ref().expect_err("a rejection");
    assert_eq!((rejection.status, rejection.code.status(), &*rejection.rule), (status, status, rule));
}

#[track_caller]
fn assert_rejected_without_calls((answer, calls): &(Result<(), Rejection>, Vec<Call>), status: u16, rule: &str) {
    assert_rejected(answer, status, rule);
    assert_eq!(*calls, []);
}

// 1. The caller.

#[test]
fn identity_error_is_rejected_without_storage_calls() {
    use Credential::{Jwt, SecurityKey, ServiceAccount};
    use IdentityErrorKind as Kind;
    for (kind, credential, status, rule, detail) in [
        (Kind::Missing, Jwt, 401, "identity-missing", "Authorization header missing"),
        (Kind::Missing, SecurityKey, 401, "identity-missing", "Authorization header required"),
        (Kind::Malformed, Jwt, 401, "identity-malformed", "Authorization header must be one 'Bearer <token>'"),
        (Kind::Invalid, Jwt, 401, "identity-invalid", "Invalid token"),
        (Kind::Invalid, SecurityKey, 401, "identity-invalid", "Invalid authentication token"),
        (Kind::Invalid, ServiceAccount, 401, "identity-invalid", "Invalid or expired service account token"),
        (Kind::Expired, ServiceAccount, 401, "identity-invalid", "Invalid or expired service account token"),
        (Kind::Expired, Jwt, 401, "identity-expired", "Token has expired"),
        (
            Kind::WrongAudience,
            Jwt,
            401,
            "identity-wrong-audience",
            "Invalid token audience - token not valid for this AgentOS instance",
        ),
        (Kind::ReservedSubject, Jwt, 401, "identity-reserved-subject", "Invalid token subject"),
        (
            Kind::NotEnabled,
            ServiceAccount,
            401,
            "identity-not-enabled",
            "Service accounts are not enabled on this AgentOS instance",
        ),
        (
            Kind::NotEnabled,
            Jwt,
            401,
            "identity-not-enabled",
            "This kind of credential is not enabled on this AgentOS instance",
        ),
        (Kind::RateLimited, ServiceAccount, 429, "identity-rate-limited", "Too many failed authentication attempts"),
        (Kind::Unavailable, ServiceAccount, 503, "identity-unavailable", "Authentication is temporarily unavailable"),
        (Kind::Internal, Jwt, 500, "identity-failed", "Internal server error"),
    ] {
        let error = IdentityError { kind, credential, message: "for the log".to_string() };
        let result = TestHost::new(Err(error), Ok(Outcome::Deleted)).run(&request(None, None));
        assert_rejected_without_calls(&result, status, rule);
        assert_eq!(result.0.unwrap_err().detail, detail, "{kind:?} {credential:?}");
    }
}

// 2. The scope.

#[test]
fn scope_in_either_form_is_accepted() {
    for scope in ["learnings:delete", "learnings:*:delete"] {
        assert_deletes_own_records(Caller { scopes: scopes(&["other", scope]), ..alice() }, "alice");
    }
}

#[test]
fn scope_in_another_form_is_refused() {
    for scope in [
        "learnings:a:delete",
        "learnings:read",
        "learnings:*",
        "learnings:delete ",
        "LEARNINGS:DELETE",
        "*",
        "",
        "agent_os",
        "learnings:delete learnings:read",
    ] {
        let result = run(Caller { scopes: scopes(&["other", scope]), ..alice() });
        assert_rejected_without_calls(&result, 403, "missing-scope");
        let detail = "Insufficient permissions. Required scope(s): learnings:delete";
        assert_eq!(result.0.unwrap_err().detail, detail, "{scope}");
    }
}

#[test]
fn token_without_scope_is_accepted_if_scopes_are_not_enforced() {
    assert_deletes_own_records(Caller { scopes: scopes(&[]), scopes_optional: true, ..alice() }, "alice");
}

#[test]
fn service_account_without_scope_is_always_refused() {
    let result = run(Caller { scopes: scopes(&[]), ..service_account() });
    assert_rejected_without_calls(&result, 403, "missing-scope");
}

#[test]
fn renamed_admin_scope_replaces_the_default() {
    let caller = Caller { admin_scope: "root".to_string(), ..admin() };
    assert_rejected_without_calls(&run(caller.clone()), 403, "missing-scope");
    assert_deletes_all_records(Caller { scopes: scopes(&["root"]), ..caller });
}

#[test]
fn empty_admin_scope_makes_no_caller_an_administrator() {
    let caller = Caller { admin_scope: String::new(), scopes: scopes(&[""]), ..alice() };
    assert_rejected_without_calls(&run(caller), 403, "missing-scope");
}

// 3. The parameters of the request.

#[test]
fn table_without_database_is_refused() {
    for db_id in [None, Some("")] {
        let host = TestHost::new(Ok(alice()), Ok(Outcome::Deleted));
        let result = host.run(&request(db_id, Some("learnings")));
        assert_rejected_without_calls(&result, 400, "table-without-database");
        let detail = "The db_id query parameter is required when passing a table";
        assert_eq!(result.0.unwrap_err().detail, detail);
    }
}

#[test]
fn empty_parameter_counts_as_absent() {
    for (db_id, table) in [
        (None, Some("")),
        (Some(""), None),
        (Some(""), Some("")),
        (Some("main"), Some("")),
        (Some("main"), Some("learnings")),
        (Some("main"), None),
    ] {
        let host = TestHost::new(Ok(alice()), Ok(Outcome::Deleted));
        let expected = (Ok(()), [Call::DeleteIfOwnedBy("alice".to_string())].to_vec());
        assert_eq!(host.run(&request(db_id, table)), expected, "{db_id:?} {table:?}");
    }
}

// 4. The target, and failures of storage.

#[test]
fn storage_error_is_rejected_for_every_call() {
    use StorageErrorKind as Kind;
    let without_subject = Caller { subject: None, ..alice() };
    for (kind, status, rule, detail) in [
        (
            Kind::InvalidLearningId,
            400,
            "invalid-learning-id",
            "The learning_id must be UTF-8, percent-encoded, and not overlong",
        ),
        (
            Kind::RepeatedParameter,
            400,
            "repeated-parameter",
            "The db_id and table query parameters may be given once each",
        ),
        (
            Kind::DatabaseRequired,
            400,
            "database-required",
            "The db_id query parameter is required when using multiple databases",
        ),
        (Kind::UnknownDatabase, 404, "unknown-database", "No database found with id 'main'"),
        (Kind::UnknownTable, 404, "unknown-table", "No database with id 'main' has table 'learnings'"),
        (Kind::Unsupported, 501, "unsupported-database", "Learnings not supported by the configured database"),
        (Kind::Unavailable, 503, "storage-unavailable", "The database is temporarily unavailable; nothing was deleted"),
        (Kind::OutcomeUnknown, 500, "outcome-unknown", "Failed to delete learning"),
        (Kind::Internal, 500, "storage-failed", "Failed to delete learning"),
    ] {
        for caller in [alice(), admin(), without_subject.clone()] {
            let answer = run_with_storage(caller, Err(kind));
            assert_rejected(&answer, status, rule);
            assert_eq!(answer.unwrap_err().detail, detail);
        }
    }
}

#[test]
fn denial_is_rejected_with_its_message_if_a_detail_can_contain_it() {
    const FIXED: &str = "This learning cannot be deleted";
    let (long, too_long) = ("é".repeat(512), "é".repeat(512) + "x");
    for (message, detail) in [
        ("Under legal hold until 2027", "Under legal hold until 2027"),
        (long.as_str(), long.as_str()),
        (too_long.as_str(), FIXED),
        ("", FIXED),
        ("two\nlines", FIXED),
        ("\u{7f}", FIXED),
        ("\u{85}", FIXED),
    ] {
        for caller in [alice(), admin()] {
            let host =
                TestHost { message: message.to_string(), ..TestHost::new(Ok(caller), Err(StorageErrorKind::Denied)) };
            let answer = host.run(&request(None, None)).0;
            assert_rejected(&answer, 403, "deletion-denied");
            assert_eq!(answer.unwrap_err().detail, detail);
        }
    }
}

#[test]
fn unknown_target_without_parameters_is_rejected_with_empty_names() {
    let host = TestHost::new(Ok(admin()), Err(StorageErrorKind::UnknownTable));
    let rejection = host.run(&request(None, None)).0.unwrap_err();
    assert_eq!(rejection.detail, "No database with id '' has table ''");
}

// 5. The records that the caller can delete.

#[test]
fn isolated_user_deletes_own_records() {
    assert_deletes_own_records(alice(), "alice");
}

#[test]
fn user_without_isolation_deletes_all_records() {
    let caller = Caller { all_owners: true, ..alice() };
    assert_deletes_all_records(Caller { subject: None, ..caller.clone() });
    assert_deletes_all_records(caller);
}

#[test]
fn service_account_deletes_own_records_without_isolation() {
    assert_deletes_own_records(service_account(), "sa:bot");
}

#[test]
fn administrator_deletes_all_records() {
    assert_deletes_all_records(admin());
    assert_deletes_all_records(Caller { scopes_optional: true, ..admin() });
    assert_deletes_all_records(Caller { subject: None, ..admin() });
    assert_deletes_all_records(Caller { scopes: scopes(&["agent_os:admin"]), ..service_account() });
}

#[test]
fn caller_without_scopes_deletes_all_records_by_credential() {
    for credential in [Credential::SecurityKey, Credential::None] {
        assert_deletes_all_records(Caller { credential, subject: None, scopes: scopes(&[]), ..alice() });
    }
}

#[test]
fn confined_caller_without_subject_is_refused_without_delete() {
    for caller in [alice(), service_account()] {
        for subject in [None, Some(String::new())] {
            let (answer, calls) = run(Caller { subject, ..caller.clone() });
            assert_rejected(&answer, 403, "missing-subject");
            assert_eq!(answer.unwrap_err().detail, "Authenticated request is missing a user identity");
            assert_eq!(calls, [Call::Locate]);
        }
    }
}

// 6. The record.

#[test]
fn delete_of_absent_record_is_not_found() {
    for caller in [alice(), admin()] {
        let answer = run_with_storage(caller, Ok(Outcome::Absent));
        assert_rejected(&answer, 404, "learning-absent");
        assert_eq!(answer.unwrap_err().detail, "Learning not found");
    }
}

#[test]
fn delete_of_unowned_record_is_refused() {
    let answer = run_with_storage(alice(), Ok(Outcome::Unowned));
    assert_rejected(&answer, 403, "learning-unowned");
    let detail = "Only admins can modify learnings that have no owner (user_id is null)";
    assert_eq!(answer.unwrap_err().detail, detail);
}

#[test]
fn record_of_another_owner_looks_absent() {
    let answer = run_with_storage(alice(), Ok(Outcome::OwnedByAnother));
    assert_rejected(&answer, 404, "learning-owned-by-another");
    let absent = run_with_storage(alice(), Ok(Outcome::Absent)).unwrap_err();
    // The rule differs for the audit log; callers never see it.
    assert_eq!(Rejection { rule: absent.rule.clone(), ..answer.unwrap_err() }, absent);
}

#[test]
fn outcome_of_another_condition_is_a_failure() {
    for (caller, outcome) in [
        (alice(), Outcome::Changed),
        (admin(), Outcome::Unowned),
        (admin(), Outcome::OwnedByAnother),
        (admin(), Outcome::Changed),
    ] {
        let answer = run_with_storage(caller, Ok(outcome));
        assert_rejected(&answer, 500, "unexpected-outcome");
        assert_eq!(answer.unwrap_err().detail, "Failed to delete learning");
    }
}

// The order of the rules.

#[test]
fn first_matching_rule_decides() {
    let storage = Err(StorageErrorKind::UnknownTable);
    let table_without_database = request(None, Some("learnings"));

    let error = IdentityError { kind: IdentityErrorKind::Missing, credential: Credential::Jwt, message: String::new() };
    let result = TestHost::new(Err(error), storage).run(&table_without_database);
    assert_rejected_without_calls(&result, 401, "identity-missing");

    let without_scope_or_subject = Caller { scopes: scopes(&[]), subject: None, ..alice() };
    let result = TestHost::new(Ok(without_scope_or_subject), storage).run(&table_without_database);
    assert_rejected_without_calls(&result, 403, "missing-scope");

    let without_subject = Caller { subject: None, ..alice() };
    let result = TestHost::new(Ok(without_subject.clone()), storage).run(&table_without_database);
    assert_rejected_without_calls(&result, 400, "table-without-database");

    let (answer, calls) = TestHost::new(Ok(without_subject), storage).run(&request(Some("main"), Some("learnings")));
    assert_rejected(&answer, 404, "unknown-table");
    assert_eq!(calls, [Call::Locate]);
}

// The text of a rejection.

#[test]
fn long_parameters_are_truncated_in_the_detail() {
    let long = "é".repeat(5000);
    let host = TestHost::new(Ok(alice()), Err(StorageErrorKind::UnknownTable));
    let rejection = host.run(&request(Some(&long), Some(&long))).0.unwrap_err();
    let shortened = "é".repeat(200) + "…";
    assert_eq!(rejection.detail, alloc::format!("No database with id '{shortened}' has table '{shortened}'"));
    assert!(rejection.detail.len() <= 1024);
}

#[test]
fn sanitize_replaces_control_characters() {
    assert_eq!(sanitize("a\u{7}b\nc"), "a\u{FFFD}b\u{FFFD}c");
}

#[test]
fn sanitize_truncates_text_above_400_bytes() {
    let longest = "x".repeat(400);
    assert_eq!(sanitize(&longest), longest);
    assert_eq!(sanitize(&"x".repeat(401)), longest + "…");
}

// The function.

#[test]
fn future_is_send_for_a_shared_host() {
    fn require_send<T: Send>(_: T) {}
    fn require_send_for_every_host<H: PolicyHost + Send + Sync>(request: &DeleteRequest, host: &H) {
        require_send(delete_learning(request, host));
    }
    require_send_for_every_host(&request(None, None), &TestHost::new(Ok(alice()), Ok(Outcome::Deleted)));
}
