//! JSON Web Tokens: RFC 7519 in the compact form of RFC 7515, signed as RFC 7518 and RFC 8037 have it.
//!
//! The cryptography is a library's. The form around it is read here, for two reasons: the libraries for the whole of it
//! lack ES512, or need a system's OpenSSL; and which claims are checked, in which order and how strictly must be what
//! the real service does, because both serve the same callers.

mod algorithm;
mod keys;
mod rotation;
mod verified;

pub use algorithm::Algorithm;
pub use keys::{KeyError, VerificationKey};
pub use rotation::{JwksFile, JwksFileError};
pub use verified::VerifiedTokens;

use super::digest::token_digest;
use crate::contract::{Credential, IdentityError, IdentityErrorKind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keys::JwkSet;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a token that verified says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The claim `sub`.
    pub subject: Option<String>,
    /// The claim `scopes`: a list, or one text that is one scope.
    pub scopes: Vec<String>,
}

/// Verifies tokens against keys that were configured.
pub struct JwtVerifier {
    /// The one algorithm that tokens may be signed with.
    pub algorithm: Algorithm,
    /// Keys that are tried one after the other, after those of `jwks`.
    pub keys: Vec<VerificationKey>,
    /// A file of keys that a token's `kid` picks from.
    pub jwks: Option<Arc<JwksFile>>,
    /// The audience that a token must be meant for, if any.
    pub audience: Option<String>,
    /// The issuer that a token must come from, if any.
    pub issuer: Option<String>,
    /// Seconds by which the clocks of issuer and host may differ.
    pub leeway_seconds: u64,
    /// What verified before.
    pub verified: VerifiedTokens,
}

/// The part of a token's header that matters (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Text, where it is there (section 4.1.4).
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    /// Extensions that must be understood; none is, so a token that has any is refused (section 4.1.11).
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
    /// False where the payload is not encoded (RFC 7797), which no token's is.
    #[serde(default, deserialize_with = "present")]
    b64: Option<Value>,
}

/// A member that is there, so that null is a value like another and not the same as none.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl JwtVerifier {
    /// Verifies a token, signature first, and reads who bears it.
    ///
    /// # Errors
    /// [`IdentityErrorKind::Invalid`], `Expired`, `WrongAudience` or `ReservedSubject`, with the reason for the log.
    pub fn verify(&self, token: &str) -> Result<Bearer, IdentityError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let jwks = self.jwks.as_ref().map(|file| file.keys());
        let digest = token_digest(token);
        if let Some((bearer, times)) = self.verified.get(&digest, jwks.as_ref()) {
            return times.check(now, self.leeway_seconds).map(|()| bearer);
        }
        let claims = self.verified_claims(token, jwks.as_deref())?;
        let times = Times::read(&claims)?;
        times.check(now, self.leeway_seconds)?;
        self.check_audience(&claims)?;
        self.check_issuer(&claims)?;
        let bearer = bearer(&claims)?;
        self.verified.insert(digest, jwks.as_ref(), bearer.clone(), times);
        Ok(bearer)
    }

    /// The claims of a token whose signature is good. Nothing of it is believed before that.
    fn verified_claims(&self, token: &str, jwks: Option<&JwkSet>) -> Result<Map<String, Value>, IdentityError> {
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| invalid("not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| invalid("not three parts"))?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| invalid("unreadable header"))?;
        if header.alg != self.algorithm.name() {
            return Err(invalid("signed with another algorithm than the one configured"));
        }
        if header.crit.is_some() {
            return Err(invalid("it demands an extension (crit)"));
        }
        if header.b64 == Some(Value::Bool(false)) {
            return Err(invalid("its payload is said not to be encoded (b64)"));
        }
        let signature = decode(signature)?;

        let mut keys = jwks.iter().filter_map(|set| set.pick(header.kid.as_deref())).chain(&self.keys);
        if !keys.any(|key| key.verifies(signed.as_bytes(), &signature)) {
            return Err(invalid("no key verifies its signature"));
        }
        serde_json::from_slice(&decode(payload)?).map_err(|_| invalid("its claims are not a JSON object"))
    }

    /// `aud`, where the configuration asks for one: it must be there, as one text or a list that has it.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), IdentityError> {
        let Some(expected) = &self.audience else { return Ok(()) };
        let is_expected = |audience: &Value| audience.as_str() == Some(expected);
        match claims.get("aud") {
            None | Some(Value::Null) => Err(invalid("no audience (aud)")),
            Some(Value::Array(several)) if several.iter().any(is_expected) => Ok(()),
            Some(one) if is_expected(one) => Ok(()),
            Some(_) => Err(error(IdentityErrorKind::WrongAudience, "meant for another audience (aud)")),
        }
    }

    /// `iss`, where the configuration pins one.
    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), IdentityError> {
        match &self.issuer {
            Some(expected) if claims.get("iss").and_then(Value::as_str) != Some(expected) => {
                Err(invalid("from another issuer (iss)"))
            }
            _ => Ok(()),
        }
    }
}

