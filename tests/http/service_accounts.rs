//! Service accounts: `agno_pat_…` tokens, in Agno's table.

use crate::support::accounts::{Account, create_table};
use crate::support::server::{Setup, TestServer};
use crate::support::token;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn now() -> i64 {
    token::now().cast_signed()
}

const INVALID: &str = "Invalid or expired service account token";

fn with_accounts(more: &str) -> Setup {
    let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n{more}\n", Setup::jwt().auth);
    Setup { auth, ..Setup::jwt() }
}

/// Starts a server whose database has Agno's table of service accounts.
fn start(setup: Setup) -> TestServer {
    let server = setup.start();
    create_table(&server.database("main"));
    server
}

/// Stores an account and returns its token.
fn account(server: &TestServer, name: &str, scopes: &str, expires_at: Option<i64>) -> String {
    let token = format!("agno_pat_{name}0123456789");
    let account = Account { expires_at, ..Account::new(name, &token, scopes) };
    account.store(&server.database("main").connect());
    token
}

#[test]
fn account_deletes_only_its_own_records_in_any_configuration() {
    let authorization = "enforce_scopes = false\nuser_isolation = false".to_owned();
    let server = start(Setup { authorization, ..with_accounts("") });
    let bot = account(&server, "bot", "[\"learnings:delete\"]", None);
    server.database("main").insert("bots_record", Some("sa:bot"));
    server.delete("/learnings/bots_record", Some(&bot)).assert_deleted();
    server.delete("/learnings/user_memory_alice", Some(&bot)).assert_error(404, "Learning not found", "NOT_FOUND");
    assert_eq!(server.delete("/learnings/entity_global_person_ada", Some(&bot)).status, 403);
    let audit = server.wait_for_log(&["audit", "deleted-as-owner"]);
    assert_eq!((audit["subject"].as_str(), audit["credential"].as_str()), (Some("sa:bot"), Some("service-account")));
    assert!(!server.log().contains(&bot), "the token is not in the log");

    let reader = account(&server, "reader", "[\"learnings:read\"]", None);
    assert_eq!(server.delete("/learnings/bots_record", Some(&reader)).status, 403);
    let admin = account(&server, "admin", "[\"agent_os:admin\"]", None);
    server.delete("/learnings/user_memory_alice", Some(&admin)).assert_deleted();
}

#[test]
fn unknown_revoked_and_expired_tokens_are_the_same_401() {
    let server = start(with_accounts("cache_seconds = 0"));
    server.delete("/learnings/x", Some("agno_pat_unknown")).assert_error(401, INVALID, "UNAUTHENTICATED");
    let expired = account(&server, "expired", "[\"learnings:delete\"]", Some(now() - 1));
    server.delete("/learnings/x", Some(&expired)).assert_error(401, INVALID, "UNAUTHENTICATED");
    let revoked = account(&server, "revoked", "[\"learnings:delete\"]", None);
    assert_eq!(server.delete("/learnings/x", Some(&revoked)).status, 404);
    server.database("main").execute("UPDATE agno_service_accounts SET revoked_at = 1 WHERE name = 'revoked'");
    server.delete("/learnings/x", Some(&revoked)).assert_error(401, INVALID, "UNAUTHENTICATED");
}

#[test]
fn valid_token_is_cached_until_it_expires() {
    let server = start(with_accounts(""));
    let bot = account(&server, "bot", "[\"learnings:delete\"]", Some(now() + 3));
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404);
    // The token is not looked up again: without the table, a lookup fails.
    server.database("main").execute("ALTER TABLE agno_service_accounts RENAME TO renamed");
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404);
    thread::sleep(Duration::from_secs(4));
    server.database("main").execute("ALTER TABLE renamed RENAME TO agno_service_accounts");
    server.delete("/learnings/x", Some(&bot)).assert_error(401, INVALID, "UNAUTHENTICATED");
}

#[test]
fn use_of_account_is_recorded_once_a_minute() {
    let server = start(with_accounts(""));
    let bot = account(&server, "bot", "[\"learnings:delete\"]", None);
    let before = now();
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404);
    let last_used = || {
        let sql = "SELECT coalesce(last_used_at, 0) FROM agno_service_accounts";
        server.database("main").connect().query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a row")
    };
    for _ in 0..100 {
        if last_used() >= before {
            // A further use within the same minute is not recorded.
            server.database("main").execute("UPDATE agno_service_accounts SET last_used_at = 1");
            assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404);
            thread::sleep(Duration::from_millis(200));
            assert_eq!(last_used(), 1);
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the use was not recorded");
}

