//! A page of another origin uses the API in a real browser.

use crate::support::optional::has_tools;
use crate::support::server::Setup;
use crate::support::token::user;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A web server that serves one page, which sends its results back.
struct Page {
    port: u16,
    results: Receiver<Value>,
}

impl Page {
    /// Starts the server. Its thread runs until the test program ends.
    fn serve(listener: TcpListener, html: String) -> Self {
        let port = listener.local_addr().expect("an address").port();
        let (sender, results) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (html, sender) = (html.clone(), sender.clone());
                thread::spawn(move || answer(stream, &html, &sender));
            }
        });
        Self { port, results }
    }
}

/// Answers `GET /` with the page, and sends the query of `GET /results?…` on.
fn answer(mut stream: TcpStream, html: &str, results: &Sender<Value>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let line = lines.next()?.ok()?;
    let target = line.split(' ').nth(1)?;
    while !lines.next()?.ok()?.is_empty() {}
    let (status, body) = match target.strip_prefix("/results?") {
        Some(query) => {
            let text = percent_encoding::percent_decode_str(query).decode_utf8().ok()?;
            results.send(serde_json::from_str(&text).ok()?).ok()?;
            ("200 OK", "")
        }
        None if target == "/" => ("200 OK", html),
        None => ("404 Not Found", ""),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n");
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()
}

/// A browser. It is killed when dropped.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = TempDir::new().expect("a directory");
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts");
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each request and reports its status, its id and its error code, or that the browser hides the response.
const SCRIPT: &str = r#"
    const results = [];
    for (const [method, path, options] of requests) {
        try {
            const response = await fetch(server + path, { method, ...options });
            const text = await response.text();
            const { error_code } = text ? JSON.parse(text) : {};
            results.push([response.status, Boolean(response.headers.get('X-Request-Id')), error_code ?? null]);
        } catch (error) {
            results.push(error.name);
        }
    }
    await fetch('/results?' + encodeURIComponent(JSON.stringify(results)));
"#;

#[test]
fn page_of_an_allowed_origin_deletes_and_reads_the_response() {
    if !has_tools(&["chromium"], "CORS in a real browser") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // The page has two origins, one of which is allowed.
    let settings = format!("server.cors.allowed_origins = [\"http://localhost:{port}\"]\nsqlite.busy_timeout_ms = 100");
    let server = Setup { settings, ..Setup::jwt() }.start();
    let authorization = format!("Bearer {}", user("alice"));
    let valid = json!({ "headers": { "Authorization": authorization } });
    let with_cookies =
        json!({ "headers": { "Authorization": authorization, "X-Custom": "1" }, "credentials": "include" });
    let with_body =
        json!({ "headers": { "Authorization": authorization, "Content-Type": "application/json" }, "body": "{}" });
    let requests = json!([
        ["DELETE", "/learnings/decision_1", valid],
        ["DELETE", "/learnings/decision_1", with_cookies],
        ["DELETE", "/learnings/user_profile_alice@example.com", with_body],
        ["DELETE", "/learnings/decision_1", {}],
        ["DELETE", "/learnings/session_context_shared", valid],
        ["PATCH", "/learnings/decision_1", valid],
        ["GET", "/health", {}],
    ]);
    let address = server.address;
    let html = format!(
        "<!doctype html><script type=module>const server = 'http://{address}'; const requests = {requests};{SCRIPT}</script>"
    );
    let page = Page::serve(listener, html);
    let open = |host: &str| {
        let _browser = Browser::open(&format!("http://{host}:{}/", page.port));
        match page.results.recv_timeout(Duration::from_secs(60)) {
            Ok(results) => results,
            Err(RecvTimeoutError::Timeout) => panic!("the page did not report within a minute:\n{}", server.log()),
            Err(RecvTimeoutError::Disconnected) => panic!("the web server has stopped"),
        }
    };

    let hidden = open("127.0.0.1");
    assert_eq!(hidden, Value::from(vec!["TypeError"; 7]), "the browser hides every response from another origin");
    assert!(server.database("main").contains("decision_1"), "no preflight is allowed, so nothing was deleted");
    let readable = open("localhost");
    let expected = json!([
        [204, true, null],
        [404, true, "NOT_FOUND"],
        [204, true, null],
        [401, true, "UNAUTHENTICATED"],
        [403, true, "FORBIDDEN"],
        [405, true, "METHOD_NOT_ALLOWED"],
        [200, true, null],
    ]);
    assert_eq!(readable, expected);
    assert!(!server.database("main").contains("decision_1"));
}
