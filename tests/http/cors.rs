//! CORS: which pages of other origins can use the API in a browser, and the headers that tell the browser.

use crate::support::server::{Response, Setup, TestServer};
use crate::support::token::{admin, user};

const DECISION: &str = "/learnings/decision_1";
const CONTROL_PLANE: &str = "https://os.agno.com";

fn with_origins(origins: &str) -> Setup {
    Setup { settings: format!("server.cors.allowed_origins = {origins}"), ..Setup::jwt() }
}

/// Sends a preflight for a `DELETE` with an `Authorization` header, as a browser does.
fn preflight(server: &TestServer, target: &str, origin: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "DELETE"),
        ("access-control-request-headers", "authorization,x-custom"),
    ];
    server.request("OPTIONS", target, &headers)
}

fn assert_allowed(response: &Response, origin: &str) {
    assert_eq!(response.header("access-control-allow-origin"), Some(origin), "{response:?}");
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
    let exposed = response.header("access-control-expose-headers").expect("the header");
    assert!(exposed.contains("X-Request-Id") && exposed.contains("Retry-After"), "{exposed}");
    assert!(response.header("vary").is_some_and(|vary| vary.contains("Origin")), "{response:?}");
}

fn assert_not_allowed(response: &Response) {
    assert!(!format!("{response:?}").contains("access-control-"), "{response:?}");
}

#[test]
fn page_of_the_control_plane_can_read_every_response() {
    let server = Setup { settings: "sqlite.busy_timeout_ms = 100".to_owned(), ..Setup::jwt() }.start();
    let send = |method: &str, target: &str, token: Option<String>| {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("origin", CONTROL_PLANE)];
        headers.extend(authorization.iter().map(|value| ("authorization", value.as_str())));
        let response = server.request(method, target, &headers);
        assert_allowed(&response, CONTROL_PLANE);
        response.status
    };
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    assert_eq!(send("DELETE", DECISION, Some(user("alice"))), 503);
    lock.execute_batch("COMMIT").expect("the lock can be released");
    assert_eq!(send("DELETE", DECISION, None), 401);
    assert_eq!(send("DELETE", DECISION, Some("bad".to_owned())), 401);
    assert_eq!(send("DELETE", DECISION, Some(user("alice"))), 204);
    assert_eq!(send("DELETE", DECISION, Some(user("alice"))), 404);
    assert_eq!(send("DELETE", &format!("{DECISION}?db_id=a&db_id=b"), Some(user("alice"))), 400);
    assert_eq!(send("DELETE", "/learnings/session_context_shared", Some(user("alice"))), 403);
    assert_eq!(send("GET", DECISION, None), 405);
    assert_eq!(send("GET", "/nowhere", None), 404);
    assert_eq!(send("GET", "/health", None), 200);
    assert_eq!(send("HEAD", "/openapi.json", None), 200);
    server.database("main").execute("DROP TABLE agno_learnings");
    assert_eq!(send("DELETE", DECISION, Some(admin())), 500);
    assert_eq!(send("GET", "/health", None), 503);
}

#[test]
fn agnos_origins_are_allowed_by_default() {
    let server = Setup::jwt().start();
    for origin in [
        "http://localhost:3000",
        "https://agno.com",
        "https://www.agno.com",
        "https://app.agno.com",
        "https://os-stg.agno.com",
        "https://os.agno.com",
    ] {
        assert_allowed(&server.request("GET", "/health", &[("origin", origin)]), origin);
    }
    for origin in [
        "https://evil.example",
        "http://os.agno.com",
        "https://os.agno.com:8443",
        "https://os.agno.com.evil.example",
        "https://OS.agno.com",
        "https://evil-agno.com",
        "http://localhost",
        "null",
        "*",
        "",
    ] {
        let response = server.request("GET", "/health", &[("origin", origin)]);
        assert_not_allowed(&response);
        assert_eq!(response.header("vary"), Some("Origin"), "a cache must not use the response for another origin");
    }
    let response = server.request("GET", "/health", &[]);
    assert_not_allowed(&response);
    assert_eq!(response.header("vary"), Some("Origin"));
}

#[test]
fn preflight_is_answered_without_credentials_or_a_decision() {
    let server = Setup::jwt().start();
    for target in [DECISION, "/learnings/a%2Fb?db_id=main", "/health", "/openapi.json", "/nowhere"] {
        let response = preflight(&server, target, CONTROL_PLANE);
        assert_eq!((response.status, response.body.as_str()), (200, ""), "{response:?}");
        assert_allowed(&response, CONTROL_PLANE);
        assert!(response.header("access-control-allow-methods").is_some_and(|methods| methods.contains("DELETE")));
        assert_eq!(response.header("access-control-allow-headers"), Some("authorization,x-custom"));
        assert_eq!(response.header("access-control-max-age"), Some("600"));
        assert!(response.header("vary").is_some_and(|vary| vary.contains("Access-Control-Request-Headers")));
        assert_eq!(response.header("access-control-allow-private-network"), None);
    }
    let private = [
        ("origin", CONTROL_PLANE),
        ("access-control-request-method", "DELETE"),
        ("access-control-request-private-network", "true"),
    ];
    let response = server.request("OPTIONS", DECISION, &private);
    assert_eq!(response.header("access-control-allow-private-network"), Some("true"));
    assert_eq!(response.header("access-control-allow-headers"), None);
    assert!(server.database("main").contains("decision_1"));
    assert!(!server.log().contains("\"target\":\"audit\""), "no preflight reaches the policy");
}

