//! Bodies of requests: they have no meaning, and a client that sends one receives its response.

use crate::support::server::{Setup, TestServer};
use crate::support::token::user;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const DECISION: &str = "/learnings/decision_1";
const FIVE_MEGABYTES: usize = 5 * 1024 * 1024;

/// Returns the request line and the headers of a delete, without the empty line.
fn head(more: &str) -> String {
    let token = user("alice");
    format!("DELETE {DECISION} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}")
}

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    stream
}

/// Sends everything, and only then reads until the end. Panics if the connection is reset or closed too early.
fn exchange(server: &TestServer, parts: &[&[u8]]) -> String {
    let mut stream = connect(server);
    for part in parts {
        stream.write_all(part).expect("the server receives the whole request");
    }
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("the whole response");
    String::from_utf8(response).expect("text")
}

/// Encodes a body as chunks of this size.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    for chunk in body.chunks(size) {
        encoded.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    encoded.extend(b"0\r\n\r\n");
    encoded
}

#[test]
fn client_that_sends_a_large_body_receives_its_response() {
    let server = Setup::jwt().start();
    let body = vec![b'x'; FIVE_MEGABYTES];
    // The first decision allocates memory of its own.
    server.delete("/learnings/absent", Some(&user("alice")));
    let resident = server.resident_bytes();
    let length = format!("content-length: {FIVE_MEGABYTES}\r\n");
    let encoded = chunked(&body, 10_000);
    for (headers, body, status) in [
        (length.clone(), &body, 204),
        ("transfer-encoding: chunked\r\n".to_owned(), &encoded, 404),
        (format!("{length}expect: 100-continue\r\n"), &body, 404),
        ("transfer-encoding: chunked\r\nexpect: 100-continue\r\n".to_owned(), &encoded, 404),
        (format!("{length}connection: close\r\n"), &body, 404),
    ] {
        let response = exchange(&server, &[head(&headers).as_bytes(), b"\r\n", body]);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {response}");
        assert!(!response.contains("100 Continue"), "{response}");
    }
    // Also for responses that do not concern a delete, and for bodies far above the limit of one request.
    for (line, status) in
        [("POST /health", 405), ("PUT /nowhere", 404), ("DELETE /learnings/x", 401), ("GET /health", 200)]
    {
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 4 * FIVE_MEGABYTES);
        let response = exchange(&server, &[head.as_bytes(), &body, &body, &body, &body]);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {response}");
        assert!(response.contains("connection: close\r\n"), "{response}");
    }
    if let (Some(before), Some(after)) = (resident, server.resident_bytes()) {
        assert!(after < before + (16 << 20), "100 MB of bodies are not kept: {before} and {after} bytes");
    }
}

#[test]
fn client_that_sends_a_large_head_receives_its_response() {
    let server = Setup::jwt().start();
    let padding = vec![b'p'; FIVE_MEGABYTES];
    let response = exchange(&server, &[head("x-padding: ").as_bytes(), &padding, b"\r\n\r\n"]);
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    let response = exchange(&server, &[b"DELETE /learnings/", &padding, b" HTTP/1.1\r\nhost: x\r\n\r\n"]);
    assert!(response.starts_with("HTTP/1.1 414 ") || response.starts_with("HTTP/1.1 431 "), "{response}");
    let response = exchange(&server, &[b"DELETE /learnings/a HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n", &padding]);
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
}

#[test]
fn response_does_not_wait_for_the_body() {
    let server = Setup::jwt().start();
    for headers in [
        "content-length: 5\r\n",
        "content-length: 5000000\r\n",
        "transfer-encoding: chunked\r\n",
        "content-length: 5\r\nexpect: 100-continue\r\n",
    ] {
        let start = Instant::now();
        let mut stream = connect(&server);
        stream.write_all(format!("{}\r\n", head(headers)).as_bytes()).expect("the head can be sent");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("a status");
        assert!(status.starts_with(b"HTTP/1.1 ") && start.elapsed() < Duration::from_secs(1), "{headers}");
    }
}

#[test]
fn connection_is_used_again_after_a_small_body() {
    let server = Setup::jwt().start();
    let body = b"{\"reason\": \"test\"}";
    let length = format!("content-length: {}\r\n", body.len());
    let requests = [
        head(&length).into_bytes(),
        b"\r\n".to_vec(),
        body.to_vec(),
        head("transfer-encoding: chunked\r\n\r\n").into_bytes(),
        chunked(body, 5),
        b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
    ];
    // Pipelined, and with pauses.
    let pipelined = exchange(&server, &[&requests.concat()]);
    let mut stream = connect(&server);
    stream.set_nodelay(true).expect("an option can be set");
    for part in &requests {
        stream.write_all(part).expect("the connection is open");
        thread::sleep(Duration::from_millis(10));
    }
    let mut paused = String::new();
    stream.read_to_string(&mut paused).expect("the responses");
    for (responses, first) in [(pipelined, 204), (paused, 404)] {
        let statuses: Vec<&str> = responses.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
        assert_eq!(statuses, [first.to_string().as_str(), "404", "200"], "{responses}");
    }
}

