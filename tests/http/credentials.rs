//! Credentials: signature algorithms, verified claims, and requirements on keys.

use super::signers::{Signer, asymmetric, ed25519, rsa};
use crate::support::server::{Setup, TestServer};
use crate::support::token::{SECRET, now, signed_by, user, with_claims};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const ALICE_PROFILE: &str = "/learnings/user_profile_alice@example.com";
const ABSENT: &str = "/learnings/absent";

fn with_key(algorithm: &str, key: &str) -> Setup {
    Setup::with_auth(&format!(
        "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\nverification_keys = [{}]\n",
        Value::from(key)
    ))
}

/// Asserts that a token is accepted: only an authenticated caller gets 404 for an absent record.
pub(super) fn assert_accepted(server: &TestServer, token: &str) {
    assert_eq!(server.delete(ABSENT, Some(token)).status, 404, "{}", server.log());
}

pub(super) fn assert_rejected(server: &TestServer, token: &str, detail: &str) {
    server.delete(ALICE_PROFILE, Some(token)).assert_error(401, detail, "UNAUTHENTICATED");
}

#[test]
fn asymmetric_algorithm_verifies_only_its_own_key() {
    let signers = asymmetric();
    for (index, signer) in signers.iter().enumerate() {
        let server = with_key(signer.algorithm, &signer.pem).start();
        assert_accepted(&server, &signer.token(json!({})));
        // Signed by another key with another algorithm, then with a signature of zeros and the right algorithm.
        let other = &signers[(index + 1) % signers.len()];
        assert_rejected(&server, &other.token(json!({})), "Invalid token");
        let forged = Signer { algorithm: signer.algorithm, sign: Box::new(|_| vec![0; 64]), ..ed25519() };
        assert_rejected(&server, &forged.token(json!({})), "Invalid token");
    }
}

#[test]
fn hmac_algorithm_accepts_only_its_secret_not_a_public_key() {
    let secret = "s".repeat(64);
    for (algorithm, hash) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        let server = with_key(algorithm, &secret).start();
        let claims = json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 });
        let sign = |key: &str| {
            signed_by(json!({ "alg": algorithm }), claims.clone(), |message| {
                hmac::sign(&hmac::Key::new(hash, key.as_bytes()), message).as_ref().to_vec()
            })
        };
        assert_accepted(&server, &sign(&secret));
        assert_rejected(&server, &sign("another secret"), "Invalid token");
    }

    // Algorithm confusion: an HMAC with the public key as its secret, sent to a server that expects an RSA signature.
    let signer = rsa("RS256", &signature::RSA_PKCS1_SHA256);
    let server = with_key("RS256", &signer.pem).start();
    for alg in ["HS256", "RS256", "none", "None", ""] {
        let token =
            signed_by(json!({ "alg": alg }), json!({ "sub": "alice", "scopes": ["agent_os:admin"] }), |message| {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, signer.pem.as_bytes()), message).as_ref().to_vec()
            });
        assert_rejected(&server, &token, "Invalid token");
    }
    let unsigned = signed_by(json!({ "alg": "none" }), json!({ "scopes": ["agent_os:admin"] }), |_| Vec::new());
    assert_rejected(&server, &unsigned, "Invalid token");
}

/// Environment files have PEM in one line.
#[test]
fn verification_key_in_one_line_is_accepted() {
    for signer in [rsa("RS256", &signature::RSA_PKCS1_SHA256), ed25519()] {
        let one_line = signer.pem.trim();
        for pem in [
            one_line.replace("\r\n", "\n").replace('\n', "\\n"),
            one_line.replace("\r\n", "\n").replace('\n', "\\r\\n") + "\\n",
            one_line.replace("\r\n", "\n").replace('\n', " "),
            one_line.replace("\r\n", "\n").replace('\n', ""),
            format!("\n  {}  \n", one_line),
        ] {
            let auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{}\"\n", signer.algorithm);
            let environment = vec![("JWT_VERIFICATION_KEY", pem)];
            let server = Setup { environment, ..Setup::with_auth(&auth) }.start();
            assert_accepted(&server, &signer.token(json!({})));
        }
    }
}