#[test]
fn disallowed_preflight_is_400_without_cors_headers() {
    let server = Setup::jwt().start();
    for origin in ["https://evil.example", "null"] {
        let response = preflight(&server, DECISION, origin);
        response.assert_error(400, "Disallowed CORS origin", "BAD_REQUEST");
        assert_not_allowed(&response);
        assert!(response.header("vary").is_some_and(|vary| vary.contains("Origin")));
    }
    let headers = [("origin", CONTROL_PLANE), ("access-control-request-method", "PURGE")];
    let response = server.request("OPTIONS", DECISION, &headers);
    response.assert_error(400, "Disallowed CORS method", "BAD_REQUEST");
    let two = format!(
        "OPTIONS {DECISION} HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: {CONTROL_PLANE}\r\norigin: https://agno.com\r\n\
         access-control-request-method: DELETE\r\n\r\n"
    );
    let response = server.send_raw(two.as_bytes());
    assert!(response.starts_with("HTTP/1.1 400 ") && !response.contains("access-control-"), "{response}");
}

#[test]
fn options_request_that_is_no_preflight_is_405() {
    let server = Setup::jwt().start();
    for headers in [vec![], vec![("origin", CONTROL_PLANE)], vec![("access-control-request-method", "DELETE")]] {
        let response = server.request("OPTIONS", DECISION, &headers);
        response.assert_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
        assert_eq!(response.header("allow"), Some("DELETE"));
    }
    // Another method with the headers of a preflight is no preflight.
    let headers = [("origin", CONTROL_PLANE), ("access-control-request-method", "DELETE")];
    assert_eq!(server.request("DELETE", DECISION, &headers).status, 401);
}

#[test]
fn origins_of_the_operator_replace_agnos() {
    let server = with_origins(r#"["https://*.example.com", "http://pr-*.test:8080", "http://[::1]:3000"]"#).start();
    for origin in ["https://a.example.com", "http://pr-12.test:8080", "http://[::1]:3000"] {
        assert_allowed(&server.request("DELETE", DECISION, &[("origin", origin)]), origin);
        assert_allowed(&preflight(&server, DECISION, origin), origin);
    }
    for origin in [
        CONTROL_PLANE,
        "https://example.com",
        "https://a.b.example.com",
        "https://a.example.com.evil.example",
        "https://evil.example/.example.com",
        "http://pr-.test:8080",
        "http://pr-12.test",
    ] {
        assert_not_allowed(&server.request("DELETE", DECISION, &[("origin", origin)]));
        assert_not_allowed(&preflight(&server, DECISION, origin));
    }
}

#[test]
fn star_allows_every_origin_with_credentials() {
    let server = with_origins(r#"["*"]"#).start();
    for origin in ["https://anything.example", "null", "http://localhost:1234"] {
        // Browsers refuse a literal `*` for a request with credentials.
        assert_allowed(&server.request("DELETE", DECISION, &[("origin", origin)]), origin);
        assert_allowed(&preflight(&server, DECISION, origin), origin);
    }
    assert!(!server.log().contains("every origin"), "a token is needed");
    let open = Setup { auth: "mode = \"none\"\n".to_owned(), ..with_origins(r#"["*"]"#) }.start();
    open.wait_for_log(&["WARN", "server.cors.allowed_origins", "auth.mode"]);
}

#[test]
fn empty_list_turns_cors_off() {
    let server = with_origins("[]").start();
    let response = server.request("DELETE", DECISION, &[("origin", CONTROL_PLANE)]);
    assert_not_allowed(&response);
    assert_eq!((response.status, response.header("vary")), (401, None));
    let response = preflight(&server, DECISION, CONTROL_PLANE);
    assert_not_allowed(&response);
    response.assert_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
}

#[test]
fn invalid_origin_prevents_startup() {
    for (origin, parts) in [
        ("https://os.agno.com/", "write \"https://os.agno.com\""),
        ("https://os.agno.com/page", "write \"https://os.agno.com\""),
        ("os.agno.com", "write \"https://os.agno.com\""),
        ("HTTPS://os.agno.com", "write \"https://os.agno.com\""),
        ("https://OS.agno.com", "write \"https://os.agno.com\""),
        ("https://os.agno.com:443", "write \"https://os.agno.com\""),
        ("http://os.agno.com:80", "write \"http://os.agno.com\""),
        ("https://*", "every origin"),
        ("https://example.*", "followed by a domain"),
        ("http://localhost:*", "port"),
        ("", "host"),
        ("null", "sandboxed"),
    ] {
        let setup = with_origins(&format!("[\"https://agno.com\", \"{origin}\"]"));
        let directory = tempfile::TempDir::new().expect("a directory");
        let Err(error) = setup.try_start_in(directory) else { panic!("{origin} is accepted") };
        assert!(error.contains("server.cors.allowed_origins[1]") && error.contains(parts), "{origin}: {error}");
    }
    let setup = Setup { settings: "server.cors.origins = []".to_owned(), ..Setup::jwt() };
    let Err(error) = setup.try_start_in(tempfile::TempDir::new().expect("a directory")) else {
        panic!("it is accepted")
    };
    assert!(error.contains("server.cors.origins") && error.contains("unknown key"), "{error}");
}
