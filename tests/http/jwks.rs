//! JSON Web Key Sets in files: which keys are used, and what happens when a file changes.

use super::credentials::{assert_accepted, assert_rejected};
use super::signers::{Signer, asymmetric, ed25519, rsa};
use crate::support::server::{Setup, TestServer};
use aws_lc_rs::signature;
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[test]
fn jwks_key_is_selected_by_kid_or_else_has_no_kid() {
    let [first, second, fallback] = [ed25519(), ed25519(), ed25519()];
    let key = |signer: &Signer, kid: Option<&str>| {
        let mut jwk = signer.jwk.clone();
        if let Some(kid) = kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    };
    let mismatched = rsa("RS256", &signature::RSA_PKCS1_SHA256).jwk;
    let set = json!({ "keys": [key(&first, Some("1")), mismatched, key(&second, Some("2")), key(&fallback, None)] });
    let setup = Setup::with_auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_file = \"jwks.json\"\n");
    let directory = tempfile::TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    let server = setup.start_in(directory);

    assert_accepted(&server, &first.token(json!({ "kid": "1" })));
    assert_accepted(&server, &second.token(json!({ "kid": "2" })));
    assert_accepted(&server, &fallback.token(json!({})));
    assert_accepted(&server, &fallback.token(json!({ "kid": "unknown" })));
    assert_rejected(&server, &first.token(json!({ "kid": "2" })), "Invalid token");
    assert_rejected(&server, &first.token(json!({})), "Invalid token");
}

#[test]
fn changed_jwks_file_is_reloaded_unless_it_is_broken() {
    let [old, new] = [ed25519(), ed25519()];
    let directory = tempfile::TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    let file = directory.path().join("jwks.json");
    let write = |text: &str| std::fs::write(&file, text).expect("the set can be written");
    write(&json!({ "keys": [old.jwk] }).to_string());
    let auth = "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_file = \"jwks.json\"\n";
    let server = Setup::with_auth(auth).start_in(directory);
    // The same token every time, because a verified token is cached.
    let old_token = old.token(json!({}));
    assert_accepted(&server, &old_token);
    assert_rejected(&server, &new.token(json!({})), "Invalid token");

    write("{\"keys\": [");
    server.wait_for_log(&["cannot be used", "the last good one stays"]);
    assert_accepted(&server, &old_token);

    write(&json!({ "keys": [new.jwk, { "kty": "oct", "k": "" }] }).to_string());
    server.wait_for_log(&["has changed and is in use"]);
    assert_accepted(&server, &new.token(json!({})));
    assert_rejected(&server, &old_token, "Invalid token");
}

#[test]
fn jwks_file_supports_every_key_type() {
    for signer in asymmetric() {
        let directory = tempfile::TempDir::new().expect("a directory");
        crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
        let set = json!({ "keys": [signer.jwk] });
        std::fs::write(directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
        let auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{}\"\n", signer.algorithm);
        // The environment variable of an AgentOS.
        let set = directory.path().join("jwks.json").display().to_string();
        let server = Setup { environment: vec![("JWT_JWKS_FILE", set)], ..Setup::with_auth(&auth) }.start_in(directory);
        assert_accepted(&server, &signer.token(json!({ "kid": "any" })));
    }
}

/// Starts a server that verifies with a JWKS file of these keys, or returns its error output.
fn try_start_with_jwks(algorithm: &str, keys: Value) -> Result<TestServer, String> {
    let directory = tempfile::TempDir::new().expect("a directory");
    let set = json!({ "keys": keys });
    std::fs::write(directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    Setup::with_auth(&format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\njwks_file = \"jwks.json\"\n"))
        .try_start_in(directory)
}

/// Returns the signer's JSON Web Key with added or replaced members.
fn jwk_with(signer: &Signer, members: Value) -> Value {
    let mut jwk = signer.jwk.clone();
    jwk.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    jwk
}

/// Asserts that a JSON Web Key verifies signatures if `member` is `right`, and is skipped if `member` is `wrong`.
fn assert_member_must_match(member: &str, right: &str, wrong: &str) {
    let [signer, other] = [(); 2].map(|()| rsa("RS256", &signature::RSA_PKCS1_SHA256));
    let wrong_key = jwk_with(&signer, json!({ "kid": "1", member: wrong }));
    let reason = format!("its \"{member}\" is \"{wrong}\", and \"{right}\" is needed");

    // Without another key, the server does not start.
    let error = try_start_with_jwks("RS256", json!([wrong_key])).err().expect("the server does not start");
    assert!(error.contains("auth.jwt.jwks_file") && error.contains(&reason), "{error}");

    // With another key, only that key verifies.
    let other_key = jwk_with(&other, json!({ "kid": "2", member: right }));
    let server = try_start_with_jwks("RS256", json!([wrong_key, other_key])).expect("the server starts");
    assert_rejected(&server, &signer.token(json!({ "kid": "1" })), "Invalid token");
    assert_rejected(&server, &signer.token(json!({ "kid": "2" })), "Invalid token");
    assert_accepted(&server, &other.token(json!({ "kid": "2" })));
    let line = server.wait_for_log(&["WARN", "skipped a key of the key set"]);
    assert_eq!((&line["index"], &line["kid"]), (&json!(0), &json!("1")), "{line}");
    assert!(line["reason"].as_str().is_some_and(|text| text.contains(&reason)), "{line}");

    // The same key without a `kid`, then with the right value.
    let server = try_start_with_jwks("RS256", json!([jwk_with(&signer, json!({ member: wrong })), other_key]));
    assert_rejected(&server.expect("the server starts"), &signer.token(json!({})), "Invalid token");
    let right_key = jwk_with(&signer, json!({ "kid": "1", member: right }));
    let server = try_start_with_jwks("RS256", json!([right_key, other_key])).expect("the server starts");
    assert_accepted(&server, &signer.token(json!({ "kid": "1" })));
}