/// No request can present such a key.
#[test]
fn security_key_that_never_matches_is_refused_at_startup() {
    for (key, reason) in [
        ("schlüssel", "visible ASCII"),
        ("key\u{7f}", "visible ASCII"),
        ("a\tb", "visible ASCII"),
        ("line\nbreak", "visible ASCII"),
        (" key", "white space"),
        ("key\n", "white space"),
        ("", "white space"),
        ("agno_pat_key", "agno_pat_"),
    ] {
        let directory = tempfile::TempDir::new().expect("a directory");
        let auth = format!("mode = \"security-key\"\nsecurity_key = {}\n", Value::from(key));
        for setup in [
            Setup::with_auth(&auth.replace('\u{7f}', "\\u007F")),
            Setup {
                environment: vec![("OS_SECURITY_KEY", key.to_owned())],
                ..Setup::with_auth("mode = \"security-key\"\n")
            },
        ] {
            let directory = tempfile::TempDir::new_in(directory.path()).expect("a directory");
            let error = setup.try_start_in(directory).err().unwrap_or_else(|| panic!("{key:?}: the server started"));
            assert!(error.contains("auth.security_key") && error.contains(reason), "{key:?}: {error}");
            assert!(key.len() < 4 || !error.contains(key), "{key:?}: {error}");
        }
    }
}

#[test]
fn every_verification_key_is_tried() {
    let [old, new] = [ed25519(), ed25519()];
    let keys = json!([old.pem, new.pem]);
    let server =
        Setup::with_auth(&format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\nverification_keys = {keys}\n"))
            .start();
    assert_accepted(&server, &old.token(json!({})));
    assert_accepted(&server, &new.token(json!({})));
    assert_rejected(&server, &ed25519().token(json!({})), "Invalid token");
}

#[test]
fn time_claims_are_checked_with_leeway() {
    let server = Setup::jwt().start();
    let token = |claims: Value| {
        let mut claims = claims;
        claims["sub"] = json!("alice");
        claims["scopes"] = json!(["learnings:delete"]);
        with_claims(claims)
    };
    assert_accepted(&server, &token(json!({})));
    assert_accepted(&server, &token(json!({ "exp": now() - 5 })));
    assert_accepted(&server, &token(json!({ "nbf": now() + 5, "iat": now() + 5 })));
    assert_accepted(&server, &token(json!({ "exp": now() as f64 + 0.5 })));
    assert_rejected(&server, &token(json!({ "exp": now() - 11 })), "Token has expired");
    assert_rejected(&server, &token(json!({ "exp": 0 })), "Token has expired");
    assert_rejected(&server, &token(json!({ "exp": -1 })), "Token has expired");
    for claims in [
        json!({ "nbf": now() + 60 }),
        json!({ "iat": now() + 60 }),
        json!({ "exp": "tomorrow" }),
        json!({ "exp": null }),
        json!({ "nbf": {} }),
        json!({ "jti": 1 }),
    ] {
        assert_rejected(&server, &token(claims), "Invalid token");
    }

    let auth = format!("{}leeway_seconds = 0\n", Setup::jwt().auth);
    let server = Setup { auth, ..Setup::jwt() }.start();
    assert_rejected(&server, &token(json!({ "exp": now() - 2 })), "Token has expired");
    // A verified token is cached until it expires.
    let short = token(json!({ "exp": now() + 3 }));
    assert_accepted(&server, &short);
    assert_accepted(&server, &short);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_rejected(&server, &short, "Token has expired");
}

#[test]
fn audience_and_issuer_are_checked_if_configured() {
    let auth = format!("{}audience = \"os-1\"\nissuer = \"https://issuer.example\"\n", Setup::jwt().auth);
    let server = Setup { auth, ..Setup::jwt() }.start();
    let token = |aud: Value, iss: Value| {
        let mut claims = json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 });
        if !aud.is_null() {
            claims["aud"] = aud;
        }
        if !iss.is_null() {
            claims["iss"] = iss;
        }
        with_claims(claims)
    };
    let issuer = || json!("https://issuer.example");
    let wrong = "Invalid token audience - token not valid for this AgentOS instance";
    assert_accepted(&server, &token(json!("os-1"), issuer()));
    assert_accepted(&server, &token(json!(["other", "os-1"]), issuer()));
    assert_rejected(&server, &token(json!("os-2"), issuer()), wrong);
    assert_rejected(&server, &token(json!(["os-2"]), issuer()), wrong);
    assert_rejected(&server, &token(json!([]), issuer()), wrong);
    assert_rejected(&server, &token(json!(7), issuer()), wrong);
    assert_rejected(&server, &token(Value::Null, issuer()), "Invalid token");
    for issuer in [Value::Null, json!("https://other.example"), json!(["https://issuer.example"])] {
        assert_rejected(&server, &token(json!("os-1"), issuer), "Invalid token");
    }
    // Without configuration, neither is checked.
    let server = Setup::jwt().start();
    assert_accepted(&server, &token(json!("any"), json!("any")));
}

