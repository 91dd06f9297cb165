//! HTTP: paths, methods, size limits, timeouts and graceful shutdown.

use crate::support::server::Setup;
use crate::support::token::user;
use delete_learning::{DEFAULT_POLICY, Digest};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";

#[test]
fn unsupported_method_is_405_with_allow_header() {
    let server = Setup::jwt().start();
    for method in ["GET", "POST", "PUT", "PATCH", "OPTIONS"] {
        let response = server.request(method, ALICE_PROFILE, &[]);
        response.assert_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
        assert_eq!(response.header("allow"), Some("DELETE"));
    }
    let response = server.request("DELETE", "/health", &[]);
    response.assert_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
    assert_eq!(response.header("allow"), Some("GET, HEAD"));
}

#[test]
fn unknown_path_is_404_with_or_without_credentials() {
    let server = Setup::jwt().start();
    for path in ["/", "/learnings", "/learnings/", "/learnings/a/", "/learnings/a/b", "/Learnings/a", "/learnings//a"] {
        for token in [None, Some(user("alice"))] {
            server.delete(path, token.as_deref()).assert_error(404, "Not Found", "NOT_FOUND");
        }
    }
}

#[test]
fn health_counts_databases_without_naming_them() {
    let server = Setup { databases: vec!["main", "second"], ..Setup::jwt() }.start();
    let health = || {
        let response = server.request("GET", "/health", &[]);
        let mut body: serde_json::Value = serde_json::from_str(&response.body).expect("JSON");
        let policy = body.as_object_mut().and_then(|body| body.remove("policy"));
        let sha256 = Digest::of(DEFAULT_POLICY).to_string();
        assert_eq!(policy, Some(json!({ "sha256": sha256, "guards": [], "reload": "ok" })));
        (response.status, body)
    };
    assert_eq!(health(), (200, json!({ "status": "ok", "databases": { "ok": 2, "failing": 0 } })));
    server.database("second").execute("DROP TABLE agno_learnings");
    assert_eq!(health(), (200, json!({ "status": "degraded", "databases": { "ok": 1, "failing": 1 } })));
    server.database("main").execute("DROP TABLE agno_learnings");
    assert_eq!(health(), (503, json!({ "status": "unavailable", "databases": { "ok": 0, "failing": 2 } })));
    assert!(server.log().contains("\"db_id\":\"second\""), "the log contains the ids");
    let head = server.request("HEAD", "/health", &[]);
    assert_eq!((head.status, head.body.as_str()), (503, ""));
}

#[test]
fn request_body_is_ignored() {
    let server = Setup::jwt().start();
    let token = user("alice");
    let head =
        format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let response = server.send_raw(format!("{head}content-length: 5\r\n\r\nhello").as_bytes());
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
    let response = server.send_raw(format!("{head}content-length: 99999999999\r\n\r\nhello").as_bytes());
    assert!(response.starts_with("HTTP/1.1 404 "), "an announced body is not read: {response}");
}

#[test]
fn oversized_or_malformed_request_head_is_rejected() {
    let server = Setup::jwt().start();
    let large =
        format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "x".repeat(100_000));
    let response = server.send_raw(large.as_bytes());
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    let long = format!("DELETE /learnings/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
    let response = server.send_raw(long.as_bytes());
    assert!(response.starts_with("HTTP/1.1 414 ") || response.starts_with("HTTP/1.1 431 "), "{response}");
    let response = server.send_raw(b"\x16\x03\x01\x02\x00\x01\x00 this is not HTTP\r\n\r\n");
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 400 "), "{response}");
    let control = format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\x01b\r\n\r\n");
    let response = server.send_raw(control.as_bytes());
    assert!(response.starts_with("HTTP/1.1 40"), "{response}");
    let latin = b"DELETE /learnings/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer \xe9\r\n\r\n";
    assert!(server.send_raw(latin).starts_with("HTTP/1.1 401 "));
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}

#[test]
fn slow_or_idle_client_is_disconnected() {
    let server = Setup { settings: "server.header_read_timeout_ms = 300".to_owned(), ..Setup::jwt() }.start();
    let start = Instant::now();
    let response = server.send_raw(b"DELETE /learnings/a HTTP/1.1\r\nhost:");
    assert!(start.elapsed() < Duration::from_secs(5), "disconnected after {:?}: {response}", start.elapsed());
    // A client that sends nothing after its response is disconnected too.
    let start = Instant::now();
    let response = server.send_raw(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 ") && start.elapsed() < Duration::from_secs(5), "{response}");
}

#[test]
fn connection_above_the_limit_waits() {
    let server = Setup { settings: "server.max_connections = 2".to_owned(), ..Setup::jwt() }.start();
    let connections: Vec<_> = (0..2).map(|_| TcpStream::connect(server.address).expect("a connection")).collect();
    thread::sleep(Duration::from_millis(200));
    let mut third = TcpStream::connect(server.address).expect("the kernel accepts it");
    third.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("bytes can be written");
    third.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    assert!(third.read(&mut [0; 16]).is_err(), "no response while both connections are open");
    drop(connections);
    third.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    let mut response = String::new();
    third.read_to_string(&mut response).expect("a response");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[test]
fn shutdown_signal_drains_requests_in_flight() {
    for signal in ["TERM", "INT"] {
        let mut server = Setup::jwt().start();
        let lock = server.database("main").connect();
        lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
        let (address, token) = (server.address, user("alice"));
        let waiting = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            let head = format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("the request can be sent");
            let mut response = String::new();
            stream.read_to_string(&mut response).expect("a response");
            response
        });
        thread::sleep(Duration::from_millis(300));
        server.signal(signal);
        server.wait_for_log(&["shutting down"]);
        thread::sleep(Duration::from_millis(100));
        assert!(TcpStream::connect(address).is_err(), "new connections are refused");
        lock.execute_batch("COMMIT").expect("the lock can be released");
        let response = waiting.join().expect("a response");
        assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
        assert!(server.wait().success());
        server.wait_for_log(&["stopped"]);
    }
}