#[test]
fn jwk_with_mismatched_use_or_alg_does_not_verify() {
    assert_member_must_match("use", "sig", "enc");
    // RSA keys for both algorithms have the same format, so only `alg` distinguishes them.
    assert_member_must_match("alg", "RS256", "RS512");
}

#[test]
fn malformed_jwks_entry_is_skipped_with_a_warning() {
    let signer = ed25519();
    let keys = json!([7, jwk_with(&signer, json!({ "kid": "bad", "x": "AAAA" })), signer.jwk]);
    let server = try_start_with_jwks("EdDSA", keys).expect("the server starts");
    assert_accepted(&server, &signer.token(json!({})));
    server.wait_for_log(&["WARN", "skipped a key of the key set", "\"index\":0", "it is not a JSON object"]);
    server.wait_for_log(&[
        "WARN",
        "skipped a key of the key set",
        "\"kid\":\"bad\"",
        "this is not a public key for EdDSA",
    ]);

    // The warnings are repeated when the file changes.
    let set = json!({ "keys": [signer.jwk, { "kid": "later" }] });
    std::fs::write(server.directory.path().join("jwks.json"), set.to_string()).expect("the set can be written");
    let line = server.wait_for_log(&["WARN", "skipped a key of the key set", "later"]);
    assert_eq!((&line["index"], &line["kid"]), (&json!(1), &json!("later")), "{line}");
    assert_eq!(line["reason"], "its \"kty\" is missing");
    assert_accepted(&server, &signer.token(json!({})));
}

#[test]
fn jwk_that_must_not_verify_is_skipped() {
    let [signer, other] = [(); 2].map(|()| rsa("RS256", &signature::RSA_PKCS1_SHA256));
    for operations in [json!(["sign"]), json!([]), json!("verify")] {
        let key = jwk_with(&signer, json!({ "kid": "1", "key_ops": operations }));
        let other = jwk_with(&other, json!({ "kid": "2" }));
        let server = try_start_with_jwks("RS256", json!([key, other])).expect("the server starts");
        assert_rejected(&server, &signer.token(json!({ "kid": "1" })), "Invalid token");
        server.wait_for_log(&["skipped a key of the key set", "key_ops"]);
    }
    let key = jwk_with(&signer, json!({ "kid": "1", "key_ops": ["sign", "verify"] }));
    let server = try_start_with_jwks("RS256", json!([key])).expect("the server starts");
    assert_accepted(&server, &signer.token(json!({ "kid": "1" })));
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
        let server = try_start_with_jwks("RS256", json!([key])).expect("the server starts");
        assert_accepted(&server, &signer.token(json!({})));
    }
    let signer = ed25519();
    let x = signer.jwk["x"].as_str().expect("text");
    let server = try_start_with_jwks("EdDSA", json!([jwk_with(&signer, json!({ "x": format!("{x}=") }))]));
    assert_accepted(&server.expect("the server starts"), &signer.token(json!({})));
}

/// A store of secrets can replace the file and keep its size and its times.
#[test]
fn jwks_file_replaced_with_the_same_size_and_time_is_reloaded() {
    let [old, new, last] = [ed25519(), ed25519(), ed25519()];
    let server = try_start_with_jwks("EdDSA", json!([old.jwk])).expect("the server starts");
    let file = server.directory.path().join("jwks.json");
    let time = std::fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("a time");
    let write = |name: &str, signer: &Signer| {
        let path = server.directory.path().join(name);
        std::fs::write(&path, json!({ "keys": [signer.jwk] }).to_string()).expect("the set can be written");
        let opened = std::fs::File::options().write(true).open(&path).expect("the file opens");
        opened.set_modified(time).expect("the time can be set");
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), std::fs::metadata(&file).expect("a file").len());
        path
    };
    assert_accepted(&server, &old.token(json!({})));
    // In place.
    write("jwks.json", &new);
    server.wait_for_log(&["has changed and is in use"]);
    assert_accepted(&server, &new.token(json!({})));
    assert_rejected(&server, &old.token(json!({})), "Invalid token");
    // By a symbolic link that is switched.
    let target = write("last.json", &last);
    let link = server.directory.path().join("link");
    std::os::unix::fs::symlink(target, &link).expect("a link can be created");
    std::fs::rename(link, &file).expect("the file is replaced");
    let is_accepted = || server.delete("/learnings/absent", Some(&last.token(json!({})))).status == 404;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !is_accepted() {
        assert!(std::time::Instant::now() < end, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_rejected(&server, &new.token(json!({})), "Invalid token");

    // A file that is missing for a while is reported once, and its keys stay in use.
    std::fs::remove_file(&file).expect("the file is deleted");
    server.wait_for_log(&["the key set cannot be read; the last good one stays"]);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(server.log().matches("the key set cannot be read").count(), 1);
    assert_accepted(&server, &last.token(json!({})));
    write("jwks.json", &old);
}
