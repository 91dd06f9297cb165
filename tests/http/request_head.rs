//! Request lines and headers that are ambiguous, invalid or unusual.

use crate::support::server::{Setup, TestServer};
use crate::support::token::user;
use std::fmt::Write as _;

const DECISION: &str = "/learnings/decision_1";

/// Returns a delete of alice's record with this version, target and header lines.
fn delete(target: &str, version: &str, lines: &str) -> String {
    format!(
        "DELETE {target} HTTP/{version}\r\nauthorization: Bearer {}\r\nconnection: close\r\n{lines}\r\n",
        user("alice")
    )
}

/// Asserts that the request is answered 400 before anything else happens.
fn assert_bad_request(server: &TestServer, request: &[u8]) -> String {
    let response = server.send_raw(request);
    assert!(response.get(8..13) == Some(" 400 "), "{}: {response}", String::from_utf8_lossy(request));
    assert!(server.database("main").contains("decision_1"));
    assert!(!server.log().contains("\"target\":\"audit\""), "no invalid request reaches the policy");
    response
}

#[test]
fn missing_repeated_or_invalid_host_is_400() {
    let server = Setup::jwt().start();
    for lines in [
        "",
        "host: x\r\nhost: x\r\n",
        "host: x\r\nHost: y\r\n",
        "host: x\r\nhost:\r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: user@x\r\n",
        "host: x, y\r\n",
        "host: http://x\r\n",
        "host: x:port\r\n",
        "host: x:99999\r\n",
        "host: ::1\r\n",
        "host: [::1\r\n",
        "host: a%zz\r\n",
        "host: b\u{fc}cher\r\n",
    ] {
        let response = assert_bad_request(&server, delete(DECISION, "1.1", lines).as_bytes());
        assert!(response.contains("\"error_code\":\"BAD_REQUEST\"") && response.contains("Host header"), "{response}");
        // Neither does it matter what the request is for.
        for line in ["GET /health", "GET /nowhere", "OPTIONS *", "PATCH /openapi.json"] {
            let request = format!("{line} HTTP/1.1\r\nconnection: close\r\norigin: https://os.agno.com\r\n{lines}\r\n");
            let response = assert_bad_request(&server, request.as_bytes());
            assert!(response.contains("access-control-allow-origin: https://os.agno.com"), "{response}");
        }
    }
    assert_bad_request(&server, delete(&format!("http://x{DECISION}"), "1.1", "").as_bytes());
    assert_bad_request(&server, delete(DECISION, "1.0", "host: x\r\nhost: y\r\n").as_bytes());
}

#[test]
fn valid_host_and_request_target_are_accepted() {
    for (target, version, lines) in [
        (DECISION, "1.1", "host: x\r\n"),
        (DECISION, "1.1", "HOST:  example.com:7777  \r\n"),
        (DECISION, "1.1", "host: [::1]:7777\r\n"),
        (DECISION, "1.1", "host: 127.0.0.1:\r\n"),
        (DECISION, "1.1", "host:\r\n"),
        (DECISION, "1.0", ""),
        (DECISION, "1.0", "host: x\r\n"),
        ("http://example.com/learnings/decision_1", "1.1", "host: example.com\r\n"),
        ("https://example.com:8443/learnings/decision_1?db_id=main", "1.1", "host: other\r\n"),
        ("HTTP://[::1]/learnings/decision_1", "1.1", "host: [::1]\r\n"),
    ] {
        let server = Setup::jwt().start();
        let response = server.send_raw(delete(target, version, lines).as_bytes());
        assert!(response.starts_with(&format!("HTTP/{version} 204 ")), "{target} {lines}: {response}");
    }
}

#[test]
fn fragment_in_the_request_target_is_400() {
    let server = Setup::jwt().start();
    server.database("main").insert("decision_1#b", Some("alice"));
    for target in ["/learnings/decision_1#b", "/learnings/decision_1#", "/learnings/decision_1?db_id=main#x"] {
        let response = assert_bad_request(&server, delete(target, "1.1", "host: x\r\n").as_bytes());
        assert!(response.contains("Invalid request target"), "{response}");
    }
    assert_bad_request(&server, delete("http://x/learnings/decision_1#b", "1.1", "host: x\r\n").as_bytes());
    // Also as the second request of a connection.
    let pipelined =
        format!("GET /health HTTP/1.1\r\nhost: x\r\n\r\n{}", delete("/learnings/decision_1#b", "1.1", "host: x\r\n"));
    assert_bad_request(&server, pipelined.as_bytes());
    // A `#` elsewhere is no fragment.
    let body = "{\"reason\": \"see #12 of HTTP/1.1, or #12 HTTP/1.1\"}";
    let lines = format!("host: x\r\ncontent-length: {}\r\n", body.len());
    let response = server.send_raw((delete("/learnings/absent", "1.1", &lines) + body).as_bytes());
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    let response = server.send_raw(delete("/learnings/decision_1%23b", "1.1", "host: x\r\nx: a#b\r\n").as_bytes());
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
    assert!(server.database("main").contains("decision_1"));
}

