//! Credentials: every algorithm, every claim that is checked, and what a key must be.

use crate::support::server::{Host, Setup};
use crate::support::token::{SECRET, now, signed_by, user, with_claims};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{encoding::AsDer, encoding::PublicKeyX509Der, hmac};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const ALICES: &str = "/learnings/user_profile_alice@example.com";
const ABSENT: &str = "/learnings/absent";

/// Makes a signature.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair: signs, and has a public half.
struct Signer {
    algorithm: &'static str,
    sign: Sign,
    pem: String,
    jwk: Value,
}

impl Signer {
    fn token(&self, header: Value) -> String {
        let mut header = header;
        header["alg"] = json!(self.algorithm);
        signed_by(header, json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 }), |message| {
            (self.sign)(message)
        })
    }
}

fn pem_of(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    let der = key.as_der().expect("a public key has an encoding");
    pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()))
}

fn rsa(algorithm: &'static str, padding: &'static dyn RsaEncoding) -> Signer {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pem = pem_of(pair.public_key());
    // PKCS #1 of a key of 2048 bits: two headers, a zero, the modulus, a header, the exponent 65537.
    let der = pair.public_key().as_ref();
    let (n, e) = (&der[9..265], &der[der.len() - 3..]);
    let jwk = json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) });
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
        signature
    };
    Signer { algorithm, sign: Box::new(sign), pem, jwk }
}

fn ecdsa(algorithm: &'static str, curve: &'static EcdsaSigningAlgorithm, name: &str) -> Signer {
    let pair = EcdsaKeyPair::generate(curve).expect("a key");
    let pem = pem_of(pair.public_key());
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": name, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec();
    Signer { algorithm, sign: Box::new(sign), pem, jwk }
}

fn ed25519() -> Signer {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let pem = pem_of(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()) });
    Signer { algorithm: "EdDSA", sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()), pem, jwk }
}

fn asymmetric() -> Vec<Signer> {
    vec![
        rsa("RS256", &signature::RSA_PKCS1_SHA256),
        rsa("RS384", &signature::RSA_PKCS1_SHA384),
        rsa("RS512", &signature::RSA_PKCS1_SHA512),
        rsa("PS256", &signature::RSA_PSS_SHA256),
        rsa("PS384", &signature::RSA_PSS_SHA384),
        rsa("PS512", &signature::RSA_PSS_SHA512),
        ecdsa("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        ecdsa("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        ecdsa("ES512", &signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
        ed25519(),
    ]
}

fn with_key(algorithm: &str, key: &str) -> Setup {
    Setup::with_auth(&format!(
        "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\nverification_keys = [{}]\n",
        Value::from(key)
    ))
}

/// Asserts that a token is taken: the record asked for is absent, which only an authenticated caller is told.
fn is_taken(host: &Host, token: &str) {
    assert_eq!(host.delete(ABSENT, Some(token)).status, 404, "{}", host.log());
}

fn is_refused(host: &Host, token: &str, detail: &str) {
    host.delete(ALICES, Some(token)).is_error(401, detail, "UNAUTHENTICATED");
}

#[test]
fn every_asymmetric_algorithm_verifies_with_a_pem_key_and_no_other_key_does() {
    let signers = asymmetric();
    for (index, signer) in signers.iter().enumerate() {
        let host = with_key(signer.algorithm, &signer.pem).start();
        is_taken(&host, &signer.token(json!({})));
        // Signed by another key, and said to be of another algorithm.
        let other = &signers[(index + 1) % signers.len()];
        is_refused(&host, &other.token(json!({})), "Invalid token");
        let forged = Signer { algorithm: signer.algorithm, sign: Box::new(|_| vec![0; 64]), ..ed25519() };
        is_refused(&host, &forged.token(json!({})), "Invalid token");
    }
}

#[test]
fn every_secret_algorithm_verifies_and_a_public_key_is_no_secret() {
    let secret = "s".repeat(64);
    for (algorithm, hash) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        let host = with_key(algorithm, &secret).start();
        let claims = json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 });
        let sign = |key: &str| {
            signed_by(json!({ "alg": algorithm }), claims.clone(), |message| {
                hmac::sign(&hmac::Key::new(hash, key.as_bytes()), message).as_ref().to_vec()
            })
        };
        is_taken(&host, &sign(&secret));
        is_refused(&host, &sign("another secret"), "Invalid token");
    }

    // The old confusion: an HMAC made with the public key, sent to a host that expects the private key's signature.
    let signer = rsa("RS256", &signature::RSA_PKCS1_SHA256);
    let host = with_key("RS256", &signer.pem).start();
    for alg in ["HS256", "RS256", "none", "None", ""] {
        let token =
            signed_by(json!({ "alg": alg }), json!({ "sub": "alice", "scopes": ["agent_os:admin"] }), |message| {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, signer.pem.as_bytes()), message).as_ref().to_vec()
            });
        is_refused(&host, &token, "Invalid token");
    }
    let unsigned = signed_by(json!({ "alg": "none" }), json!({ "scopes": ["agent_os:admin"] }), |_| Vec::new());
    is_refused(&host, &unsigned, "Invalid token");
}

