//! Verifies JSON Web Tokens (RFC 7519) in the JWS compact serialization (RFC 7515), with the signature algorithms of
//! RFC 7518 and RFC 8037.
//!
//! aws-lc-rs does the cryptography. A comment in `keys.rs` explains why no JWT library is used. The order and the
//! strictness of the claim checks must match the real AgentOS, because both services accept the same tokens.

mod algorithm;
mod claims;
mod error;
mod jwk_set;
mod jwks_file;
mod keys;
mod token_cache;

pub use algorithm::Algorithm;
pub use claims::VerifiedClaims;
pub use error::{JwksFileError, KeyError};
pub use jwks_file::JwksFile;
pub use keys::VerificationKey;
pub use token_cache::TokenCache;

use super::digest::TokenDigest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{ClaimsSet, TimeClaims, check_audience, check_issuer, read_claims};
use delete_learning::IdentityError;
use error::invalid_token;
use jwk_set::JwkSet;
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
    /// A JWKS file. The token's `kid` selects one of its keys.
    pub jwks: Option<Arc<JwksFile>>,
    /// The required audience (`aud`), if any.
    pub audience: Option<String>,
    /// The required issuer (`iss`), if any.
    pub issuer: Option<String>,
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
    /// [`Invalid`], [`Expired`], [`WrongAudience`] or [`ReservedSubject`], with the reason for the log.
    ///
    /// [`Invalid`]: delete_learning::IdentityErrorKind::Invalid
    /// [`Expired`]: delete_learning::IdentityErrorKind::Expired
    /// [`WrongAudience`]: delete_learning::IdentityErrorKind::WrongAudience
    /// [`ReservedSubject`]: delete_learning::IdentityErrorKind::ReservedSubject
    pub fn verify(&self, token: &str) -> Result<VerifiedClaims, IdentityError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let jwks = self.jwks.as_ref().map(|file| file.keys());
        let digest = TokenDigest::new(token);
        if let Some((verified, times)) = self.token_cache.get(&digest, jwks.as_ref()) {
            return times.check(now, self.leeway_seconds).map(|()| verified);
        }
        let claims = self.verify_signature(token, jwks.as_deref())?;
        let times = TimeClaims::read(&claims)?;
        times.check(now, self.leeway_seconds)?;
        check_audience(&claims, self.audience.as_deref())?;
        check_issuer(&claims, self.issuer.as_deref())?;
        let verified = read_claims(&claims)?;
        self.token_cache.insert(digest, jwks.as_ref(), verified.clone(), times);
        Ok(verified)
    }

    /// Verifies the signature and returns the claims. The payload is not parsed before its signature is verified.
    fn verify_signature(&self, token: &str, jwks: Option<&JwkSet>) -> Result<ClaimsSet, IdentityError> {
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(|| invalid_token("not three parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| invalid_token("not three parts"))?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| invalid_token("the header is malformed"))?;
        if header.alg != self.algorithm.name() {
            return Err(invalid_token("the algorithm (alg) is not the configured one"));
        }
        if header.crit.is_some() {
            return Err(invalid_token("critical extensions (crit) are not supported"));
        }
        if header.b64 == Some(Value::Bool(false)) {
            return Err(invalid_token("an unencoded payload (b64) is not supported"));
        }
        let signature = decode(signature)?;

        let mut keys = jwks.iter().filter_map(|set| set.pick(header.kid.as_deref())).chain(&self.keys);
        if !keys.any(|key| key.verify(signing_input.as_bytes(), &signature)) {
            return Err(invalid_token("no key verifies the signature"));
        }
        serde_json::from_slice(&decode(payload)?).map_err(|_| invalid_token("the claims are not a JSON object"))
    }
}

/// Decodes a part of a token. Each byte string has one accepted encoding: no padding, no leftover bits.
fn decode(part: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid_token("a part is not base64url"))
}