#[test]
fn reserved_or_non_string_subject_is_401() {
    let server = Setup::jwt().start();
    let token = |sub: Value| with_claims(json!({ "sub": sub, "scopes": ["agent_os:admin"], "exp": now() + 60 }));
    for sub in ["sa:bot", "sa:", "__oauth__:client", "__scheduler__"] {
        assert_rejected(&server, &token(json!(sub)), "Invalid token subject");
    }
    for sub in [json!(7), json!(null), json!(["alice"]), json!({})] {
        assert_rejected(&server, &token(sub), "Invalid token");
    }
    for sub in ["sale", "SA:bot", "__scheduler__2", "oauth"] {
        assert_accepted(&server, &token(json!(sub)));
    }
}

#[test]
fn malformed_token_is_401() {
    let server = Setup::jwt().start();
    let valid = user("alice");
    let parts: Vec<&str> = valid.split('.').collect();
    let [header, claims, signature] = [parts[0], parts[1], parts[2]];
    let text = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for token in [
        ".".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{claims}.{signature}=="),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{}.{claims}.{signature}", text("{}")),
        format!("{}.{claims}.{signature}", text("[1")),
        format!("{header}.{}.{signature}", text("{\"scopes\":[\"agent_os:admin\"]}")),
        "x".repeat(50_000),
    ] {
        let response = server.delete(ALICE_PROFILE, Some(&token));
        assert_eq!(response.error().0, 401, "{token}");
    }
    let with_critical_extension =
        signed_by(json!({ "alg": "HS256", "crit": ["exp"] }), json!({ "sub": "alice" }), |message| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec()
        });
    assert_rejected(&server, &with_critical_extension, "Invalid token");
    for header in [
        json!({ "alg": "HS256", "kid": 7 }),
        json!({ "alg": "HS256", "kid": null }),
        json!({ "alg": "HS256", "crit": null }),
        json!({ "alg": "HS256", "b64": false }),
    ] {
        let claims = json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 });
        let token = signed_by(header, claims, |message| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec()
        });
        assert_rejected(&server, &token, "Invalid token");
    }
    let token = with_claims(json!(["not", "an", "object"]));
    assert_rejected(&server, &token, "Invalid token");
}

#[test]
fn scopes_of_wrong_type_grant_nothing() {
    let server = Setup::jwt().start();
    for scopes in [
        json!(null),
        json!(7),
        json!({ "learnings:delete": true }),
        json!([["learnings:delete"]]),
        json!([7, "learnings:delete"]),
    ] {
        let token = with_claims(json!({ "sub": "alice", "scopes": scopes, "exp": now() + 60 }));
        assert_eq!(server.delete(ALICE_PROFILE, Some(&token)).error().0, 403);
    }
}

#[test]
fn service_account_token_is_401_if_not_enabled() {
    let server = Setup::jwt().start();
    assert_rejected(&server, "agno_pat_0123456789", "Service accounts are not enabled on this AgentOS instance");
}

#[test]
fn repeated_authorization_header_is_401() {
    let server = Setup::jwt().start();
    let value = format!("Bearer {}", user("alice"));
    let response = server.request("DELETE", ALICE_PROFILE, &[("authorization", &value), ("authorization", &value)]);
    response.assert_error(401, "Authorization header must be one 'Bearer <token>'", "UNAUTHENTICATED");
    let response = server.request("DELETE", ALICE_PROFILE, &[("authorization", "Bearer ")]);
    response.assert_error(401, "Authorization header missing", "UNAUTHENTICATED");
}

