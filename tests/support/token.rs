//! JSON Web Tokens for the test callers.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The shared secret of the servers that [`super::server::Setup::jwt`] configures.
pub const SECRET: &str = "MARKER7d1f, a secret for tests of more than 32 bytes";

/// Returns the time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// Creates a token for this user, with the scope to delete.
pub fn user(name: &str) -> String {
    with_claims(json!({ "sub": name, "scopes": ["learnings:delete"], "exp": now() + 600 }))
}

/// Creates a token for an administrator.
pub fn admin() -> String {
    with_claims(json!({ "sub": "root", "scopes": ["agent_os:admin"], "exp": now() + 600 }))
}

/// Creates a token with these claims, signed with [`SECRET`].
pub fn with_claims(claims: Value) -> String {
    signed_by(json!({ "alg": "HS256", "typ": "JWT" }), claims, |message| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message).as_ref().to_vec()
    })
}

/// Creates a token with this header, these claims and the signature that `sign` returns.
pub fn signed_by(header: Value, claims: Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