#[test]
fn a_key_set_picks_by_kid_and_falls_back_to_the_key_without() {
    let [first, second, fallback] = [ed25519(), ed25519(), ed25519()];
    let key = |signer: &Signer, kid: Option<&str>| {
        let mut jwk = signer.jwk.clone();
        if let Some(kid) = kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    };
    let of_another_kind = rsa("RS256", &signature::RSA_PKCS1_SHA256).jwk;
    let set =
        json!({ "keys": [key(&first, Some("1")), of_another_kind, key(&second, Some("2")), key(&fallback, None)] });
    let setup = Setup::with_auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_file = \"jwks.json\"\n");
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    crate::support::database::AgnoDatabase::in_folder(folder.path(), "main.db");
    let host = setup.start_in(folder);

    is_taken(&host, &first.token(json!({ "kid": "1" })));
    is_taken(&host, &second.token(json!({ "kid": "2" })));
    is_taken(&host, &fallback.token(json!({})));
    is_taken(&host, &fallback.token(json!({ "kid": "unknown" })));
    is_refused(&host, &first.token(json!({ "kid": "2" })), "Invalid token");
    is_refused(&host, &first.token(json!({})), "Invalid token");
}

#[test]
fn a_key_set_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
    let [old, new] = [ed25519(), ed25519()];
    let folder = tempfile::TempDir::new().expect("a folder");
    crate::support::database::AgnoDatabase::in_folder(folder.path(), "main.db");
    let file = folder.path().join("jwks.json");
    let write = |text: &str| std::fs::write(&file, text).expect("the set can be written");
    write(&json!({ "keys": [old.jwk] }).to_string());
    let auth = "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_file = \"jwks.json\"\n";
    let host = Setup::with_auth(auth).start_in(folder);
    // The same token every time: one that verified before is remembered.
    let olds = old.token(json!({}));
    is_taken(&host, &olds);
    is_refused(&host, &new.token(json!({})), "Invalid token");

    write("{\"keys\": [");
    host.logged(&["cannot be used", "the last good one stays"]);
    is_taken(&host, &olds);

    write(&json!({ "keys": [new.jwk, { "kty": "oct", "k": "" }] }).to_string());
    host.logged(&["has changed and is in use"]);
    is_taken(&host, &new.token(json!({})));
    is_refused(&host, &olds, "Invalid token");
}

#[test]
fn every_kind_of_key_is_read_from_a_key_set() {
    for signer in asymmetric() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let set = json!({ "keys": [signer.jwk] });
        std::fs::write(folder.path().join("jwks.json"), set.to_string()).expect("the set can be written");
        let auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{}\"\n", signer.algorithm);
        // By the environment's name, as an AgentOS has it.
        let set = folder.path().join("jwks.json").display().to_string();
        let host = Setup { environment: vec![("JWT_JWKS_FILE", set)], ..Setup::with_auth(&auth) }.start_in(folder);
        is_taken(&host, &signer.token(json!({ "kid": "any" })));
    }
}

