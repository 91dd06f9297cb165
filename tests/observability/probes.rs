//! `/livez`, `/readyz` and `/health`: with all parts, without one of them, and while the server shuts down.

use super::{Monitored, request};
use crate::support::cluster::{Cluster, find_postgres};
use crate::support::load::HttpClient;
use crate::support::postgres::agno_tables;
use crate::support::server::Setup;
use crate::support::token::user;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A short timeout, so that a database that does not respond is noticed soon.
const TIMEOUTS: &str = "sqlite.busy_timeout_ms = 1000\n";

fn health(monitored: &Monitored) -> (u16, Value) {
    let (status, _, body) = request(monitored.server.address, "GET", "/health");
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[test]
fn server_with_all_parts_is_live_and_ready() {
    let monitored = Monitored::start(Setup::jwt());
    for address in [monitored.server.address, monitored.address] {
        assert_eq!(request(address, "GET", "/livez").2, r#"{"status":"ok"}"#);
        let report = json!({ "status": "ready", "databases": "ok", "policy": "ok", "server": "ok" });
        assert_eq!(monitored.ready(address), (200, report));
        assert_eq!(request(address, "POST", "/readyz").0, 405);
    }
    monitored.scrape().assert_values(&[("delete_learning_ready", 1.0)]);
}

#[test]
fn missing_database_makes_the_server_not_ready() {
    let settings = TIMEOUTS.to_owned();
    let monitored = Monitored::start(Setup { settings, databases: vec!["main", "other"], ..Setup::jwt() });
    monitored.wait_for_ready(200);
    let file = monitored.server.database("other").path().to_owned();
    fs::rename(&file, file.with_extension("away")).expect("the file can be moved");
    monitored.wait_for_ready(503);
    let (_, report) = monitored.ready(monitored.server.address);
    assert_eq!(report, json!({ "status": "not-ready", "databases": "failing", "policy": "ok", "server": "ok" }));
    assert_eq!(request(monitored.server.address, "GET", "/livez").0, 200);
    // One of two databases is enough for it.
    assert_eq!((health(&monitored).0, &health(&monitored).1["status"]), (200, &json!("degraded")));
    monitored.scrape().assert_values(&[
        ("delete_learning_ready", 0.0),
        (r#"delete_learning_database_up{db_id="main",table="agno_learnings"}"#, 1.0),
        (r#"delete_learning_database_up{db_id="other",table="agno_learnings"}"#, 0.0),
    ]);
    fs::rename(file.with_extension("away"), &file).expect("the file can be moved back");
    monitored.wait_for_ready(200);
}

#[test]
fn stopped_postgres_makes_the_server_not_ready() {
    let Some(programs) = find_postgres("readiness with a PostgreSQL server that stops") else { return };
    let cluster = Cluster::start(programs, &[]);
    cluster.connect("postgres").run(&agno_tables());
    let further_databases = format!("[[databases]]\nid = \"shared\"\nurl = \"{}\"\n", cluster.url("postgres"));
    let settings = TIMEOUTS.to_owned();
    let monitored = Monitored::start(Setup { settings, further_databases, ..Setup::jwt() });
    monitored.wait_for_ready(200);
    let pool = r#"{db_id="shared",table="agno_learnings""#;
    let scrape = monitored.scrape();
    scrape.assert_values(&[(&format!("delete_learning_postgres_connections_max{pool}}}"), 16.0)]);
    assert!(scrape.value(&format!(r#"delete_learning_postgres_connections{pool},state="idle"}}"#)) >= 1.0);
    cluster.server.kill();
    monitored.wait_for_ready(503);
    assert_eq!(monitored.ready(monitored.address).1["databases"], "failing");
    assert_eq!(request(monitored.server.address, "GET", "/livez").0, 200);
    let kinds = monitored.scrape();
    let errors = kinds.of("delete_learning_storage_errors_total").filter(|(sample, _)| sample.contains("\"shared\""));
    assert!(errors.map(|(_, count)| count).sum::<f64>() >= 1.0, "{:#?}", kinds.samples);
}

#[test]
fn concurrent_probes_share_one_check_of_the_database() {
    let monitored = Monitored::start(Setup::jwt());
    let count = || {
        let sample =
            r#"delete_learning_storage_duration_seconds_count{db_id="main",table="agno_learnings",operation="check"}"#;
        monitored.scrape().value(sample)
    };
    let (before, start) = (count(), Instant::now());
    let probe_repeatedly = || {
        let mut probes = 0_usize;
        while start.elapsed() < Duration::from_millis(2500) {
            assert_eq!(monitored.ready(monitored.server.address).0, 200);
            probes += 1;
            thread::sleep(Duration::from_millis(10));
        }
        probes
    };
    let probes: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(probe_repeatedly)).collect();
        clients.into_iter().map(|client| client.join().expect("no probe fails")).sum()
    });
    let (checks, seconds) = (count() - before, start.elapsed().as_secs_f64());
    println!("{probes} probes in {seconds:.1} s made {checks} checks");
    assert!(checks >= 2.0 && checks <= seconds + 1.0, "{checks} checks in {seconds} seconds");
}

#[test]
fn failing_audit_log_makes_the_server_not_ready() {
    let monitored = Monitored::with_audit_log(Setup::jwt());
    let (server, token) = (&monitored.server, user("alice"));
    let ready = json!({ "status": "ready", "databases": "ok", "policy": "ok", "audit_log": "ok", "server": "ok" });
    assert_eq!(monitored.ready(server.address), (200, ready));
    assert_eq!(health(&monitored).1.get("audit_log"), None);
    // As if somebody had moved the directory away.
    let (journal, away) = (monitored.audit.path().join("audit/journal"), monitored.audit.path().join("audit/away"));
    fs::rename(&journal, &away).expect("the directory can be moved");
    server.database("main").insert("mine", Some("alice"));
    assert_eq!(server.delete("/learnings/mine", Some(&token)).status, 503);
    monitored.wait_for_ready(503);
    let failing =
        json!({ "status": "not-ready", "databases": "ok", "policy": "ok", "audit_log": "failing", "server": "ok" });
    assert_eq!(monitored.ready(server.address).1, failing);
    let (status, body) = health(&monitored);
    assert_eq!((status, &body["status"], &body["audit_log"]), (200, &json!("ok"), &json!("failing")));
    monitored.scrape().assert_values(&[("delete_learning_ready", 0.0), ("delete_learning_audit_failing", 1.0)]);
    // A load balancer sends no requests now, so the log must recover without one.
    fs::rename(&away, &journal).expect("the directory can be moved back");
    monitored.wait_for_ready(200);
    server.delete("/learnings/mine", Some(&token)).assert_deleted();
    monitored.scrape().assert_values(&[("delete_learning_ready", 1.0), ("delete_learning_audit_failing", 0.0)]);
}

#[test]
fn sigterm_under_load_fails_no_request() {
    const DELAY: Duration = Duration::from_millis(3000);
    let settings = format!("server.shutdown_delay_ms = {}\n", DELAY.as_millis());
    let mut monitored = Monitored::start(Setup { settings, ..Setup::jwt() });
    let database = monitored.server.database("main");
    (0..50).for_each(|number| database.insert(&format!("record-{number}"), Some("alice")));
    let is_stopped = AtomicBool::new(false);
    let (answers, not_ready_after, signaled) = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (server, is_stopped) = (&monitored.server, &is_stopped);
                scope.spawn(move || {
                    let (mut answers, mut http) = (0, HttpClient::new(server, &user("alice")));
                    while !is_stopped.load(Ordering::Relaxed) {
                        // Every second request opens a connection.
                        if answers % 2 == 1 {
                            http = HttpClient::new(server, &user("alice"));
                        }
                        let number = answers * 4 + client;
                        let reply = http.delete(&format!("/learnings/record-{number}")).expect("an answer");
                        assert_eq!(reply.status, if number < 50 { 204 } else { 404 }, "{reply:?}");
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        monitored.server.signal("TERM");
        let signaled = Instant::now();
        monitored.wait_for_ready(503);
        let not_ready_after = signaled.elapsed();
        for address in [monitored.server.address, monitored.address] {
            let (_, report) = monitored.ready(address);
            assert_eq!((&report["server"], &report["databases"]), (&json!("stopping"), &json!("ok")));
            assert_eq!(request(address, "GET", "/livez").0, 200);
        }
        monitored.scrape().assert_values(&[("delete_learning_ready", 0.0)]);
        let last = HttpClient::new(&monitored.server, "").request("GET", "/livez").expect("an answer");
        assert!(last.head.contains("connection: close"), "{last:?}");
        // A load balancer needs a while to stop sending requests.
        thread::sleep(Duration::from_millis(700));
        is_stopped.store(true, Ordering::Relaxed);
        let answers: usize = clients.into_iter().map(|client| client.join().expect("no request fails")).sum();
        (answers, not_ready_after, signaled)
    });
    assert!(signaled.elapsed() < DELAY, "the machine is too slow for this test: {:?}", signaled.elapsed());
    assert!(monitored.server.wait().success(), "{}", monitored.server.log());
    println!("{answers} requests; not ready {not_ready_after:?} after SIGTERM, ended after {:?}", signaled.elapsed());
    assert!(signaled.elapsed() >= DELAY, "it accepts connections during the delay");
    assert!(answers > 8);
}

#[test]
fn server_without_a_delay_drains_at_once() {
    let mut monitored = Monitored::start(Setup::jwt());
    let start = Instant::now();
    monitored.server.signal("TERM");
    assert!(monitored.server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
