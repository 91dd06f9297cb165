//! Service accounts: the tokens of machines, from Agno's own table.

use crate::support::accounts::{Account, make_table};
use crate::support::server::{Host, Setup};
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

/// Starts a host whose database has Agno's table of service accounts.
fn start(setup: Setup) -> Host {
    let host = setup.start();
    make_table(&host.database("main"));
    host
}

/// Stores an account of this name, and returns its token.
fn account(host: &Host, name: &str, scopes: &str, expires_at: Option<i64>) -> String {
    let token = format!("agno_pat_{name}0123456789");
    let account = Account { expires_at, ..Account::new(name, &token, scopes) };
    account.store(&host.database("main").connect());
    token
}

#[test]
fn an_account_deletes_its_own_records_and_no_others_whatever_the_deployment_enforces() {
    let authorization = "enforce_scopes = false\nuser_isolation = false".to_owned();
    let host = start(Setup { authorization, ..with_accounts("") });
    let bot = account(&host, "bot", "[\"learnings:delete\"]", None);
    host.database("main").insert("of_the_bot", Some("sa:bot"));
    host.delete("/learnings/of_the_bot", Some(&bot)).is_deleted();
    host.delete("/learnings/user_memory_alice", Some(&bot)).is_error(404, "Learning not found", "NOT_FOUND");
    assert_eq!(host.delete("/learnings/entity_global_person_ada", Some(&bot)).status, 403);
    let audit = host.logged(&["audit", "deleted-as-owner"]);
    assert_eq!((audit["subject"].as_str(), audit["credential"].as_str()), (Some("sa:bot"), Some("service-account")));
    assert!(!host.log().contains(&bot), "the token is in no log");

    let powerless = account(&host, "reader", "[\"learnings:read\"]", None);
    assert_eq!(host.delete("/learnings/of_the_bot", Some(&powerless)).status, 403);
    let admin = account(&host, "admin", "[\"agent_os:admin\"]", None);
    host.delete("/learnings/user_memory_alice", Some(&admin)).is_deleted();
}

#[test]
fn a_token_that_is_unknown_revoked_or_expired_is_401_in_the_same_words() {
    let host = start(with_accounts("cache_seconds = 0"));
    host.delete("/learnings/x", Some("agno_pat_unknown")).is_error(401, INVALID, "UNAUTHENTICATED");
    let expired = account(&host, "expired", "[\"learnings:delete\"]", Some(now() - 1));
    host.delete("/learnings/x", Some(&expired)).is_error(401, INVALID, "UNAUTHENTICATED");
    let revoked = account(&host, "revoked", "[\"learnings:delete\"]", None);
    assert_eq!(host.delete("/learnings/x", Some(&revoked)).status, 404);
    host.database("main").execute("UPDATE agno_service_accounts SET revoked_at = 1 WHERE name = 'revoked'");
    host.delete("/learnings/x", Some(&revoked)).is_error(401, INVALID, "UNAUTHENTICATED");
}

#[test]
fn a_valid_token_is_remembered_and_its_expiry_heeded_all_the_same() {
    let host = start(with_accounts(""));
    let bot = account(&host, "bot", "[\"learnings:delete\"]", Some(now() + 3));
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404);
    // It is not asked for again: the store could not answer.
    host.database("main").execute("ALTER TABLE agno_service_accounts RENAME TO away");
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404);
    thread::sleep(Duration::from_secs(4));
    host.database("main").execute("ALTER TABLE away RENAME TO agno_service_accounts");
    host.delete("/learnings/x", Some(&bot)).is_error(401, INVALID, "UNAUTHENTICATED");
}

#[test]
fn the_use_of_an_account_is_noted() {
    let host = start(with_accounts(""));
    let bot = account(&host, "bot", "[\"learnings:delete\"]", None);
    let before = now();
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404);
    let last_used = || {
        let sql = "SELECT coalesce(last_used_at, 0) FROM agno_service_accounts";
        host.database("main").connect().query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a row")
    };
    for _ in 0..100 {
        if last_used() >= before {
            // And within a minute not again.
            host.database("main").execute("UPDATE agno_service_accounts SET last_used_at = 1");
            assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404);
            thread::sleep(Duration::from_millis(200));
            assert_eq!(last_used(), 1);
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("its use was not noted");
}

