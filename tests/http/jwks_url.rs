//! A JSON Web Key Set at a URL: rotation, outages, and a server that misbehaves.

use super::credentials::{assert_accepted, assert_rejected};
use super::signers::{Signer, ed25519};
use crate::support::https::{Answer, HttpsServer};
use crate::support::optional::has_tools;
use crate::support::server::{Setup, TestServer};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

/// The server fetches again for an unknown `kid` only after this time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// A fetch ends after this time.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the answer with these keys, whose `kid`s are their positions.
fn keys(signers: &[&Signer]) -> Answer {
    let keys = signers.iter().map(|signer| {
        let mut key = signer.jwk.clone();
        key["kid"] = json!(kid(signer));
        key
    });
    Answer::Body(String::new(), json!({ "keys": keys.collect::<Vec<_>>() }).to_string())
}

fn kid(signer: &Signer) -> String {
    signer.jwk["x"].as_str().expect("text").chars().take(8).collect()
}

fn token(signer: &Signer) -> String {
    signer.token(json!({ "kid": kid(signer) }))
}

/// Starts a server that fetches from this host and trusts this authority.
fn start(host: &str, https: &HttpsServer) -> TestServer {
    let authority = https.authority.display().to_string();
    start_with(host, https, vec![("SSL_CERT_FILE", authority)])
}

fn start_with(host: &str, https: &HttpsServer, environment: Vec<(&'static str, String)>) -> TestServer {
    let url = format!("https://{host}:{}/keys?client=secret-of-the-query", https.port);
    let auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_url = \"{url}\"\n");
    Setup { environment, ..Setup::with_auth(&auth) }.start()
}

fn status(server: &TestServer, token: &str) -> u16 {
    server.delete("/learnings/absent", Some(token)).status
}

#[test]
fn rotated_key_at_a_url_is_used() {
    if !has_tools(&["openssl"], "a key set at a URL") {
        return;
    }
    let [first, second, third] = [ed25519(), ed25519(), ed25519()];
    let https = HttpsServer::start(keys(&[&first]));
    let server = start("localhost", &https);
    let first_token = token(&first);
    assert_accepted(&server, &first_token);
    assert_eq!(https.requests(), 1);

    // A new key is fetched when the first token with its `kid` arrives.
    https.set_answer(keys(&[&first, &second]));
    thread::sleep(REFRESH_INTERVAL);
    // A token with a known `kid` is no reason to fetch, even if its signature is invalid.
    assert_rejected(&server, &second.token(json!({ "kid": kid(&first) })), "Invalid token");
    assert_eq!(https.requests(), 1);
    // An unknown one is, also if another key signed that token.
    assert_rejected(&server, &third.token(json!({ "kid": kid(&second) })), "Invalid token");
    assert_eq!(https.requests(), 2);
    assert_accepted(&server, &token(&second));
    assert_eq!(https.requests(), 2);
    assert_accepted(&server, &first_token);

    // Invented `kid`s cause few fetches.
    for index in 0..50 {
        assert_rejected(&server, &third.token(json!({ "kid": format!("invented-{index}") })), "Invalid token");
    }
    assert_rejected(&server, &third.token(json!({})), "Invalid token");
    assert!(https.requests() <= 3, "{}", https.requests());

    // A key that is removed verifies nothing any more, and cached tokens end with it.
    https.set_answer(keys(&[&third]));
    thread::sleep(REFRESH_INTERVAL);
    assert_accepted(&server, &token(&third));
    assert_rejected(&server, &first_token, "Invalid token");
    assert!(!server.log().contains("secret-of-the-query"));
}

#[test]
fn known_keys_survive_an_outage_and_an_unknown_key_is_refused() {
    if !has_tools(&["openssl"], "an outage of a key set at a URL") {
        return;
    }
    let [known, unknown] = [ed25519(), ed25519()];
    thread::scope(|scope| {
        for (answer, logged) in [
            (Answer::Disconnect, ["cannot fetch the key set", ""]),
            (Answer::Status("500 Internal Server Error".to_owned()), ["cannot fetch the key set", "500"]),
            (keys(&[]), ["the key set has changed and cannot be used", "last good one stays"]),
        ] {
            let (known, unknown) = (&known, &unknown);
            scope.spawn(move || {
                let https = HttpsServer::start(keys(&[known]));
                let server = start("localhost", &https);
                assert_accepted(&server, &token(known));
                https.set_answer(answer);
                thread::sleep(REFRESH_INTERVAL);
                assert_rejected(&server, &token(unknown), "Invalid token");
                assert_eq!(https.requests(), 2, "the set was fetched again");
                assert_accepted(&server, &token(known));
                server.wait_for_log(&logged);
            });
        }
    });
}

