//! The access log: one line for each request, with its id.

use super::{METRICS, Monitored};
use crate::support::server::{Setup, TestServer};
use crate::support::token::user;
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;

/// The access lines so far.
fn access_lines(server: &TestServer) -> Vec<Value> {
    let lines = server.log();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a log line is JSON"));
    lines.filter(|line| line["target"].as_str().is_some_and(|target| target.starts_with("request"))).collect()
}

#[test]
fn every_request_has_one_access_line_with_the_id_of_its_answer() {
    let monitored = Monitored::start(Setup::jwt());
    let server = &monitored.server;
    let alice = format!("Bearer {}", user("alice"));
    for (method, target, status) in [
        ("DELETE", "/learnings/user_profile_alice@example.com", 204),
        ("DELETE", "/learnings/a%2Fb?db_id=main", 404),
        ("DELETE", "/learnings/a?db_id=unknown", 404),
        ("GET", "/learnings/a", 405),
        ("GET", "/unknown?token=hidden", 404),
        ("OPTIONS", "/learnings/a", 405),
        ("GET", "/openapi.json", 200),
        ("GET", "/health", 200),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
    ] {
        let before = access_lines(server).len();
        let response = server.request(method, target, &[("authorization", &alice)]);
        assert_eq!(response.status, status, "{method} {target}: {response:?}");
        let id = response.header("x-request-id").expect("an id");
        server.wait_for_log(&["\"target\":\"request", id]);
        let lines = access_lines(server);
        assert_eq!(lines.len(), before + 1, "{method} {target}: {lines:#?}");
        let line = &lines[before];
        assert_eq!(line["span"]["request_id"], id, "{line}");
        assert_eq!((&line["method"], &line["status"]), (&method.into(), &status.into()), "{line}");
        assert_eq!(line["path"], target.split('?').next().expect("a path"), "{line}");
        assert_eq!((&line["client"], line["duration_us"].is_u64()), (&"127.0.0.1".into(), true), "{line}");
    }
    assert!(!server.log().contains("hidden"), "a query is not logged");
    let raw = server.send_raw(b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.1 400"), "{raw}");
    server.wait_for_log(&["\"target\":\"request\"", "\"status\":400"]);
    server.send_raw(b"nonsense\r\n\r\n");
    server.wait_for_log(&["\"target\":\"request\"", "not a valid HTTP request"]);

    let before = access_lines(server).len();
    monitored.scrape_text();
    let line = &access_lines(server)[before];
    assert_eq!((&line["target"], &line["path"]), (&"request::monitor".into(), &"/metrics".into()), "{line}");
}

#[test]
fn client_that_disconnects_within_a_request_has_not_sent_an_invalid_one() {
    let environment = vec![("RUST_LOG", "info,delete_learning_server=debug".to_owned())];
    let server = Setup { environment, ..Setup::jwt() }.start();
    let mut stream = TcpStream::connect(server.address).expect("a connection");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost:").expect("bytes can be written");
    drop(stream);
    server.wait_for_log(&["connection ended"]);
    assert!(!server.log().contains("not a valid HTTP request"), "{}", server.log());
}

#[test]
fn access_lines_of_monitors_can_be_left_out() {
    let environment = vec![("RUST_LOG", "info,request::monitor=warn".to_owned())];
    let server = Setup { environment, ..Setup::jwt() }.start();
    server.request("GET", "/health", &[]);
    server.request("GET", "/livez", &[]);
    server.request("GET", "/unknown", &[]);
    server.wait_for_log(&["/unknown"]);
    assert_eq!(access_lines(&server).len(), 1, "{}", server.log());
}

#[test]
fn configured_filter_is_used_and_not_rust_log() {
    let environment =
        vec![("RUST_LOG", "off".to_owned()), ("DELETE_LEARNING_LOG__FILTER", "warn,request=info".to_owned())];
    let server = Setup { environment, ..Setup::jwt() }.start();
    server.request("GET", "/unknown", &[]);
    server.wait_for_log(&["/unknown"]);
    assert!(!server.log().contains("\"listening\""), "{}", server.log());
}

#[test]
fn rust_log_that_is_no_filter_is_ignored_with_a_warning() {
    let server = Setup { environment: vec![("RUST_LOG", "[span]=x".to_owned())], ..Setup::jwt() }.start();
    server.wait_for_log(&["RUST_LOG has no effect"]);
}

/// Sends a request with this id, and returns the id of the answer and the one in the audit log.
fn ids(server: &TestServer, target: &str, id: &[&str]) -> String {
    let authorization = format!("Bearer {}", user("alice"));
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(id.iter().map(|id| ("x-request-id", *id)));
    let response = server.request("DELETE", target, &headers);
    response.header("x-request-id").expect("an id").to_owned()
}

#[test]
fn request_id_is_that_of_a_trusted_proxy() {
    let settings = format!("{METRICS}server.trusted_proxies = [\"127.0.0.1\"]\n");
    let server = Setup { settings, ..Setup::jwt() }.start();
    assert_eq!(ids(&server, "/learnings/a", &["0f8fad5b-d9cb"]), "0f8fad5b-d9cb");
    server.wait_for_log(&["\"target\":\"audit\"", "\"request_id\":\"0f8fad5b-d9cb\""]);
    let line = server.wait_for_log(&["\"target\":\"request\"", "0f8fad5b-d9cb"]);
    assert_eq!(line["span"]["request_id"], "0f8fad5b-d9cb");
    // What is no id, and what is ambiguous, is replaced.
    for other in [&["a b"][..], &["a\"b"], &["a", "b"], &[""], &[]] {
        let id = ids(&server, "/learnings/a", other);
        assert!(id.len() >= 18 && !other.contains(&id.as_str()), "{other:?}: {id}");
    }
    let health = server.request("GET", "/health", &[("x-request-id", "7")]);
    assert_eq!(health.header("x-request-id"), Some("7"));
}

#[test]
fn request_id_of_another_client_is_ignored() {
    let server = Setup { settings: "server.trusted_proxies = [\"127.0.0.2\"]\n".to_owned(), ..Setup::jwt() }.start();
    assert_ne!(ids(&server, "/learnings/a", &["forged"]), "forged");
    assert!(!server.log().contains("forged"));
}
