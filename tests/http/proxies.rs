//! `server.trusted_proxies`: the address of the client in audit events, in the log, and in the limit of failed tokens.

use crate::support::accounts::create_table;
use crate::support::server::{Setup, TestServer};
use crate::support::token::user;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns a configuration with these trusted proxies. The tests connect from 127.0.0.1.
fn with_proxies(proxies: &str) -> Setup {
    Setup { settings: format!("server.trusted_proxies = {proxies}"), ..Setup::jwt() }
}

/// Sends a request with these headers, and returns the address of the client in its audit event and in its log line.
fn logged_client(server: &TestServer, headers: &[(&str, &str)]) -> String {
    let authorization = format!("Bearer {}", user("alice"));
    let headers = [headers, &[("authorization", authorization.as_str())]].concat();
    let response = server.request("DELETE", "/learnings/absent", &headers);
    assert_eq!(response.status, 404, "{response:?}");
    let id = format!("\"request_id\":\"{}\"", response.header("x-request-id").expect("an id"));
    let audit = server.wait_for_log(&["\"target\":\"audit\"", &id]);
    let request = server.wait_for_log(&["\"target\":\"request\"", &id]);
    assert_eq!(audit["client"], request["client"]);
    audit["client"].as_str().expect("text").to_owned()
}

#[test]
fn forwarding_headers_are_ignored_by_default() {
    let server = Setup::jwt().start();
    for header in [(FORWARDED_FOR, "203.0.113.9"), ("forwarded", "for=203.0.113.9"), ("x-real-ip", "203.0.113.9")] {
        assert_eq!(logged_client(&server, &[header]), "127.0.0.1");
    }
}

#[test]
fn forwarding_headers_of_an_untrusted_peer_are_ignored() {
    let server = with_proxies(r#"["10.0.0.0/8", "127.0.0.2", "::1"]"#).start();
    for header in
        [(FORWARDED_FOR, "203.0.113.9"), ("forwarded", "for=203.0.113.9"), (FORWARDED_FOR, "1.1.1.1, 10.0.0.2")]
    {
        assert_eq!(logged_client(&server, &[header]), "127.0.0.1");
    }
}

#[test]
fn client_is_the_last_address_that_is_not_a_trusted_proxy() {
    let server = with_proxies(r#"["127.0.0.1", "10.0.0.0/8", "2001:db8:aaaa::/48"]"#).start();
    for (name, value, client) in [
        (FORWARDED_FOR, "203.0.113.9", "203.0.113.9"),
        (FORWARDED_FOR, "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (FORWARDED_FOR, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (FORWARDED_FOR, "203.0.113.9:4711,[2001:db8:aaaa::2]:443", "203.0.113.9"),
        (FORWARDED_FOR, "[2001:db8::9]:4711", "2001:db8::9"),
        (FORWARDED_FOR, "::ffff:203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        (FORWARDED_FOR, "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("forwarded", "for=1.1.1.1, FOR=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        ("forwarded", "for=\"[2001:db8::9]:4711\";host=\"a,b\", for=\"10.0.0.2:_x\"", "2001:db8::9"),
        // Unreadable: the farthest known proxy, and never an address that the client can have forged.
        (FORWARDED_FOR, "1.1.1.1, unknown", "127.0.0.1"),
        (FORWARDED_FOR, "1.1.1.1, _hidden, 10.0.0.2", "10.0.0.2"),
        (FORWARDED_FOR, "1.1.1.1, 203.0.113.999, 10.0.0.2", "10.0.0.2"),
        (FORWARDED_FOR, "1.1.1.1,", "127.0.0.1"),
        (FORWARDED_FOR, "", "127.0.0.1"),
        ("forwarded", "for=1.1.1.1, for=unknown", "127.0.0.1"),
        ("forwarded", "for=1.1.1.1, proto=http", "127.0.0.1"),
        ("forwarded", "for=1.1.1.1;x=\", for=\"[2001:db8::9]\"", "127.0.0.1"),
    ] {
        assert_eq!(logged_client(&server, &[(name, value)]), client, "{name}: {value}");
    }
}

#[test]
fn repeated_headers_are_concatenated_in_order() {
    let server = with_proxies(r#"["127.0.0.0/8", "10.0.0.0/8"]"#).start();
    let lines = |values: [&'static str; 2]| values.map(|value| (FORWARDED_FOR, value));
    assert_eq!(logged_client(&server, &lines(["1.1.1.1", "203.0.113.9"])), "203.0.113.9");
    assert_eq!(logged_client(&server, &lines(["1.1.1.1, 203.0.113.9", "10.0.0.3, 10.0.0.2"])), "203.0.113.9");
    let lines = [("forwarded", "for=\""), ("forwarded", "for=203.0.113.9")];
    assert_eq!(logged_client(&server, &lines), "203.0.113.9");
}

#[test]
fn differing_forwarding_headers_are_ignored() {
    let server = with_proxies(r#"["127.0.0.1"]"#).start();
    let both = |value, other| logged_client(&server, &[(FORWARDED_FOR, value), ("forwarded", other)]);
    assert_eq!(both("1.1.1.1, 203.0.113.9", "for=203.0.113.9"), "203.0.113.9");
    assert_eq!(both("203.0.113.9", "for=1.1.1.1"), "127.0.0.1");
    assert_eq!(both("1.1.1.1", "for=203.0.113.9"), "127.0.0.1");
}

#[test]
fn failed_tokens_are_limited_by_the_address_of_the_client() {
    let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n", Setup::jwt().auth);
    let server = Setup { auth, ..with_proxies(r#"["127.0.0.1"]"#) }.start();
    create_table(&server.database("main"));
    let send = |index: usize, forwarded_for: &str| {
        let authorization = format!("Bearer agno_pat_bad{index}");
        let headers = [("authorization", authorization.as_str()), (FORWARDED_FOR, forwarded_for)];
        server.request("DELETE", "/learnings/x", &headers).status
    };
    // The forged first address changes with every request.
    let statuses: Vec<u16> = (0..22).map(|index| send(index, &format!("1.1.1.{index}, 203.0.113.9"))).collect();
    assert_eq!(statuses, [[401; 20].as_slice(), &[429; 2]].concat());
    assert_eq!(send(22, "203.0.113.10"), 401, "another client of the same proxy is not limited");
    assert_eq!(send(23, "203.0.113.9"), 429);
    let audit = server.wait_for_log(&["\"target\":\"audit\"", "\"status\":429"]);
    assert_eq!(audit["client"], "203.0.113.9");
}

#[test]
fn invalid_proxy_prevents_startup() {
    for (proxy, part) in [
        ("localhost", "neither an address nor a network"),
        ("10.0.0.0/33", "neither"),
        ("10.0.0.1:80", "neither"),
        ("*", "neither"),
        ("", "neither"),
        ("10.0.0.1/8", "write \"10.0.0.0/8\""),
        ("::ffff:10.0.0.0/104", "write \"10.0.0.0/8\""),
    ] {
        let setup = with_proxies(&format!("[\"127.0.0.1\", \"{proxy}\"]"));
        let directory = tempfile::TempDir::new().expect("a directory");
        let Err(error) = setup.try_start_in(directory) else { panic!("{proxy} is accepted") };
        assert!(error.contains("server.trusted_proxies[1]") && error.contains(part), "{proxy}: {error}");
    }
}