/// Without a token with another `kid`, a withdrawn key is noticed when the `max-age` of the set has passed.
#[test]
fn withdrawn_key_at_a_url_is_refused_after_max_age() {
    if !has_tools(&["openssl"], "a key set at a URL with a max-age") {
        return;
    }
    let [first, second] = [ed25519(), ed25519()];
    let with_max_age = |signer: &Signer, seconds: u32| match keys(&[signer]) {
        Answer::Body(_, body) => Answer::Body(format!("Cache-Control: public, max-age={seconds}\r\n"), body),
        other => other,
    };
    let https = HttpsServer::start(with_max_age(&first, 0));
    let server = start("localhost", &https);
    let token = token(&first);
    assert_accepted(&server, &token);
    https.set_answer(with_max_age(&second, 3600));
    let (begin, mut status_after) = (Instant::now(), 404);
    while status_after == 404 && begin.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(100));
        status_after = status(&server, &token);
    }
    assert_eq!(status_after, 401, "{}", server.log());
    assert_eq!(https.requests(), 2);
}

/// The start takes as long as one fetch, and tokens are answered 503 until one succeeds.
#[test]
fn server_starts_without_its_key_set_and_answers_503() {
    if !has_tools(&["openssl"], "a key set at a URL that misbehaves") {
        return;
    }
    let signer = ed25519();
    thread::scope(|scope| {
        for (host, answer, reason) in [
            ("localhost", Answer::Silence, "timeout"),
            ("localhost", Answer::Endless, "limit"),
            ("localhost", Answer::Disconnect, "cannot fetch the key set"),
            ("localhost", Answer::Status("302 Found\r\nLocation: https://localhost/".to_owned()), "is a redirect"),
            ("localhost", Answer::Status("404 Not Found".to_owned()), "404"),
            ("localhost", Answer::Body(String::new(), "<html>".to_owned()), "not a JSON Web Key Set"),
            // The certificate is for `localhost`.
            ("127.0.0.1", keys(&[&signer]), "certificate"),
        ] {
            let signer = &signer;
            scope.spawn(move || {
                let https = HttpsServer::start(answer);
                let begin = Instant::now();
                let server = start(host, &https);
                let fetch_time = if reason == "timeout" { FETCH_TIMEOUT } else { Duration::ZERO };
                let start_time = begin.elapsed();
                assert!(start_time >= fetch_time && start_time < Duration::from_secs(10), "{reason}: {start_time:?}");
                let response = server.delete("/learnings/absent", Some(&token(signer)));
                assert_eq!((response.status, response.header("retry-after")), (503, Some("1")), "{reason}");
                let line = server.wait_for_log(&["ERROR", reason]).to_string();
                assert!(line.contains(&format!("https://{host}:")), "the log names the URL: {line}");
                assert!(!server.log().contains("secret-of-the-query"), "{reason}");
                if host == "localhost" {
                    https.set_answer(keys(&[signer]));
                    let end = Instant::now() + Duration::from_secs(20);
                    while status(&server, &token(signer)) != 404 {
                        assert!(Instant::now() < end, "{reason}: {}", server.log());
                        thread::sleep(Duration::from_millis(200));
                    }
                }
            });
        }
    });
}

#[test]
fn key_set_of_an_untrusted_authority_is_not_used() {
    if !has_tools(&["openssl"], "a key set at a URL with an untrusted certificate") {
        return;
    }
    let signer = ed25519();
    let (https, other) = (HttpsServer::start(keys(&[&signer])), HttpsServer::start(keys(&[])));
    let server = start_with("localhost", &https, vec![("SSL_CERT_FILE", other.authority.display().to_string())]);
    assert_eq!(status(&server, &token(&signer)), 503);
    server.wait_for_log(&["cannot fetch the key set", "certificate"]);
    assert_eq!(https.requests(), 0);
}

/// A server that cannot be reached is asked after 5 s, and after 10 s more.
#[test]
fn pauses_between_failed_fetches_double() {
    if !has_tools(&["openssl"], "a key set at a URL that fails repeatedly") {
        return;
    }
    let https = HttpsServer::start(Answer::Status("503 Service Unavailable".to_owned()));
    let begin = Instant::now();
    let server = start("localhost", &https);
    while begin.elapsed() < Duration::from_secs(13) {
        assert!(https.requests() <= 2, "{:?}: {}", begin.elapsed(), https.requests());
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(https.requests(), 2, "{}", server.log());
}
