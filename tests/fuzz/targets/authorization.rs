//! The `Authorization` header. Raw values must not authenticate unless they contain the key or a valid signature. The
//! claims of correctly signed tokens are compared with a slow, simple reading of the same claims.

#![no_main]

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use delete_learning::{Caller, IdentityError};
use delete_learning_server::auth::{
    Algorithm, AuthMode, Authenticator, Authorization, ClaimRules, JwtVerifier, SecurityKey, TokenCache,
    VerificationKey,
};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

const KEY: &str = "a key of 32 bytes, or a few more";
const AUDIENCE: &str = "os";
const ISSUER: &str = "iss";
const LEEWAY: u64 = 10;

fn authenticator(mode: AuthMode) -> Authenticator {
    Authenticator { mode, service_accounts: None, authorization: Authorization::default() }
}

fn jwt(audience: Option<&str>, issuer: Option<&str>) -> Authenticator {
    let algorithm = Algorithm::by_name("HS256").expect("HS256 exists");
    authenticator(AuthMode::Jwt(Box::new(JwtVerifier {
        algorithm,
        keys: vec![VerificationKey::from_text(algorithm, KEY).expect("the key is valid")],
        jwks: None,
        claims: ClaimRules {
            audiences: audience.map(str::to_owned).into_iter().collect(),
            issuer: issuer.map(str::to_owned),
            ..ClaimRules::default()
        },
        leeway_seconds: LEEWAY,
        token_cache: TokenCache::default(),
    })))
}

static SECURITY_KEY: LazyLock<Authenticator> =
    LazyLock::new(|| authenticator(AuthMode::SecurityKey(SecurityKey::new(KEY).expect("the key is valid"))));
static TOKEN: LazyLock<Authenticator> = LazyLock::new(|| jwt(None, None));
static STRICT_TOKEN: LazyLock<Authenticator> = LazyLock::new(|| jwt(Some(AUDIENCE), Some(ISSUER)));

fn authenticate(authenticator: &Authenticator, values: &[&[u8]]) -> Option<Result<Caller, IdentityError>> {
    let mut headers = HeaderMap::new();
    for value in values {
        // hyper rejects other bytes before the server gets them.
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    }
    let authorization = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let result = runtime.block_on(authenticator.authenticate(authorization, IpAddr::V4(Ipv4Addr::LOCALHOST)));
    if let Err(error) = &result {
        for value in values {
            let value = String::from_utf8_lossy(value);
            // Messages can contain short words of the input, such as the scheme.
            let is_secret = |part: &&str| part.len() >= 12 && part.contains(|letter: char| letter.is_ascii_digit());
            let secrets = value.split_whitespace().skip(1).filter(is_secret);
            for secret in secrets {
                assert!(!error.message.contains(secret), "the message contains part of the credential: {error:?}");
            }
        }
    }
    Some(result)
}

/// Returns the token of a header value, if the value has the form of HTTP Bearer.
fn token(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case("bearer ").then(|| token.trim())
}

fn has_valid_signature(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, signature] = parts.as_slice() else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = format!("{header}.{payload}");
    URL_SAFE_NO_PAD.decode(signature).is_ok_and(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
}

fn sign(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn is_valid_header(header: &Map<String, Value>) -> bool {
    header.get("alg") == Some(&Value::from("HS256"))
        && header.get("kid").is_none_or(Value::is_string)
        && !header.contains_key("crit")
        && header.get("b64") != Some(&Value::Bool(false))
}

/// Returns the subject and the scopes of a token with these claims if it is valid. The outer option is `None` if the
/// result depends on the current second.
fn expected_caller(claims: &Map<String, Value>, is_strict: bool) -> Option<Option<(Option<String>, Vec<String>)>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let mut is_valid = true;
    for (claim, sign) in [("iat", 1.0), ("nbf", 1.0), ("exp", -1.0)] {
        match claims.get(claim).map(Value::as_f64) {
            None => {}
            Some(None) => is_valid = false,
            Some(Some(time)) => {
                let late = (time - now) * sign;
                if (late - LEEWAY as f64).abs() < 5.0 {
                    return None;
                }
                is_valid &= late < LEEWAY as f64;
            }
        }
    }
    is_valid &= claims.get("jti").is_none_or(Value::is_string);
    is_valid &= match claims.get("sub") {
        None => true,
        Some(Value::String(subject)) => {
            !["sa:", "__oauth__:"].iter().any(|reserved| subject.starts_with(reserved)) && subject != "__scheduler__"
        }
        Some(_) => false,
    };
    if is_strict {
        is_valid &= match claims.get("aud") {
            Some(Value::Array(several)) => several.contains(&Value::from(AUDIENCE)),
            one => one == Some(&Value::from(AUDIENCE)),
        };
        is_valid &= claims.get("iss") == Some(&Value::from(ISSUER));
    }
    let scopes = match claims.get("scopes") {
        Some(Value::String(scope)) => vec![scope.clone()],
        Some(Value::Array(scopes)) if scopes.iter().all(Value::is_string) => {
            scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Some(is_valid.then(|| (claims.get("sub").and_then(Value::as_str).map(str::to_owned), scopes)))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, rest)) = bytes.split_first() else { return };
    match mode % 4 {
        0 => {
            let values: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
            let Some(result) = authenticate(&SECURITY_KEY, &values) else { return };
            let is_key = matches!(values.as_slice(), [value] if token(value) == Some(KEY));
            assert_eq!(result.is_ok(), is_key, "{result:?}");
        }
        1 => {
            let values: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
            let Some(result) = authenticate(&TOKEN, &values) else { return };
            let is_authenticated =
                matches!(values.as_slice(), [value] if token(value).is_some_and(has_valid_signature));
            assert!(result.is_err() || is_authenticated, "{result:?}");
        }
        strict => {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let (Some(header), Some(claims)) = (parts.next(), parts.next()) else { return };
            let (Ok(header), Ok(claims)) = (serde_json::from_slice(header), serde_json::from_slice(claims)) else {
                return;
            };
            let is_strict = strict == 3;
            let authenticator = if is_strict { &*STRICT_TOKEN } else { &*TOKEN };
            let value = format!("Bearer {}", sign(&header, &claims));
            let Some(result) = authenticate(authenticator, &[value.as_bytes()]) else { return };
            let (Value::Object(header), Value::Object(claims)) = (&header, &claims) else {
                assert!(result.is_err(), "{result:?}");
                return;
            };
            let Some(expected) = expected_caller(claims, is_strict) else { return };
            let expected = expected.filter(|_| is_valid_header(header));
            assert_eq!(result.map(|caller| (caller.subject, caller.scopes)).ok(), expected, "{header:?} {claims:?}");
        }
    }
});
