//! Verifies JSON Web Tokens (RFC 7519) in the JWS compact serialization (RFC 7515), with the signature algorithms of
//! RFC 7518 and RFC 8037.
//!
//! aws-lc-rs does the cryptography. A comment in `keys.rs` explains why no JWT library is used. The order and the
//! strictness of the claim checks must match the real AgentOS, because both services accept the same tokens.

mod algorithm;
mod claim_path;
mod claims;
mod error;
mod jwks;
mod keys;
mod token_cache;

pub use algorithm::Algorithm;
pub use claim_path::ClaimPath;
pub use claims::{ClaimRules, VerifiedClaims};
pub use error::{JwksError, KeyError};
pub use jwks::{Jwks, JwksUrl};
pub use keys::VerificationKey;
pub use token_cache::TokenCache;

use super::digest::TokenDigest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{ClaimsSet, TimeClaims};
use delete_learning::{IdentityError, IdentityErrorKind};
use error::{invalid_token, token_error};
use jwks::JwkSet;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Verifies tokens against the configured keys.
pub struct JwtVerifier {
    /// The only signature algorithm that is accepted.
    pub algorithm: Algorithm,
    /// Static keys. Each is tried in order, after the key that `jwks` selects.
    pub keys: Vec<VerificationKey>,
    /// A key set. The token's `kid` selects one of its keys.
    pub jwks: Option<Jwks>,
    /// What is required of the claims, and what they mean.
    pub claims: ClaimRules,
    /// The tolerated clock difference between issuer and host, in seconds.
    pub leeway_seconds: u64,
    /// Tokens that were verified before.
    pub token_cache: TokenCache,
}

/// The JOSE header parameters that affect verification (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Must be a string if present (section 4.1.4).
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    /// Extensions that the verifier must understand (section 4.1.11). No extension is supported, so a token with this
    /// parameter is refused.
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
    /// False for an unencoded payload (RFC 7797), which is not supported.
    #[serde(default, deserialize_with = "present")]
    b64: Option<Value>,
}

/// Deserializes a parameter that is present. Unlike serde's default for `Option`, null counts as a value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl JwtVerifier {
    /// Verifies a token's signature, then its claims, and returns the claims that authorization needs.
    ///
    /// # Errors
    /// [`Invalid`], [`Expired`], [`WrongAudience`] or [`ReservedSubject`], with the reason for the log; [`Unavailable`] if
    /// the key set could not be fetched yet.
    ///
    /// [`Invalid`]: delete_learning::IdentityErrorKind::Invalid
    /// [`Expired`]: delete_learning::IdentityErrorKind::Expired
    /// [`WrongAudience`]: delete_learning::IdentityErrorKind::WrongAudience
    /// [`ReservedSubject`]: delete_learning::IdentityErrorKind::ReservedSubject
    /// [`Unavailable`]: delete_learning::IdentityErrorKind::Unavailable
    pub async fn verify(&self, token: &str) -> Result<VerifiedClaims, IdentityError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut keys = self.jwks.as_ref().map(Jwks::keys);
        let digest = TokenDigest::new(token);
        if let Some((verified, times)) = self.token_cache.get(&digest, keys.as_ref()) {
            return times.check(now, self.leeway_seconds).map(|()| verified);
        }
        let token = SignedToken::parse(token, self.algorithm)?;
        let mut is_signed = self.has_signature(&token, keys.as_deref());
        if !is_signed
            && let (Some(jwks), Some(set)) = (&self.jwks, &keys)
            && (set.is_empty() || token.kid.as_ref().is_some_and(|kid| !set.contains(kid)))
        {
            // The issuer can have begun to sign with a key that it published after the last fetch.
            jwks.refresh().await;
            let refreshed = jwks.keys();
            is_signed = !Arc::ptr_eq(set, &refreshed) && self.has_signature(&token, Some(&refreshed));
            keys = Some(refreshed);
        }
        if !is_signed {
            return Err(match &keys {
                Some(set) if set.is_empty() => {
                    token_error(IdentityErrorKind::Unavailable, "the key set has not been fetched yet")
                }
                _ => invalid_token("no key verifies the signature"),
            });
        }
        let claims = token.claims()?;
        let times = TimeClaims::read(&claims)?;
        times.check(now, self.leeway_seconds)?;
        let verified = self.claims.apply(&claims)?;
        self.token_cache.insert(digest, keys.as_ref(), verified.clone(), times);
        Ok(verified)
    }

    /// Returns whether one of the keys verifies the signature.
    fn has_signature(&self, token: &SignedToken<'_>, jwks: Option<&JwkSet>) -> bool {
        let mut keys = jwks.iter().filter_map(|set| set.pick(token.kid.as_deref())).chain(&self.keys);
        keys.any(|key| key.verify(token.signing_input.as_bytes(), &token.signature))
    }
}

/// The parts of a token whose header is acceptable.
struct SignedToken<'a> {
    signing_input: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    kid: Option<String>,
}

impl<'a> SignedToken<'a> {
    fn parse(token: &'a str, algorithm: Algorithm) -> Result<Self, IdentityError> {
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(|| invalid_token("not three parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| invalid_token("not three parts"))?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| invalid_token("the header is malformed"))?;
        if header.alg != algorithm.name() {
            return Err(invalid_token("the algorithm (alg) is not the configured one"));
        }
        if header.crit.is_some() {
            return Err(invalid_token("critical extensions (crit) are not supported"));
        }
        if header.b64 == Some(Value::Bool(false)) {
            return Err(invalid_token("an unencoded payload (b64) is not supported"));
        }
        Ok(Self { signing_input, payload, signature: decode(signature)?, kid: header.kid })
    }

    /// Parses the payload. Its signature must have been verified before.
    fn claims(&self) -> Result<ClaimsSet, IdentityError> {
        serde_json::from_slice(&decode(self.payload)?).map_err(|_| invalid_token("the claims are not a JSON object"))
    }
}

/// Decodes a part of a token. Each byte string has one accepted encoding: no padding, no leftover bits.
fn decode(part: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid_token("a part is not base64url"))
}
