//! Requests without a usable credential: each is answered 401 with a challenge, and the log names the mistake without the
//! token.

use crate::support::server::{Setup, TestServer};
use crate::support::token::user;

/// A part of every token and key here.
const MARK: &str = "7f3c9a-a-part-of-the-token";

/// Sends alice's delete with this query and these headers. Asserts the response, and the reason in the audit event.
fn assert_refused(server: &TestServer, query: &str, headers: &[(&str, &str)], detail: &str, reason: &str) {
    let target = format!("/learnings/decision_1{query}");
    let response = server.request("DELETE", &target, headers);
    response.assert_error(401, detail, "UNAUTHENTICATED");
    let challenge = response.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    let id = response.header("x-request-id").expect("an id");
    let event = server.wait_for_log(&["\"target\":\"audit\"", id]);
    let error = event["identity_error"].as_str().expect("a reason");
    assert!(error.contains(reason), "{query} {headers:?}: {error:?} does not contain {reason:?}");
    assert!(!server.log().contains(MARK) && !response.body.contains(MARK), "{query} {headers:?}: {}", server.log());
}

#[test]
fn misplaced_token_is_401_and_logged_without_the_token() {
    for setup in [Setup::jwt(), Setup::security_key("the key")] {
        let server = setup.start();
        let is_jwt = server.delete("/learnings/x", Some("the key")).status == 401;
        let missing = if is_jwt { "Authorization header missing" } else { "Authorization header required" };
        let bearer = format!("Bearer {MARK}");
        for (query, headers, place) in [
            (String::new(), vec![], "no Authorization header"),
            (format!("?access_token={MARK}"), vec![], "the token in the query parameter access_token is not read"),
            (format!("?db_id=main&Token={MARK}"), vec![], "the query parameter token"),
            (format!("?api_key={MARK}"), vec![], "the query parameter api_key"),
            (String::new(), vec![("cookie", format!("a=b; access_token={MARK}"))], "the cookie access_token"),
            (String::new(), vec![("cookie", format!("session={MARK}"))], "the cookie session"),
            (String::new(), vec![("x-api-key", MARK.to_owned())], "the header x-api-key"),
            (String::new(), vec![("proxy-authorization", bearer.clone())], "the header proxy-authorization"),
            (String::new(), vec![("x-authorization", bearer.clone())], "the header x-authorization"),
            (String::new(), vec![("cookie", "theme=dark; tokens=1".to_owned())], "no Authorization header"),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_refused(&server, &query, &headers, missing, place);
        }
        assert!(server.database("main").contains("decision_1"));
    }
}

#[test]
fn malformed_or_foreign_credential_is_401_and_logged_without_the_token() {
    let malformed = "Authorization header must be one 'Bearer <token>'";
    let not_enabled = "Service accounts are not enabled on this AgentOS instance";
    let (token, account) = (format!("{MARK}.x.y"), format!("agno_pat_{MARK}"));
    let jwt = Setup::jwt().start();
    let missing = "Authorization header missing";
    for (value, detail, reason) in [
        ("Bearer".to_owned(), missing, "without a token"),
        ("Bearer   ".to_owned(), missing, "without a token"),
        (String::new(), malformed, "not the Bearer scheme"),
        (format!("Basic {MARK}"), malformed, "not the Bearer scheme"),
        (format!("Token {MARK}"), malformed, "not the Bearer scheme"),
        (MARK.to_owned(), malformed, "not the Bearer scheme"),
        (format!(" {MARK}"), malformed, "not the Bearer scheme"),
        (format!("Bearer {account}"), not_enabled, "no account store is configured"),
        (format!("Bearer {MARK}"), "Invalid token", "not three parts"),
        (format!("Bearer {token}"), "Invalid token", "token refused"),
        (format!("Bearer Bearer {token}"), "Invalid token", "token refused"),
    ] {
        assert_refused(&jwt, "", &[("authorization", &value)], detail, reason);
    }

    let key = Setup::security_key("the key").start();
    for (value, detail, reason) in [
        (format!("Bearer {MARK}"), "Invalid authentication token", "not the security key"),
        (format!("Bearer {account}"), not_enabled, "no account store is configured"),
    ] {
        assert_refused(&key, "", &[("authorization", &value)], detail, reason);
    }
    let foreign = user("alice");
    let response = key.delete("/learnings/decision_1", Some(&foreign));
    response.assert_error(401, "Invalid authentication token", "UNAUTHENTICATED");
    key.wait_for_log(&["audit", "a JSON Web Token, and auth.mode is \\\"security-key\\\""]);
    assert!(!key.log().contains(&foreign));
}
