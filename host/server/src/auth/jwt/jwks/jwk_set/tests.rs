//! Which entries of a JSON Web Key Set are used, and why the others are skipped.

use super::{JwkSet, KeyError};
use crate::auth::Algorithm;
use serde_json::{Value, json};

const RSA_N: &str = "sszbq1YfZsbdwQH5cwOFqqyM8ct3_ZAm7h8sLJxAQ5M";
const ED25519_X: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";

fn ed25519(members: Value) -> Value {
    let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X });
    jwk.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    jwk
}

fn parse(algorithm: Algorithm, keys: Value) -> Result<JwkSet, KeyError> {
    JwkSet::from_json(algorithm, json!({ "keys": keys }).to_string().as_bytes())
}

/// The error of a set with this entry alone.
fn skipped(algorithm: Algorithm, jwk: Value) -> String {
    match parse(algorithm, json!([jwk])) {
        Ok(_) => panic!("the entry is used: {jwk}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn document_without_an_array_of_keys_is_refused() {
    for document in ["", "{", "[]", "null", "\"hunter2\"", "{}", r#"{"keys":{}}"#, r#"{"keys":"hunter2"}"#] {
        let error = JwkSet::from_json(Algorithm::EdDSA, document.as_bytes()).err().expect("it is refused").to_string();
        assert!(error.starts_with("not a JSON Web Key Set") && !error.contains("hunter2"), "{document}: {error}");
    }
    assert_eq!(
        parse(Algorithm::EdDSA, json!([])).err().expect("it is refused").to_string(),
        "none of its 0 keys is one for EdDSA: "
    );
}

#[test]
fn unusable_entries_are_skipped_with_position_kid_and_reason() {
    let set = parse(
        Algorithm::EdDSA,
        json!([
            null,
            ed25519(json!({ "kid": 7 })),
            ed25519(json!({ "kid": "good" })),
            ed25519(json!({ "kid": "enc", "use": "enc" })),
            ed25519(json!({ "kid": "alg", "alg": "ES256" })),
            ed25519(json!({ "kid": "x", "x": 7 })),
            ed25519(json!({ "kid": "sign", "key_ops": ["sign"] })),
            ed25519(json!({ "kid": "ops", "key_ops": "verify" })),
            { "kty": "RSA", "kid": "rsa", "n": RSA_N, "e": "AQAB" },
        ]),
    )
    .expect("one entry is usable");
    assert!(set.pick(Some("good")).is_some());
    for kid in [None, Some(""), Some("7"), Some("enc"), Some("alg"), Some("x"), Some("sign"), Some("ops"), Some("rsa")]
    {
        assert!(set.pick(kid).is_none(), "{kid:?}");
    }
    assert_eq!(
        set.skipped().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "key 0: it is not a JSON object",
            "key 1: its \"kid\" is not a string",
            "key 3 (kid \"enc\"): its \"use\" is \"enc\", and \"sig\" is needed",
            "key 4 (kid \"alg\"): its \"alg\" is \"ES256\", and \"EdDSA\" is needed",
            "key 5 (kid \"x\"): its \"x\" is not a string",
            "key 6 (kid \"sign\"): its \"key_ops\" does not contain \"verify\"",
            "key 7 (kid \"ops\"): its \"key_ops\" is not an array",
            "key 8 (kid \"rsa\"): its \"kty\" is \"RSA\", and \"OKP\" is needed",
        ]
    );
}

#[test]
fn absent_null_and_matching_members_are_accepted() {
    for members in [
        json!({}),
        json!({ "kid": null, "use": null, "alg": null }),
        json!({ "kid": "", "use": "sig", "alg": "EdDSA", "x5c": 7, "key_ops": ["verify", 7] }),
        json!({ "x": format!("{ED25519_X}=") }),
    ] {
        let set = parse(Algorithm::EdDSA, json!([ed25519(members.clone())]));
        assert!(set.is_ok_and(|set| set.pick(Some("unknown")).is_some()), "{members}");
    }
}

#[test]
fn malformed_and_weak_keys_are_skipped() {
    let short = "AAAA";
    for (algorithm, jwk, reason) in [
        (Algorithm::EdDSA, json!({}), "\"kty\" is missing"),
        (Algorithm::EdDSA, json!({ "kty": "OKP" }), "\"crv\" is missing"),
        (Algorithm::EdDSA, ed25519(json!({ "x": null })), "\"x\" is missing"),
        (Algorithm::EdDSA, ed25519(json!({ "x": "not base64url!" })), "\"x\" is not base64url"),
        (Algorithm::EdDSA, ed25519(json!({ "x": short })), "not a public key for EdDSA"),
        (Algorithm::EdDSA, ed25519(json!({ "crv": "X25519" })), "\"crv\" is \"X25519\""),
        (Algorithm::ES256, json!({ "kty": "EC", "crv": "P-384", "x": short, "y": short }), "\"crv\" is \"P-384\""),
        (Algorithm::ES256, json!({ "kty": "EC", "crv": "P-256", "x": short, "y": short }), "\"x\" does not have"),
        (
            // The point (0, 0) is not on the curve.
            Algorithm::ES256,
            json!({ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }),
            "not a public key for ES256",
        ),
        (Algorithm::RS256, json!({ "kty": "RSA", "n": "AAAA", "e": "AAAA" }), "not a public key for RS256"),
        (Algorithm::RS256, json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }), "2048"),
        (Algorithm::HS256, json!({ "kty": "oct", "k": short }), "at least 32 bytes"),
        (Algorithm::HS256, json!({ "kty": "oct" }), "\"k\" is missing"),
    ] {
        let error = skipped(algorithm, jwk);
        assert!(error.contains("key 0: ") && error.contains(reason), "{error}");
    }
}
