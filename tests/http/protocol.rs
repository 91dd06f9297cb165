//! HTTP itself: paths, methods, sizes, times, and an end that loses nothing.

use crate::support::server::Setup;
use crate::support::token::user;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const ALICES: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn another_method_is_405_and_says_which_there_are() {
    let host = Setup::jwt().start();
    for method in ["GET", "POST", "PUT", "PATCH", "OPTIONS"] {
        let answer = host.request(method, ALICES, &[]);
        answer.is_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some("DELETE"));
    }
    let answer = host.request("DELETE", "/health", &[]);
    answer.is_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}

#[test]
fn another_path_is_404_whoever_asks() {
    let host = Setup::jwt().start();
    for path in ["/", "/learnings", "/learnings/", "/learnings/a/", "/learnings/a/b", "/Learnings/a", "/learnings//a"] {
        for token in [None, Some(user("alice"))] {
            host.delete(path, token.as_deref()).is_error(404, "Not Found", "NOT_FOUND");
        }
    }
}

#[test]
fn health_says_how_the_databases_are_without_their_names() {
    let host = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let health = || {
        let answer = host.request("GET", "/health", &[]);
        (answer.status, serde_json::from_str::<serde_json::Value>(&answer.body).expect("JSON"))
    };
    assert_eq!(health(), (200, json!({ "status": "ok", "databases": { "ok": 2, "failing": 0 } })));
    host.database("second").execute("DROP TABLE agno_learnings");
    assert_eq!(health(), (200, json!({ "status": "degraded", "databases": { "ok": 1, "failing": 1 } })));
    host.database("main").execute("DROP TABLE agno_learnings");
    assert_eq!(health(), (503, json!({ "status": "unavailable", "databases": { "ok": 0, "failing": 2 } })));
    assert!(host.log().contains("\"db_id\":\"second\""), "the log has the names");
    let head = host.request("HEAD", "/health", &[]);
    assert_eq!((head.status, head.body.as_str()), (503, ""));
}

#[test]
fn a_body_has_no_meaning() {
    let host = Setup::jwt().start();
    let token = user("alice");
    let head = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let answer = host.raw(format!("{head}content-length: 5\r\n\r\nhello").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let answer = host.raw(format!("{head}content-length: 99999999999\r\n\r\nhello").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 404 "), "a body that is announced is not waited for: {answer}");
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_refused_by_the_protocol() {
    let host = Setup::jwt().start();
    let large = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "x".repeat(100_000));
    let answer = host.raw(large.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = format!("DELETE /learnings/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
    let answer = host.raw(long.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = host.raw(b"\x16\x03\x01\x02\x00\x01\x00 this is not HTTP\r\n\r\n");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let control = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\x01b\r\n\r\n");
    let answer = host.raw(control.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    let latin = b"DELETE /learnings/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer \xe9\r\n\r\n";
    assert!(host.raw(latin).starts_with("HTTP/1.1 401 "));
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
}

#[test]
fn a_client_that_dawdles_is_cut_off() {
    let host = Setup { settings: "server.header_read_timeout_ms = 300".to_owned(), ..Setup::jwt() }.start();
    let start = Instant::now();
    let answer = host.raw(b"DELETE /learnings/a HTTP/1.1\r\nhost:");
    assert!(start.elapsed() < Duration::from_secs(5), "it was cut off after {:?}: {answer}", start.elapsed());
    // And so is one that does not say anything after its answer.
    let start = Instant::now();
    let answer = host.raw(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && start.elapsed() < Duration::from_secs(5), "{answer}");
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let host = Setup { settings: "server.max_connections = 2".to_owned(), ..Setup::jwt() }.start();
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(host.address).expect("a connection")).collect();
    thread::sleep(Duration::from_millis(200));
    let mut third = TcpStream::connect(host.address).expect("the system takes it");
    third.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it can be written");
    third.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    assert!(third.read(&mut [0; 16]).is_err(), "nobody answers while both places are taken");
    drop(held);
    third.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    let mut answer = String::new();
    third.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_signal_lets_requests_in_flight_finish_and_takes_no_more() {
    for signal in ["TERM", "INT"] {
        let mut host = Setup::jwt().start();
        let lock = host.database("main").connect();
        lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
        let (address, token) = (host.address, user("alice"));
        let waiting = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            let head = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("it can be sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        });
        thread::sleep(Duration::from_millis(300));
        host.signal(signal);
        host.logged(&["shutting down"]);
        thread::sleep(Duration::from_millis(100));
        assert!(TcpStream::connect(address).is_err(), "no more connections");
        lock.execute_batch("COMMIT").expect("the lock can be given back");
        let answer = waiting.join().expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert!(host.wait().success());
        host.logged(&["stopped"]);
    }
}

#[test]
fn a_client_that_goes_away_stops_neither_the_deletion_nor_its_audit_record() {
    let mut host = Setup::jwt().start();
    let lock = host.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let mut stream = TcpStream::connect(host.address).expect("a connection");
    let head = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", user("alice"));
    stream.write_all(head.as_bytes()).expect("it can be sent");
    thread::sleep(Duration::from_millis(300));
    drop(stream);
    host.signal("TERM");
    host.logged(&["shutting down"]);
    lock.execute_batch("COMMIT").expect("the lock can be given back");
    assert!(host.wait().success());
    host.logged(&["\"target\":\"audit\"", "deleted-as-owner"]);
    assert!(!host.database("main").has("user_profile_alice@example.com"));
}

#[test]
fn the_log_line_of_a_request_has_id_outcome_rule_and_duration() {
    let host = Setup::jwt().start();
    let answer = host.delete(ALICES, Some(&user("alice")));
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let line = host.logged(&["\"target\":\"request\"", &id]);
    assert_eq!(line["outcome"], "deleted");
    assert_eq!(line["rule"], "deleted-as-owner");
    assert_eq!(line["learning_id"], "user_profile_alice@example.com");
    assert!(line["duration_us"].is_u64());
}

#[test]
fn what_a_caller_sends_cannot_forge_a_line_of_the_log() {
    let host = Setup::jwt().start();
    host.delete("/learnings/a%0A%7B%22target%22%3A%22audit%22%7D?db_id=%0Aforged", Some(&user("alice")));
    host.logged(&["audit", "unknown-database"]);
    for line in host.log().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["timestamp"].is_string()),
            "{line}"
        );
    }
}