/// Starts a host that verifies with a JWKS file of these keys, or returns its error output.
fn try_start_with_jwks(algorithm: &str, keys: Value) -> Result<Host, String> {
    let directory = tempfile::TempDir::new().expect("a directory");
    let set = json!({ "keys": keys });
    std::fs::write(directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    crate::support::database::AgnoDatabase::in_folder(directory.path(), "main.db");
    Setup::with_auth(&format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\njwks_file = \"jwks.json\"\n"))
        .try_start_in(directory)
}

/// The signer's JSON Web Key, with further or other members.
fn jwk_with(signer: &Signer, members: Value) -> Value {
    let mut jwk = signer.jwk.clone();
    jwk.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    jwk
}

/// Asserts that `member` of a JSON Web Key must have the value `right`, and that a key with the value `wrong` verifies no
/// signature.
fn assert_member_decides(member: &str, right: &str, wrong: &str) {
    let [signer, other] = [(); 2].map(|()| rsa("RS256", &signature::RSA_PKCS1_SHA256));
    let wrong_key = jwk_with(&signer, json!({ "kid": "1", member: wrong }));
    let reason = format!("its \"{member}\" is \"{wrong}\", and \"{right}\" is needed");

    // No key is left.
    let error = try_start_with_jwks("RS256", json!([wrong_key])).err().expect("the host does not start");
    assert!(error.contains("auth.jwt.jwks_file") && error.contains(&reason), "{error}");

    // Another key is left.
    let other_key = jwk_with(&other, json!({ "kid": "2", member: right }));
    let host = try_start_with_jwks("RS256", json!([wrong_key, other_key])).expect("the host starts");
    is_refused(&host, &signer.token(json!({ "kid": "1" })), "Invalid token");
    is_refused(&host, &signer.token(json!({ "kid": "2" })), "Invalid token");
    is_taken(&host, &other.token(json!({ "kid": "2" })));
    let line = host.logged(&["WARN", "skipped a key of the key set"]);
    assert_eq!((&line["index"], &line["kid"]), (&json!(0), &json!("1")), "{line}");
    assert!(line["reason"].as_str().is_some_and(|text| text.contains(&reason)), "{line}");

    // The same key without a `kid`, then with the right value.
    let host = try_start_with_jwks("RS256", json!([jwk_with(&signer, json!({ member: wrong })), other_key]));
    is_refused(&host.expect("the host starts"), &signer.token(json!({})), "Invalid token");
    let right_key = jwk_with(&signer, json!({ "kid": "1", member: right }));
    let host = try_start_with_jwks("RS256", json!([right_key, other_key])).expect("the host starts");
    is_taken(&host, &signer.token(json!({ "kid": "1" })));
}

#[test]
fn jwk_with_another_use_than_sig_does_not_verify() {
    assert_member_decides("use", "sig", "enc");
}

#[test]
fn jwk_with_another_alg_does_not_verify() {
    // An RSA key of the same size and encoding: only `alg` tells the difference.
    assert_member_decides("alg", "RS256", "RS512");
}