/// Deletes alice's record with these bytes as header lines, and returns the status of the response.
fn status_with_headers(server: &TestServer, lines: &[u8]) -> u16 {
    let head = format!("DELETE {ALICE_PROFILE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let response = server.send_raw(&[head.as_bytes(), lines, b"\r\n"].concat());
    let status =
        response.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no response to {:?}: {response:?}", String::from_utf8_lossy(lines)))
}

#[test]
fn malformed_authorization_header_is_rejected() {
    let bot = "mode = \"security-key\"\nsecurity_key = \"the key\"\n[auth.service_accounts]\ndatabase = \"main\"\n";
    let setups = [(Setup::jwt(), user("alice")), (Setup::with_auth(bot), "the key".to_owned())];
    for (setup, valid) in setups {
        let server = setup.start();
        let valid = valid.as_str();
        let long = "x".repeat(100_000);
        let below_the_limit = "x".repeat(60_000);
        let mut rejected: Vec<Vec<u8>> = [
            "authorization: ",
            "authorization: Bearer",
            "authorization: Basic {valid}",
            "authorization: {valid}",
            "authorization: Bearer{valid}",
            "authorization: Bearer\t{valid}",
            "authorization: Bearer {valid} {valid}",
            "authorization: Bearer {valid}, Bearer {valid}",
            "authorization: Bearer \"{valid}\"",
            "authorization: Bearer {valid}\tx",
            "authorization: Bearer é{valid}",
            "authorization: Bearer {valid}\r\nauthorization: Bearer {valid}",
            "authorization: Bearer x\r\nAuthorization: Bearer {valid}",
            "authorization: Bearer {valid}\r\nAUTHORIZATION: Basic x",
            "authorization: Bearer {below_the_limit}",
            "authorization: Bearer agno_pat_é",
            "x-authorization: Bearer {valid}",
            "proxy-authorization: Bearer {valid}",
        ]
        .map(|lines| lines.replace("{valid}", valid).replace("{below_the_limit}", &below_the_limit).into_bytes())
        .into();
        for byte in [0x80, 0xff, 0xe9, 0xc3] {
            rejected.push([b"authorization: Bearer ", valid.as_bytes(), &[byte]].concat());
            rejected.push([b"authorization: Bearer agno_pat_", [byte].as_slice()].concat());
        }
        for lines in rejected {
            let status = status_with_headers(&server, &[lines.as_slice(), b"\r\n"].concat());
            assert_eq!(status, 401, "{}", String::from_utf8_lossy(&lines));
        }
        // Control characters in a header value are rejected by the HTTP parser (RFC 9110, section 5.5).
        for byte in (0..32).chain([127]).filter(|byte| *byte != b'\t') {
            let lines = [b"authorization: Bearer ", valid.as_bytes(), &[byte, b'x'], b"\r\n"].concat();
            assert_eq!(status_with_headers(&server, &lines), 400, "the byte {byte}");
        }
        // So are white space after a header name and a header value on two lines (RFC 9112, section 5).
        for lines in
            ["authorization : Bearer {}\r\n", "authorization: Bearer\r\n {}\r\n", "authorization: Bearer\r\n\t{}\r\n"]
        {
            assert_eq!(status_with_headers(&server, lines.replace("{}", valid).as_bytes()), 400, "{lines:?}");
        }
        for prefix in ["", "agno_pat_"] {
            let lines = format!("authorization: Bearer {prefix}{long}\r\n");
            assert_eq!(status_with_headers(&server, lines.as_bytes()), 431);
        }
        assert!(server.database("main").contains("user_profile_alice@example.com"));
        assert!(!server.log().contains("panicked"), "{}", server.log());

        for value in ["bearer {}", "BEARER {}", "bEaReR    {}   ", "\t Bearer {}\t"] {
            let lines = format!("authorization: {}\r\n", value.replace("{}", valid));
            assert_eq!(status_with_headers(&server, lines.as_bytes()), 204, "{value:?}");
            server.database("main").insert("user_profile_alice@example.com", Some("alice"));
        }
    }
}

#[test]
fn log_contains_no_secret() {
    let key = "the-security-key-of-this-deployment";
    let server = Setup::security_key(key).start();
    server.delete(ALICE_PROFILE, Some("a-wrong-key-in-a-request"));
    server.delete(ALICE_PROFILE, Some(key)).assert_deleted();
    server.wait_for_log(&["audit", "deleted"]);
    assert!(!server.log().contains(key) && !server.log().contains("a-wrong-key"), "{}", server.log());

    let server = Setup::jwt().start();
    let token = user("alice");
    server.delete(ALICE_PROFILE, Some(&token)).assert_deleted();
    server.delete(ALICE_PROFILE, Some(&format!("{token}x")));
    server.wait_for_log(&["audit", "identity-invalid"]);
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(!server.log().contains(signature) && !server.log().contains(SECRET), "{}", server.log());
}