#[test]
fn raw_utf8_in_the_request_target_is_part_of_the_id() {
    let server = Setup::jwt().start();
    server.database("main").insert("ü", Some("alice"));
    let response = server.send_raw(delete("/learnings/ü", "1.1", "host: x\r\n").as_bytes());
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
    for target in ["/learnings/decision_1<", "/learnings/decision_1>", "/learnings/decision_1`"] {
        let response = server.send_raw(delete(target, "1.1", "host: x\r\n").as_bytes());
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    }
    let invalid = b"DELETE /learnings/\xff HTTP/1.1\r\nhost: x\r\n\r\n";
    assert!(server.send_raw(invalid).starts_with("HTTP/1.1 400 "));
}

#[test]
fn request_target_without_a_path_is_400() {
    let server = Setup::jwt().start();
    for target in ["example.com:80", "learnings/decision_1", "?db_id=main", "decision_1"] {
        assert_bad_request(&server, delete(target, "1.1", "host: x\r\n").as_bytes());
    }
}

#[test]
fn head_that_http_does_not_allow_is_400() {
    let server = Setup::jwt().start();
    for lines in [
        "x: a\0b\r\n",
        "x: a\rb\r\n",
        "x: a\u{1}b\r\n",
        "x: a\r\n folded\r\n",
        "x : a\r\n",
        " x: a\r\n",
        "x\r\n",
        ": a\r\n",
        "x y: a\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -1\r\n",
        "content-length: 0x5\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: xchunked\r\n",
    ] {
        assert_bad_request(&server, delete(DECISION, "1.1", &format!("host: x\r\n{lines}")).as_bytes());
    }
    for line in [
        "DELETE /learnings/decision_1 HTTP/1.2",
        "DELETE /learnings/decision_1 HTTP/2.0",
        "DELETE /learnings/decision_1",
        "DELETE  /learnings/decision_1 HTTP/1.1",
        "DELETE /learnings/decision 1 HTTP/1.1",
        "DEL(ETE /learnings/decision_1 HTTP/1.1",
        "DELETE /learnings/decision_1 http/1.1",
    ] {
        let request = format!("{line}\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", user("alice"));
        assert_bad_request(&server, request.as_bytes());
    }
    assert_bad_request(&server, delete(DECISION, "1.0", "transfer-encoding: chunked\r\n").as_bytes());
}

#[test]
fn connection_is_closed_after_ambiguous_framing() {
    let server = Setup::jwt().start();
    let smuggled = format!("DELETE {DECISION} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", user("alice"));
    for lines in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n",
    ] {
        let request = format!("GET /health HTTP/1.1\r\nhost: x\r\n{lines}\r\n0\r\n\r\n{smuggled}");
        let response = server.send_raw(request.as_bytes());
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{lines}: {response}");
        assert!(server.database("main").contains("decision_1"));
    }
}

#[test]
fn many_headers_are_accepted_up_to_the_size_limit() {
    let lines = |count: usize| {
        let mut lines = "host: x\r\n".to_owned();
        for index in 0..count {
            write!(lines, "x-{index}: y\r\n").expect("text can be written");
        }
        lines
    };
    let server = Setup::jwt().start();
    for (count, status) in [(101, 404), (1000, 404), (1100, 431), (8000, 431)] {
        let response = server.send_raw(delete("/learnings/absent", "1.1", &lines(count)).as_bytes());
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{count}: {response}");
    }
    // Also for one header in many lines, and for the shortest lines.
    for line in ["accept: a\r\n", "a:\r\n"] {
        let lines = format!("host: x\r\n{}", line.repeat(1000));
        let response = server.send_raw(delete("/learnings/absent", "1.1", &lines).as_bytes());
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    }

    // More header lines than the HTTP library can store do not crash the server.
    let server = Setup { settings: "server.max_header_bytes = 4000000".to_owned(), ..Setup::jwt() }.start();
    for count in [1_100, 30_000, 100_000] {
        let response = server.send_raw(delete("/learnings/absent", "1.1", &lines(count)).as_bytes());
        assert!(response.starts_with("HTTP/1.1 431 "), "{count}: {response}");
    }
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}

#[test]
fn connection_option_and_pipelining_are_supported() {
    let server = Setup::jwt().start();
    let health = "GET /health HTTP/1.1\r\nhost: x\r\n";
    let close = format!("{health}connection: close\r\n\r\n");
    let response = server.send_raw(format!("{health}\r\n{health}\r\n\r\n{close}").as_bytes());
    assert_eq!(response.matches("HTTP/1.1 200 ").count(), 3, "{response}");
    // Nothing is served after `close`.
    let deletes = delete(DECISION, "1.1", "host: x\r\n");
    let response = server.send_raw(format!("{close}{deletes}").as_bytes());
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
    assert!(server.database("main").contains("decision_1"));
    let response = server.send_raw(b"HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("content-length: ") && !head.contains("content-length: 0") && body.is_empty(), "{response}");
    let response = server.send_raw(b"HEAD /learnings/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 405 ") && response.ends_with("\r\n\r\n"), "{response}");
}