#[test]
fn a_flood_of_bad_tokens_is_429_and_locks_nobody_out() {
    let host = start(with_accounts("cache_seconds = 0"));
    let bot = account(&host, "bot", "[\"learnings:delete\"]", None);
    let statuses: Vec<u16> =
        (0..25).map(|index| host.delete("/learnings/x", Some(&format!("agno_pat_bad{index}"))).status).collect();
    assert_eq!(statuses, [[401; 20].as_slice(), &[429; 5]].concat());
    let limited = host.delete("/learnings/x", Some("agno_pat_bad"));
    limited.is_error(429, "Too many failed authentication attempts", "TOO_MANY_REQUESTS");
    // By then they are counted anew.
    assert_eq!(limited.header("retry-after"), Some("60"));
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404, "a valid token from the same client is taken");
    let token = token::user("alice");
    assert_eq!(host.delete("/learnings/x", Some(&token)).status, 404, "and so is one of another kind");
}

#[test]
fn a_store_that_cannot_be_asked_is_503() {
    let host = with_accounts("").start();
    let answer = host.delete("/learnings/x", Some("agno_pat_any"));
    answer.is_error(503, "Authentication is temporarily unavailable", "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
    host.logged(&["account store unavailable", "no such table"]);
}

#[test]
fn scopes_that_are_no_list_of_texts_are_told_like_missing_ones() {
    let host = start(with_accounts(""));
    for (index, scopes) in
        ["[]", "null", "{}", "\"agent_os:admin\"", "7", "[7, \"agent_os:admin\"]", "no JSON"].iter().enumerate()
    {
        let token = account(&host, &format!("bot{index}"), scopes, None);
        let answer = host.delete("/learnings/decision_1", Some(&token));
        answer.is_error(403, "Insufficient permissions. Required scope(s): learnings:delete", "FORBIDDEN");
    }
}

#[test]
fn a_lock_that_another_process_holds_keeps_no_token_from_being_verified() {
    let host = start(Setup { settings: "sqlite.busy_timeout_ms = 5000".to_owned(), ..with_accounts("") });
    let first = account(&host, "first", "[\"learnings:delete\"]", None);
    let second = account(&host, "second", "[]", None);
    let lock = host.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    // The use of the first cannot be noted meanwhile; the second is found all the same.
    let begun = Instant::now();
    let (address, token) = (host.address, first.clone());
    let waiting = thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.delete(format!("http://{address}/learnings/x"));
        request.header("authorization", format!("Bearer {token}")).call().expect("an answer").status()
    });
    thread::sleep(Duration::from_millis(300));
    assert_eq!(host.delete("/learnings/x", Some(&second)).status, 403);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    lock.execute_batch("COMMIT").expect("the lock can be given back");
    assert_eq!(waiting.join().expect("an answer"), 404);
}

#[test]
fn a_flood_from_many_connections_does_not_keep_a_new_token_from_being_verified() {
    let host = start(with_accounts("cache_seconds = 0"));
    let bot = account(&host, "bot", "[\"learnings:delete\"]", None);
    let is_over = AtomicBool::new(false);
    let flooded = AtomicUsize::new(0);
    thread::scope(|scope| {
        for flooder in 0..8 {
            let (host, is_over, flooded) = (&host, &is_over, &flooded);
            scope.spawn(move || {
                for index in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let status = host.delete("/learnings/x", Some(&format!("agno_pat_{flooder}_{index}"))).status;
                    assert!(status == 401 || status == 429, "{status}");
                    flooded.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..100 {
            let answer = host.delete("/learnings/x", Some(&bot));
            is_over.fetch_or(answer.status != 404, Ordering::Relaxed);
            assert_eq!(answer.status, 404, "{answer:?}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(flooded.into_inner() > 100);
}

#[test]
fn service_accounts_stand_beside_the_security_key_too() {
    let auth = "mode = \"security-key\"\nsecurity_key = \"the key\"\n[auth.service_accounts]\ndatabase = \"main\"\n";
    let host = start(Setup::with_auth(auth));
    let bot = account(&host, "bot", "[\"learnings:delete\"]", None);
    assert_eq!(host.delete("/learnings/entity_global_person_ada", Some(&bot)).status, 403);
    host.delete("/learnings/entity_global_person_ada", Some("the key")).is_deleted();
}