#[test]
fn jwks_entry_that_is_malformed_is_skipped_with_a_warning() {
    let signer = ed25519();
    let keys = json!([7, jwk_with(&signer, json!({ "kid": "bad", "x": "AAAA" })), signer.jwk]);
    let host = try_start_with_jwks("EdDSA", keys).expect("the host starts");
    is_taken(&host, &signer.token(json!({})));
    host.logged(&["WARN", "skipped a key of the key set", "\"index\":0", "it is not a JSON object"]);
    host.logged(&["WARN", "skipped a key of the key set", "\"kid\":\"bad\"", "this is not a public key for EdDSA"]);

    // The warnings are repeated when the file changes.
    let set = json!({ "keys": [signer.jwk, { "kid": "later" }] });
    std::fs::write(host.folder.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    let line = host.logged(&["WARN", "skipped a key of the key set", "later"]);
    assert_eq!((&line["index"], &line["kid"]), (&json!(1), &json!("later")), "{line}");
    assert_eq!(line["reason"], "its \"kty\" is missing");
    is_taken(&host, &signer.token(json!({})));
}

#[test]
fn jwk_with_leading_zeros_and_padding_verifies() {
    let signer = rsa("RS256", &signature::RSA_PKCS1_SHA256);
    let bytes = |member: &str| {
        URL_SAFE_NO_PAD.decode(signer.jwk[member].as_str().expect("text")).expect("a member that was encoded here")
    };
    for zeros in 0..3 {
        let padded = |member| URL_SAFE.encode([vec![0; zeros], bytes(member)].concat());
        let key = jwk_with(&signer, json!({ "n": padded("n"), "e": padded("e") }));
        let host = try_start_with_jwks("RS256", json!([key])).expect("the host starts");
        is_taken(&host, &signer.token(json!({})));
    }
    let signer = ed25519();
    let x = signer.jwk["x"].as_str().expect("text");
    let host = try_start_with_jwks("EdDSA", json!([jwk_with(&signer, json!({ "x": format!("{x}=") }))]));
    is_taken(&host.expect("the host starts"), &signer.token(json!({})));
}

#[test]
fn several_keys_are_tried_in_turn() {
    let [old, new] = [ed25519(), ed25519()];
    let keys = json!([old.pem, new.pem]);
    let host =
        Setup::with_auth(&format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\nverification_keys = {keys}\n"))
            .start();
    is_taken(&host, &old.token(json!({})));
    is_taken(&host, &new.token(json!({})));
    is_refused(&host, &ed25519().token(json!({})), "Invalid token");
}

#[test]
fn times_are_checked_with_the_leeway() {
    let host = Setup::jwt().start();
    let token = |claims: Value| {
        let mut claims = claims;
        claims["sub"] = json!("alice");
        claims["scopes"] = json!(["learnings:delete"]);
        with_claims(claims)
    };
    is_taken(&host, &token(json!({})));
    is_taken(&host, &token(json!({ "exp": now() - 5 })));
    is_taken(&host, &token(json!({ "nbf": now() + 5, "iat": now() + 5 })));
    is_taken(&host, &token(json!({ "exp": now() as f64 + 0.5 })));
    is_refused(&host, &token(json!({ "exp": now() - 11 })), "Token has expired");
    is_refused(&host, &token(json!({ "exp": 0 })), "Token has expired");
    is_refused(&host, &token(json!({ "exp": -1 })), "Token has expired");
    for claims in [
        json!({ "nbf": now() + 60 }),
        json!({ "iat": now() + 60 }),
        json!({ "exp": "tomorrow" }),
        json!({ "exp": null }),
        json!({ "nbf": {} }),
        json!({ "jti": 1 }),
    ] {
        is_refused(&host, &token(claims), "Invalid token");
    }

    let auth = format!("{}leeway_seconds = 0\n", Setup::jwt().auth);
    let host = Setup { auth, ..Setup::jwt() }.start();
    is_refused(&host, &token(json!({ "exp": now() - 2 })), "Token has expired");
    // One that verified is remembered, and no longer than it is valid.
    let short = token(json!({ "exp": now() + 3 }));
    is_taken(&host, &short);
    is_taken(&host, &short);
    std::thread::sleep(std::time::Duration::from_secs(4));
    is_refused(&host, &short, "Token has expired");
}

#[test]
fn audience_and_issuer_are_checked_where_configured() {
    let auth = format!("{}audience = \"os-1\"\nissuer = \"https://issuer.example\"\n", Setup::jwt().auth);
    let host = Setup { auth, ..Setup::jwt() }.start();
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
    is_taken(&host, &token(json!("os-1"), issuer()));
    is_taken(&host, &token(json!(["other", "os-1"]), issuer()));
    is_refused(&host, &token(json!("os-2"), issuer()), wrong);
    is_refused(&host, &token(json!(["os-2"]), issuer()), wrong);
    is_refused(&host, &token(json!([]), issuer()), wrong);
    is_refused(&host, &token(json!(7), issuer()), wrong);
    is_refused(&host, &token(Value::Null, issuer()), "Invalid token");
    for issuer in [Value::Null, json!("https://other.example"), json!(["https://issuer.example"])] {
        is_refused(&host, &token(json!("os-1"), issuer), "Invalid token");
    }
    // Where nothing is configured, neither matters.
    let host = Setup::jwt().start();
    is_taken(&host, &token(json!("anybody"), json!("anybody")));
}

#[test]
fn a_subject_that_is_reserved_or_no_text_is_401() {
    let host = Setup::jwt().start();
    let token = |sub: Value| with_claims(json!({ "sub": sub, "scopes": ["agent_os:admin"], "exp": now() + 60 }));
    for sub in ["sa:bot", "sa:", "__oauth__:client", "__scheduler__"] {
        is_refused(&host, &token(json!(sub)), "Invalid token subject");
    }
    for sub in [json!(7), json!(null), json!(["alice"]), json!({})] {
        is_refused(&host, &token(sub), "Invalid token");
    }
    for sub in ["sale", "SA:bot", "__scheduler__2", "oauth"] {
        is_taken(&host, &token(json!(sub)));
    }
}

#[test]
fn a_token_that_is_no_token_is_401_whatever_it_is() {
    let host = Setup::jwt().start();
    let good = user("alice");
    let parts: Vec<&str> = good.split('.').collect();
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
        let answer = host.delete(ALICES, Some(&token));
        assert_eq!(answer.error().0, 401, "{token}");
    }
    let demanding = signed_by(json!({ "alg": "HS256", "crit": ["exp"] }), json!({ "sub": "alice" }), |message| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec()
    });
    is_refused(&host, &demanding, "Invalid token");
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
        is_refused(&host, &token, "Invalid token");
    }
    let token = with_claims(json!(["not", "an", "object"]));
    is_refused(&host, &token, "Invalid token");
}