/// A client or a proxy cannot know that a shutdown begins while it sends a request, on a new connection or one that is idle.
#[test]
fn request_that_arrives_just_after_the_shutdown_signal_is_answered() {
    let mut server = Setup::jwt().start();
    let mut streams = [(); 2].map(|()| TcpStream::connect(server.address).expect("a connection"));
    let get = |stream: &mut TcpStream| {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").expect("the request can be sent");
    };
    get(&mut streams[1]);
    let mut response = String::new();
    while !response.ends_with('}') {
        let mut bytes = [0; 1024];
        let length = streams[1].read(&mut bytes).expect("a response");
        response += std::str::from_utf8(&bytes[..length]).expect("text");
    }
    assert!(!response.contains("connection: close"), "{response}");
    // The server accepts in this order.
    assert_eq!(server.request("GET", "/livez", &[]).status, 200);
    let start = Instant::now();
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    thread::sleep(Duration::from_millis(50));
    streams.iter_mut().for_each(get);
    for stream in &mut streams {
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("connection: close"), "{response:?}");
    }
    assert!(server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn idle_connections_are_closed_within_a_short_shutdown_timeout() {
    let stops_in_time = || {
        let mut server = Setup { settings: "server.shutdown_timeout_ms = 450".to_owned(), ..Setup::jwt() }.start();
        let _idle = TcpStream::connect(server.address).expect("a connection");
        assert_eq!(server.request("GET", "/livez", &[]).status, 200);
        server.signal("TERM");
        assert!(server.wait().success());
        !server.log().contains("still in flight")
    };
    // A busy machine can delay one of them.
    assert!((0..3).any(|_| stops_in_time()));
}

#[test]
fn disconnect_of_client_does_not_cancel_delete_or_audit() {
    let mut server = Setup::jwt().start();
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let mut stream = TcpStream::connect(server.address).expect("a connection");
    let head = format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", user("alice"));
    stream.write_all(head.as_bytes()).expect("the request can be sent");
    thread::sleep(Duration::from_millis(300));
    drop(stream);
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    lock.execute_batch("COMMIT").expect("the lock can be released");
    assert!(server.wait().success());
    server.wait_for_log(&["\"target\":\"audit\"", "deleted-as-owner"]);
    assert!(!server.database("main").contains("user_profile_alice@example.com"));
}

#[test]
fn request_log_line_has_id_outcome_rule_and_duration() {
    let server = Setup { settings: "sqlite.busy_timeout_ms = 100\n".to_owned(), ..Setup::jwt() }.start();
    let response = server.delete(ALICE_PROFILE, Some(&user("alice")));
    let id = response.header("x-request-id").expect("an id").to_owned();
    let line = server.wait_for_log(&["\"target\":\"request\"", &id]);
    assert_eq!(line["outcome"], "deleted");
    assert_eq!(line["rule"], "deleted-as-owner");
    assert_eq!(line["learning_id"], "user_profile_alice@example.com");
    assert!(line["duration_us"].is_u64());
    server.database("main").insert("locked", Some("alice"));
    let connection = server.database("main").connect();
    for (id, status, outcome) in [("absent", 404, "refused"), ("locked", 503, "failed")] {
        if status == 503 {
            connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        }
        let response = server.delete(&format!("/learnings/{id}"), Some(&user("alice")));
        let request_id = response.header("x-request-id").expect("an id");
        let line = server.wait_for_log(&["\"target\":\"request\"", request_id]);
        assert_eq!((line["status"].as_u64(), line["outcome"].as_str()), (Some(status), Some(outcome)), "{line}");
    }
}

#[test]
fn instances_of_the_default_limits_come_from_a_pool() {
    let server = Setup::jwt().start();
    server.delete(ALICE_PROFILE, Some(&user("alice"))).assert_deleted();
    assert!(!server.log().contains("cannot reserve a pool"), "{}", server.log());
}

#[test]
fn request_cannot_forge_a_log_line() {
    let server = Setup::jwt().start();
    server.delete("/learnings/a%0A%7B%22target%22%3A%22audit%22%7D?db_id=%0Aforged", Some(&user("alice")));
    server.wait_for_log(&["audit", "unknown-database"]);
    for line in server.log().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["timestamp"].is_string()),
            "{line}"
        );
    }
}
