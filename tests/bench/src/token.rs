//! Tokens like those of an AgentOS: HS256 with a subject and scopes.

use crate::rows::{OWNERS, name};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::{SystemTime, UNIX_EPOCH};

/// The shared secret.
pub const SECRET: &str = "a secret that the benchmark shares with both of the servers";

/// Creates a token for every owner, valid for one day.
pub fn all() -> Vec<String> {
    (0..OWNERS).map(|owner| token(&name(owner))).collect()
}

fn token(subject: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let claims = serde_json::json!({
        "sub": subject, "scopes": ["agents:read", "learnings:read", "learnings:delete"], "iat": now, "exp": now + 86_400,
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}