#[test]
fn scopes_of_a_wrong_type_grant_nothing() {
    let host = Setup::jwt().start();
    for scopes in [
        json!(null),
        json!(7),
        json!({ "learnings:delete": true }),
        json!([["learnings:delete"]]),
        json!([7, "learnings:delete"]),
    ] {
        let token = with_claims(json!({ "sub": "alice", "scopes": scopes, "exp": now() + 60 }));
        assert_eq!(host.delete(ALICES, Some(&token)).error().0, 403);
    }
}

#[test]
fn a_service_accounts_token_is_refused_where_there_are_none() {
    let host = Setup::jwt().start();
    is_refused(&host, "agno_pat_0123456789", "Service accounts are not enabled on this AgentOS instance");
}

#[test]
fn two_authorization_headers_are_401_though_each_is_good() {
    let host = Setup::jwt().start();
    let value = format!("Bearer {}", user("alice"));
    let answer = host.request("DELETE", ALICES, &[("authorization", &value), ("authorization", &value)]);
    answer.is_error(401, "Authorization header must be one 'Bearer <token>'", "UNAUTHENTICATED");
    let answer = host.request("DELETE", ALICES, &[("authorization", "Bearer ")]);
    answer.is_error(401, "Authorization header missing", "UNAUTHENTICATED");
}