/// `iat`, `nbf` and `exp` (RFC 7519, section 4.1), in seconds since 1970. None of them has to be there.
#[derive(Clone, Copy, Debug)]
struct Times {
    issued_at: Option<f64>,
    not_before: Option<f64>,
    expires: Option<f64>,
}

impl Times {
    /// One that is there must be a number.
    fn read(claims: &Map<String, Value>) -> Result<Self, IdentityError> {
        let (issued_at, not_before) = (seconds(claims, "iat")?, seconds(claims, "nbf")?);
        Ok(Self { issued_at, not_before, expires: seconds(claims, "exp")? })
    }

    /// Whether a token with these is valid now.
    fn check(&self, now: u64, leeway_seconds: u64) -> Result<(), IdentityError> {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in 53 bits")]
        let (now, leeway) = (now as f64, leeway_seconds as f64);
        if self.issued_at.is_some_and(|issued_at| issued_at > now + leeway) {
            return Err(invalid("issued in the future (iat)"));
        }
        if self.not_before.is_some_and(|not_before| not_before > now + leeway) {
            return Err(invalid("not valid yet (nbf)"));
        }
        if self.expires.is_some_and(|expires| expires <= now - leeway) {
            return Err(error(IdentityErrorKind::Expired, "expired (exp)"));
        }
        Ok(())
    }
}

/// Reads `sub` and `scopes`.
fn bearer(claims: &Map<String, Value>) -> Result<Bearer, IdentityError> {
    if claims.get("jti").is_some_and(|jti| !jti.is_string()) {
        return Err(invalid("its id (jti) is not text"));
    }
    let subject = match claims.get("sub") {
        None => None,
        Some(Value::String(subject)) if is_reserved(subject) => {
            return Err(error(IdentityErrorKind::ReservedSubject, "its subject is reserved for the platform"));
        }
        Some(Value::String(subject)) => Some(subject.clone()),
        Some(_) => return Err(invalid("its subject (sub) is not text")),
    };
    let scopes = match claims.get("scopes") {
        Some(Value::String(scope)) => vec![scope.clone()],
        // Anything but text in it, and the whole list grants nothing.
        Some(Value::Array(scopes)) => {
            scopes.iter().map(|scope| scope.as_str().map(str::to_owned)).collect::<Option<_>>().unwrap_or_default()
        }
        // So does anything else.
        _ => Vec::new(),
    };
    Ok(Bearer { subject, scopes })
}

/// Whether only the platform itself may bear this subject: service accounts, OAuth clients, the scheduler.
fn is_reserved(subject: &str) -> bool {
    subject.starts_with("sa:") || subject.starts_with("__oauth__:") || subject == "__scheduler__"
}

/// A claim that is a time, in seconds since 1970 (RFC 7519, section 2, NumericDate).
fn seconds(claims: &Map<String, Value>, claim: &str) -> Result<Option<f64>, IdentityError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| invalid("a time in it is not a number")),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("a part is not base64url"))
}

fn invalid(message: &str) -> IdentityError {
    error(IdentityErrorKind::Invalid, message)
}

fn error(kind: IdentityErrorKind, message: &str) -> IdentityError {
    IdentityError::new(kind, Credential::Jwt, format!("token refused: {message}"))
}
