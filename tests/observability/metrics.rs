//! The metrics have the values of what happened, and nothing else.

use super::Monitored;
use crate::malicious_policies::text;
use crate::support::accounts::{Account, create_table};
use crate::support::exposition::{exposition, value};
use crate::support::load::HttpClient;
use crate::support::server::Setup;
use crate::support::token::{SECRET, admin, now, user, with_claims};
use delete_learning_server::telemetry::metrics::RequestMetrics;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn request_whose_task_failed_is_counted_as_failed() {
    let requests = Arc::new(RequestMetrics::default());
    requests.record_failure(Duration::from_millis(5));
    let text = exposition(&requests, Vec::new());
    for series in [
        r#"delete_learning_requests_total{status="500",rule="request-failed"}"#,
        r#"delete_learning_request_duration_seconds_count{outcome="failed"}"#,
        r#"delete_learning_records_total{outcome="unknown"}"#,
    ] {
        assert_eq!(value(&text, series), "1");
    }
}

#[test]
fn requests_are_counted_by_status_and_rule() {
    let monitored = Monitored::start(Setup::jwt());
    let server = &monitored.server;
    let (alice, expired) = (user("alice"), with_claims(json!({ "sub": "alice", "exp": now() - 3600 })));
    for (target, token, status) in [
        ("user_profile_alice@example.com", Some(&alice), 204),
        ("user_profile_alice@example.com", Some(&alice), 404),
        ("user_profile_alice@example.com", Some(&alice), 404),
        ("a?db_id=unknown", Some(&alice), 404),
        ("a", None, 401),
        ("a", Some(&expired), 401),
    ] {
        assert_eq!(
            server.delete(&format!("/learnings/{target}"), token.map(String::as_str)).status,
            status,
            "{target}"
        );
    }
    // Neither is a request to delete a learning.
    assert_eq!(server.request("GET", "/learnings/a", &[]).status, 405);
    assert_eq!(server.request("DELETE", "/unknown", &[]).status, 404);
    let scrape = monitored.scrape();
    let total = r#"delete_learning_requests_total{status="#;
    scrape.assert_values(&[
        (&format!(r#"{total}"204",rule="deleted-as-owner"}}"#), 1.0),
        (&format!(r#"{total}"404",rule="learning-absent"}}"#), 2.0),
        (&format!(r#"{total}"401",rule="identity-missing"}}"#), 1.0),
        (&format!(r#"{total}"401",rule="identity-expired"}}"#), 1.0),
        (r#"delete_learning_request_duration_seconds_count{outcome="deleted"}"#, 1.0),
        (r#"delete_learning_request_duration_seconds_count{outcome="refused"}"#, 5.0),
        (r#"delete_learning_request_duration_seconds_count{outcome="failed"}"#, 0.0),
        ("delete_learning_decision_duration_seconds_count", 6.0),
        (r#"delete_learning_decision_duration_seconds_bucket{le="+Inf"}"#, 6.0),
        (r#"delete_learning_records_total{outcome="deleted"}"#, 1.0),
        (r#"delete_learning_records_total{outcome="not-deleted"}"#, 5.0),
        (r#"delete_learning_records_total{outcome="unknown"}"#, 0.0),
        (r#"delete_learning_authentication_errors_total{credential="jwt",kind="missing"}"#, 1.0),
        (r#"delete_learning_authentication_errors_total{credential="jwt",kind="expired"}"#, 1.0),
        (r#"delete_learning_credential_cache_requests_total{credential="jwt",result="hit"}"#, 3.0),
        (r#"delete_learning_credential_cache_requests_total{credential="jwt",result="miss"}"#, 2.0),
        ("delete_learning_instances", 0.0),
        ("delete_learning_instances_max", 256.0),
    ]);
    assert!((scrape.sum("delete_learning_requests_total") - 6.0).abs() < 1e-9, "{:#?}", scrape.samples);
    let time = scrape.sum("delete_learning_request_duration_seconds_sum");
    let decisions = scrape.value("delete_learning_decision_duration_seconds_sum");
    assert!(decisions > 0.0 && decisions < time && time < 60.0, "{decisions} of {time} seconds");
    let start = scrape.value("process_start_time_seconds");
    assert!((start - now() as f64).abs() < 300.0, "{start}");
}

#[test]
fn concurrent_deletes_are_counted_once_each() {
    const CLIENTS: usize = 8;
    const DELETES: usize = 40;
    let monitored = Monitored::start(Setup::jwt());
    let database = monitored.server.database("main");
    (0..CLIENTS * DELETES).for_each(|number| database.insert(&format!("record-{number}"), Some("alice")));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut http = HttpClient::new(&monitored.server, &user("alice"));
            scope.spawn(move || {
                for number in 0..DELETES {
                    let reply = http.delete(&format!("/learnings/record-{}", client * DELETES + number));
                    assert_eq!(reply.expect("a response").status, 204);
                }
            });
        }
    });
    let scrape = monitored.scrape();
    let (all, table) = ((CLIENTS * DELETES) as f64, r#"{db_id="main",table="agno_learnings""#);
    scrape.assert_values(&[
        (r#"delete_learning_requests_total{status="204",rule="deleted-as-owner"}"#, all),
        (r#"delete_learning_request_duration_seconds_count{outcome="deleted"}"#, all),
        (&format!(r#"delete_learning_storage_duration_seconds_count{table},operation="delete"}}"#), all),
        (&format!(r#"delete_learning_storage_duration_seconds_count{table},operation="find"}}"#), 0.0),
        (&format!("delete_learning_storage_batch_deletes_sum{table}}}"), all),
        (&format!(r#"delete_learning_storage_errors_total{table},kind="unavailable"}}"#), 0.0),
        (&format!("delete_learning_database_up{table}}}"), 1.0),
        (&format!("delete_learning_database_requests{table}}}"), 0.0),
        (&format!("delete_learning_database_requests_max{table}}}"), 192.0),
    ]);
    let batches = scrape.value(&format!("delete_learning_storage_batch_deletes_count{table}}}"));
    assert!((1.0..=all).contains(&batches), "{batches} batches");
    let wal = scrape.value(&format!("delete_learning_sqlite_wal_bytes{table}}}"));
    let file = scrape.value(&format!("delete_learning_sqlite_wal_file_bytes{table}}}"));
    assert!(wal > 4096.0 && wal % 4096.0 == 0.0 && file >= wal, "{wal} bytes in a file of {file} bytes");
    println!("{all} deletes in {batches} batches; the WAL has {wal} bytes");
}

#[test]
fn locked_database_is_counted_as_an_error() {
    let settings = "sqlite.busy_timeout_ms = 100\n".to_owned();
    let monitored = Monitored::start(Setup { settings, ..Setup::jwt() });
    monitored.server.database("main").insert("locked", Some("alice"));
    let connection = monitored.server.database("main").connect();
    connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    assert_eq!(monitored.server.delete("/learnings/locked", Some(&user("alice"))).status, 503);
    connection.execute_batch("ROLLBACK").expect("the lock is released");
    let scrape = monitored.scrape();
    scrape.assert_values(&[
        (r#"delete_learning_storage_errors_total{db_id="main",table="agno_learnings",kind="unavailable"}"#, 1.0),
        (r#"delete_learning_request_duration_seconds_count{outcome="failed"}"#, 1.0),
    ]);
}

#[test]
fn service_accounts_hit_the_cache() {
    let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n", Setup::jwt().auth);
    let monitored = Monitored::start(Setup { auth, ..Setup::jwt() });
    let token = "agno_pat_metrics0123456789";
    let database = monitored.server.database("main");
    create_table(&database);
    Account::new("bot", token, r#"["learnings:delete"]"#).store(&database.connect());
    for _ in 0..3 {
        assert_eq!(monitored.server.delete("/learnings/absent", Some(token)).status, 404);
    }
    assert_eq!(monitored.server.delete("/learnings/absent", Some("agno_pat_unknown")).status, 401);
    let cache = r#"delete_learning_credential_cache_requests_total{credential="service-account",result="#;
    monitored.scrape().assert_values(&[
        (&format!(r#"{cache}"hit"}}"#), 2.0),
        (&format!(r#"{cache}"miss"}}"#), 2.0),
        (r#"delete_learning_authentication_errors_total{credential="service-account",kind="invalid"}"#, 1.0),
    ]);
}

#[test]
fn violations_are_counted_by_kind() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("traps.wasm");
    let policy = include_str!("../malicious_policies/traps_after_deleting.wat");
    std::fs::write(&file, text::bytes(policy)).expect("the policy");
    let monitored = Monitored::start(Setup { policy: Some(file.display().to_string()), ..Setup::without_auth() });
    monitored.server.database("main").insert("victim", None);
    for target in ["victim", "absent"] {
        assert_eq!(monitored.server.delete(&format!("/learnings/{target}"), None).status, 500);
    }
    monitored.scrape().assert_values(&[
        (r#"delete_learning_policy_violations_total{component="policy",kind="trap"}"#, 2.0),
        (r#"delete_learning_policy_violations_total{component="guard",kind="trap"}"#, 0.0),
        (r#"delete_learning_requests_total{status="500",rule="policy-error"}"#, 2.0),
        (r#"delete_learning_records_total{outcome="deleted"}"#, 1.0),
        ("delete_learning_queue_timeouts_total", 0.0),
    ]);
}

/// With one instance, a request that waits for a locked database holds it, and the next finds none.
#[test]
fn queue_timeout_is_counted() {
    let settings = "sandbox.max_concurrent_instances = 1\nsandbox.queue_timeout_ms = 50\n\
                    sandbox.execution_timeout_ms = 5000\nsqlite.busy_timeout_ms = 3000\n";
    let monitored = Monitored::start(Setup { settings: settings.to_owned(), ..Setup::without_auth() });
    let locked = monitored.server.database("main").connect();
    locked.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    thread::scope(|scope| {
        let delete = || monitored.server.delete("/learnings/absent", None).status;
        let requests = [scope.spawn(delete), scope.spawn(delete)];
        assert_eq!(requests.map(|request| request.join().expect("an answer")), [503, 503]);
    });
    monitored.scrape().assert_values(&[
        ("delete_learning_queue_timeouts_total", 1.0),
        (r#"delete_learning_requests_total{status="503",rule="sandbox-overloaded"}"#, 1.0),
        (r#"delete_learning_requests_total{status="503",rule="storage-unavailable"}"#, 1.0),
    ]);
}

#[test]
fn rules_that_a_policy_invents_are_bounded() {
    const REQUESTS: usize = 400;
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("invents.wasm");
    std::fs::write(&file, text::bytes(include_str!("invents_rules.wat"))).expect("the policy");
    let monitored = Monitored::start(Setup { policy: Some(file.display().to_string()), ..Setup::without_auth() });
    let mut client = HttpClient::new(&monitored.server, "unused");
    for number in 0..REQUESTS {
        assert_eq!(client.delete(&format!("/learnings/invented-{number}")).expect("a response").status, 403);
    }
    let scrape = monitored.scrape();
    let rules = scrape.of("delete_learning_requests_total").count();
    assert_eq!(rules, 129, "128 rules and the others");
    scrape.assert_values(&[(r#"delete_learning_requests_total{status="403",rule="other"}"#, (REQUESTS - 128) as f64)]);
    assert!((scrape.sum("delete_learning_requests_total") - REQUESTS as f64).abs() < 1e-9);
}

#[test]
fn reloads_are_counted_by_result() {
    let monitored = Monitored::start(Setup::jwt());
    let before = monitored.scrape();
    before.assert_values(&[
        (r#"delete_learning_policy_reloads_total{result="ok"}"#, 0.0),
        ("delete_learning_policy_last_reload_successful", 1.0),
    ]);
    let wait_for = |sample: &str, value: f64| {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let scrape = monitored.scrape();
            if (scrape.value(sample) - value).abs() < 1e-9 {
                return scrape;
            }
            assert!(Instant::now() < end, "{sample} is {}", scrape.value(sample));
            thread::sleep(Duration::from_millis(100));
        }
    };
    monitored.server.signal("HUP");
    let reloaded = wait_for(r#"delete_learning_policy_reloads_total{result="ok"}"#, 1.0);
    let loaded = |scrape: &super::Scrape| scrape.value("delete_learning_policy_loaded_timestamp_seconds");
    assert!(loaded(&reloaded) > loaded(&before));
    std::fs::write(monitored.server.directory.path().join("delete-learning.toml"), "unknown = 1").expect("a file");
    monitored.server.signal("HUP");
    let failed = wait_for(r#"delete_learning_policy_reloads_total{result="failed"}"#, 1.0);
    failed.assert_values(&[("delete_learning_policy_last_reload_successful", 0.0)]);
    assert!((loaded(&failed) - loaded(&reloaded)).abs() < 1e-9, "the policy in force is the one before");
    let digest = delete_learning::Digest::of(delete_learning::DEFAULT_POLICY);
    failed.assert_values(&[(&format!(r#"delete_learning_policy_info{{sha256="{digest}",guards="0"}}"#), 1.0)]);
}

#[test]
fn audit_log_is_synced_and_published() {
    let monitored = Monitored::with_audit_log(Setup::jwt());
    assert_eq!(monitored.server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
    assert_eq!(monitored.server.delete("/learnings/user_profile_alice@example.com", Some(&user("alice"))).status, 204);
    let end = Instant::now() + Duration::from_secs(20);
    let scrape = loop {
        let scrape = monitored.scrape();
        let lag = ["delete_learning_audit_unsynced_entries", "delete_learning_audit_unpublished_entries"];
        if lag.iter().all(|sample| scrape.value(sample) < 0.5) {
            break scrape;
        }
        assert!(Instant::now() < end, "{:#?}", scrape.samples);
        thread::sleep(Duration::from_millis(100));
    };
    // The start, then an intent and a decision for each.
    assert!(scrape.value("delete_learning_audit_entries_total") >= 5.0, "{:#?}", scrape.samples);
    scrape.assert_values(&[
        ("delete_learning_audit_failing", 0.0),
        ("delete_learning_audit_dropped_decisions_total", 0.0),
    ]);
}

#[test]
fn metrics_contain_no_secret_and_no_value_of_a_request() {
    let monitored = Monitored::with_audit_log(Setup::jwt());
    let (alice, root) = (user("alice-subject"), admin());
    let forged = with_claims(json!({ "sub": "mallory", "exp": 1 }));
    let mut request_ids = BTreeSet::new();
    for (target, token) in [
        ("private-id?db_id=private-db&table=private-table", &alice),
        ("private-id", &alice),
        ("private-id", &root),
        ("private-id", &forged),
    ] {
        let reply = monitored.server.delete(&format!("/learnings/{target}"), Some(token));
        request_ids.insert(reply.header("x-request-id").expect("an id").to_owned());
    }
    let text = monitored.scrape_text();
    let secrets =
        [SECRET, &alice, &root, &forged, "alice-subject", "mallory", "private-id", "private-db", "private-table"];
    for secret in secrets.into_iter().chain(request_ids.iter().map(String::as_str)) {
        assert!(!text.contains(secret), "{secret} is in the metrics:\n{text}");
    }
    let path = monitored.audit.path().display().to_string();
    assert!(!text.contains(&path) && !text.contains("127.0.0.1"), "{text}");
}

#[test]
fn refusals_beyond_their_space_are_counted() {
    let settings = "audit.max_refusal_bytes = 4096\n".to_owned();
    let monitored = Monitored::with_audit_log(Setup { settings, ..Setup::jwt() });
    for _ in 0..9 {
        assert_eq!(monitored.server.delete("/learnings/a", Some("not-a-token")).status, 401);
    }
    // Half of the space is for callers that authenticated, and an entry occupies at least 512 bytes of the other half.
    let dropped = monitored.scrape().value("delete_learning_audit_dropped_decisions_total");
    assert!((5.0..9.0).contains(&dropped), "{dropped}");
}

#[test]
fn connections_of_clients_are_counted() {
    let settings = "server.max_connections = 4\n".to_owned();
    let monitored = Monitored::start(Setup { settings, ..Setup::jwt() });
    let mut clients = Vec::new();
    for expected in 0..=4 {
        while clients.len() < expected {
            let mut client = HttpClient::new(&monitored.server, "");
            assert_eq!(client.request("GET", "/livez").expect("an answer").status, 200);
            clients.push(client);
        }
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let scrape = monitored.scrape();
            scrape.assert_values(&[("delete_learning_http_connections_max", 4.0)]);
            let count = scrape.value("delete_learning_http_connections");
            if (count - expected as f64).abs() < 1e-9 {
                break;
            }
            assert!(Instant::now() < end, "{count} connections, and {expected} clients");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