/// Sends these bytes as the header lines of a request for alice's record, and returns the answer's status.
fn status_of(host: &Host, lines: &[u8]) -> u16 {
    let head = format!("DELETE {ALICES} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let answer = host.raw(&[head.as_bytes(), lines, b"\r\n"].concat());
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer to {:?}: {answer:?}", String::from_utf8_lossy(lines)))
}

#[test]
fn whatever_bytes_stand_for_a_credential_there_is_an_answer_that_says_no() {
    let bot = "mode = \"security-key\"\nsecurity_key = \"the key\"\n[auth.service_accounts]\ndatabase = \"main\"\n";
    let hosts = [(Setup::jwt(), user("alice")), (Setup::with_auth(bot), "the key".to_owned())];
    for (setup, good) in hosts {
        let host = setup.start();
        let good = good.as_str();
        let long = "x".repeat(100_000);
        let in_the_limit = "x".repeat(60_000);
        let mut refused: Vec<Vec<u8>> = [
            "authorization: ",
            "authorization: Bearer",
            "authorization: Basic {good}",
            "authorization: {good}",
            "authorization: Bearer{good}",
            "authorization: Bearer\t{good}",
            "authorization: Bearer {good} {good}",
            "authorization: Bearer {good}, Bearer {good}",
            "authorization: Bearer \"{good}\"",
            "authorization: Bearer {good}\tx",
            "authorization: Bearer é{good}",
            "authorization: Bearer {good}\r\nauthorization: Bearer {good}",
            "authorization: Bearer x\r\nAuthorization: Bearer {good}",
            "authorization: Bearer {good}\r\nAUTHORIZATION: Basic x",
            "authorization: Bearer {in_the_limit}",
            "authorization: Bearer agno_pat_é",
            "x-authorization: Bearer {good}",
            "proxy-authorization: Bearer {good}",
        ]
        .map(|lines| lines.replace("{good}", good).replace("{in_the_limit}", &in_the_limit).into_bytes())
        .into();
        for byte in [0x80, 0xff, 0xe9, 0xc3] {
            refused.push([b"authorization: Bearer ", good.as_bytes(), &[byte]].concat());
            refused.push([b"authorization: Bearer agno_pat_", [byte].as_slice()].concat());
        }
        for lines in refused {
            let status = status_of(&host, &[lines.as_slice(), b"\r\n"].concat());
            assert_eq!(status, 401, "{}", String::from_utf8_lossy(&lines));
        }
        // What is no header by the protocol (RFC 9110, section 5.5) is refused by the protocol.
        for byte in (0..32).chain([127]).filter(|byte| *byte != b'\t') {
            let lines = [b"authorization: Bearer ", good.as_bytes(), &[byte, b'x'], b"\r\n"].concat();
            assert_eq!(status_of(&host, &lines), 400, "the byte {byte}");
        }
        // So is a name with white space after it, and a value that goes on in the next line (RFC 9112, section 5).
        for lines in
            ["authorization : Bearer {}\r\n", "authorization: Bearer\r\n {}\r\n", "authorization: Bearer\r\n\t{}\r\n"]
        {
            assert_eq!(status_of(&host, lines.replace("{}", good).as_bytes()), 400, "{lines:?}");
        }
        for prefix in ["", "agno_pat_"] {
            let lines = format!("authorization: Bearer {prefix}{long}\r\n");
            assert_eq!(status_of(&host, lines.as_bytes()), 431);
        }
        assert!(host.database("main").has("user_profile_alice@example.com"));
        assert!(!host.log().contains("panicked"), "{}", host.log());

        for value in ["bearer {}", "BEARER {}", "bEaReR    {}   ", "\t Bearer {}\t"] {
            let lines = format!("authorization: {}\r\n", value.replace("{}", good));
            assert_eq!(status_of(&host, lines.as_bytes()), 204, "{value:?}");
            host.database("main").insert("user_profile_alice@example.com", Some("alice"));
        }
    }
}

#[test]
fn no_secret_is_in_the_log() {
    let key = "the-security-key-of-this-deployment";
    let host = Setup::security_key(key).start();
    host.delete(ALICES, Some("a-wrong-key-that-somebody-sent"));
    host.delete(ALICES, Some(key)).is_deleted();
    host.logged(&["audit", "deleted"]);
    assert!(!host.log().contains(key) && !host.log().contains("a-wrong-key"), "{}", host.log());

    let host = Setup::jwt().start();
    let token = user("alice");
    host.delete(ALICES, Some(&token)).is_deleted();
    host.delete(ALICES, Some(&format!("{token}x")));
    host.logged(&["audit", "identity-invalid"]);
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(!host.log().contains(signature) && !host.log().contains(SECRET), "{}", host.log());
}