#[test]
fn response_announces_that_the_connection_closes() {
    let server = Setup::jwt().start();
    let chunks = chunked(&vec![b'x'; FIVE_MEGABYTES], 1000);
    // The largest body that is read, and a longer one.
    let (read, longer) = (vec![b'x'; 65_536], vec![b'x'; 65_537]);
    for (headers, body, is_closed) in [
        ("content-length: 65536\r\n", read.as_slice(), false),
        ("content-length: 65537\r\n", &longer, true),
        ("content-length: 5\r\n", b"hello".as_slice(), false),
        ("transfer-encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", false),
        ("content-length: 5\r\n", b"hell", true),
        ("content-length: 5000000\r\n", b"hello", true),
        ("transfer-encoding: chunked\r\n", b"5\r\nhello\r\n", true),
        ("transfer-encoding: chunked\r\n", b"x\r\n", true),
        ("transfer-encoding: chunked\r\n", &chunks, true),
        ("content-length: 5\r\nexpect: 100-continue\r\n", b"hello", true),
    ] {
        let mut stream = connect(&server);
        stream.write_all(&[head(headers).as_bytes(), b"\r\n", body].concat()).expect("the request can be sent");
        let mut response = String::new();
        let mut lines = BufReader::new(stream);
        while !response.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut response).expect("a line"), 0, "{response}");
        }
        assert_eq!(response.contains("connection: close\r\n"), is_closed, "{headers}: {response}");
    }
}

#[test]
fn unfinished_body_does_not_hold_a_connection() {
    let settings = "server.max_connections = 1\nserver.header_read_timeout_ms = 500".to_owned();
    let server = Setup { settings, ..Setup::jwt() }.start();
    for (headers, body) in [
        ("content-length: 10\r\n", "hello"),
        ("content-length: 10000000\r\n", "hello"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("content-length: 10\r\nexpect: 100-continue\r\n", ""),
    ] {
        let mut stalled = connect(&server);
        stalled.write_all(format!("{}\r\n{body}", head(headers)).as_bytes()).expect("the head can be sent");
        let start = Instant::now();
        // It waits until the first connection is closed.
        assert_eq!(server.request("GET", "/health", &[]).status, 200);
        assert!(start.elapsed() < Duration::from_secs(5), "{headers}: {:?}", start.elapsed());
        let mut response = String::new();
        stalled.read_to_string(&mut response).expect("the response and the end");
        assert!(response.starts_with("HTTP/1.1 "), "{headers}: {response}");
    }
    // A client that never stops is disconnected too.
    let mut endless = connect(&server);
    let start = Instant::now();
    endless
        .write_all(format!("{}\r\n", head("transfer-encoding: chunked\r\n")).as_bytes())
        .expect("the head can be sent");
    while endless.write_all(b"5\r\nhello\r\n").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "the connection is still open");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn half_closed_connection_receives_the_response() {
    let server = Setup::jwt().start();
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let requests = [
        head("\r\n"),
        head("content-length: 10\r\n\r\nhello"),
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
    ];
    let mut streams = requests.map(|request| {
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).expect("the request can be sent");
        stream.shutdown(Shutdown::Write).expect("the sending side can be closed");
        stream
    });
    thread::sleep(Duration::from_millis(300));
    lock.execute_batch("COMMIT").expect("the lock can be released");
    let responses = streams.each_mut().map(|stream| {
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        response
    });
    let mut deletes: Vec<&str> = responses[..2].iter().map(|response| &response[..12]).collect();
    deletes.sort_unstable();
    assert_eq!(deletes, ["HTTP/1.1 204", "HTTP/1.1 404"]);
    assert!(responses[2].starts_with("HTTP/1.1 200 "), "{responses:?}");
    assert!(responses[3].contains("HTTP/1.1 200 ") && responses[3].contains("HTTP/1.1 404 "), "{responses:?}");
}

#[test]
fn idle_connection_does_not_delay_shutdown() {
    let mut server = Setup::jwt().start();
    let mut streams = [connect(&server), connect(&server)];
    streams[0].write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").expect("the request can be sent");
    streams[0].read_exact(&mut [0; 64]).expect("a response");
    let start = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