#[test]
fn failed_tokens_are_429_and_valid_tokens_still_verify() {
    let server = start(with_accounts("cache_seconds = 0"));
    let bot = account(&server, "bot", "[\"learnings:delete\"]", None);
    let statuses: Vec<u16> =
        (0..25).map(|index| server.delete("/learnings/x", Some(&format!("agno_pat_bad{index}"))).status).collect();
    assert_eq!(statuses, [[401; 20].as_slice(), &[429; 5]].concat());
    let limited = server.delete("/learnings/x", Some("agno_pat_bad"));
    limited.assert_error(429, "Too many failed authentication attempts", "TOO_MANY_REQUESTS");
    // The window of the failure limiter.
    assert_eq!(limited.header("retry-after"), Some("60"));
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404, "a valid token from the same client is accepted");
    let token = token::user("alice");
    assert_eq!(server.delete("/learnings/x", Some(&token)).status, 404, "a JWT from the same client is accepted");
}

#[test]
fn missing_account_table_is_503() {
    let server = with_accounts("").start();
    let response = server.delete("/learnings/x", Some("agno_pat_any"));
    response.assert_error(503, "Authentication is temporarily unavailable", "SERVICE_UNAVAILABLE");
    assert_eq!(response.header("retry-after"), Some("1"));
    server.wait_for_log(&["account store unavailable", "no such table"]);
}

#[test]
fn account_scopes_that_are_not_strings_grant_nothing() {
    let server = start(with_accounts(""));
    for (index, scopes) in
        ["[]", "null", "{}", "\"agent_os:admin\"", "7", "[7, \"agent_os:admin\"]", "no JSON"].iter().enumerate()
    {
        let token = account(&server, &format!("bot{index}"), scopes, None);
        let response = server.delete("/learnings/decision_1", Some(&token));
        response.assert_error(403, "Insufficient permissions. Required scope(s): learnings:delete", "FORBIDDEN");
    }
}

#[test]
fn locked_database_does_not_delay_verification() {
    let server = start(Setup { settings: "sqlite.busy_timeout_ms = 5000".to_owned(), ..with_accounts("") });
    let first = account(&server, "first", "[\"learnings:delete\"]", None);
    let second = account(&server, "second", "[]", None);
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    // The use of the first account cannot be recorded while the lock is held. The second account is still found.
    let start = Instant::now();
    let (address, token) = (server.address, first.clone());
    let waiting = thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.delete(format!("http://{address}/learnings/x"));
        request.header("authorization", format!("Bearer {token}")).call().expect("a response").status()
    });
    thread::sleep(Duration::from_millis(300));
    assert_eq!(server.delete("/learnings/x", Some(&second)).status, 403);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    lock.execute_batch("COMMIT").expect("the lock can be released");
    assert_eq!(waiting.join().expect("a response"), 404);
}

#[test]
fn concurrent_failed_tokens_do_not_block_a_valid_token() {
    let server = start(with_accounts("cache_seconds = 0"));
    let bot = account(&server, "bot", "[\"learnings:delete\"]", None);
    let stop = AtomicBool::new(false);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..8 {
            let (server, stop, failed) = (&server, &stop, &failed);
            scope.spawn(move || {
                for index in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let status = server.delete("/learnings/x", Some(&format!("agno_pat_{worker}_{index}"))).status;
                    assert!(status == 401 || status == 429, "{status}");
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..40 {
            let response = server.delete("/learnings/x", Some(&bot));
            stop.fetch_or(response.status != 404, Ordering::Relaxed);
            assert_eq!(response.status, 404, "{response:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(failed.into_inner() > 40);
}

#[test]
fn service_accounts_work_with_a_security_key() {
    let auth = "mode = \"security-key\"\nsecurity_key = \"the key\"\n[auth.service_accounts]\ndatabase = \"main\"\n";
    let server = start(Setup::with_auth(auth));
    let bot = account(&server, "bot", "[\"learnings:delete\"]", None);
    assert_eq!(server.delete("/learnings/entity_global_person_ada", Some(&bot)).status, 403);
    server.delete("/learnings/entity_global_person_ada", Some("the key")).assert_deleted();
}
