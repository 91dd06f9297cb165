//! JSON Web Key Sets (RFC 7517).

use crate::auth::jwt::algorithm::{Algorithm, KeyType};
use crate::auth::jwt::error::KeyError;
use crate::auth::jwt::keys::VerificationKey;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;

/// The keys of a JSON Web Key Set that verify signatures of one algorithm.
#[derive(Default)]
pub(in crate::auth::jwt) struct JwkSet {
    by_kid: HashMap<String, VerificationKey>,
    without_kid: Option<VerificationKey>,
    skipped: Vec<SkippedKey>,
}

/// An entry of a set that cannot be used, formatted as `key 1 (kid "a"): <reason>`.
pub(super) struct SkippedKey {
    /// The position in the array, from 0.
    pub(super) index: usize,
    pub(super) kid: Option<String>,
    pub(super) reason: KeyError,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}", self.index)?;
        if let Some(kid) = &self.kid {
            write!(formatter, " (kid {kid:?})")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

impl JwkSet {
    /// Parses a set. Entries that are malformed, or not for the algorithm, are skipped: see [`skipped`](Self::skipped).
    ///
    /// # Errors
    /// The document is not a set, or no entry can be used.
    pub(in crate::auth::jwt) fn from_json(algorithm: Algorithm, document: &[u8]) -> Result<Self, KeyError> {
        let document: Value = serde_json::from_slice(document)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(KeyError::NotAKeySet)?;
        let mut set = Self::default();
        for (index, jwk) in keys.iter().enumerate() {
            match parse(algorithm, jwk) {
                Ok((Some(kid), key)) => drop(set.by_kid.insert(kid.to_owned(), key)),
                Ok((None, key)) => set.without_kid = Some(key),
                Err(reason) => {
                    let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
                    set.skipped.push(SkippedKey { index, kid, reason });
                }
            }
        }
        if set.is_empty() {
            let reasons = set.skipped.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Err(KeyError::NoUsableKey { keys: keys.len(), algorithm: algorithm.name(), reasons });
        }
        Ok(set)
    }

    /// Returns the key with the token's `kid`, or else the key without a `kid`.
    pub(in crate::auth::jwt) fn pick(&self, kid: Option<&str>) -> Option<&VerificationKey> {
        kid.and_then(|kid| self.by_kid.get(kid)).or(self.without_kid.as_ref())
    }

    /// Returns whether the set has a key with this `kid`.
    pub(in crate::auth::jwt) fn contains(&self, kid: &str) -> bool {
        self.by_kid.contains_key(kid)
    }

    /// Returns whether the set has no key: it was never fetched.
    pub(in crate::auth::jwt) fn is_empty(&self) -> bool {
        self.by_kid.is_empty() && self.without_kid.is_none()
    }

    /// Returns the entries that cannot be used.
    pub(super) fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

/// Parses one key and its `kid`. An empty `kid` counts as none.
fn parse(algorithm: Algorithm, jwk: &Value) -> Result<(Option<&str>, VerificationKey), KeyError> {
    let jwk = Jwk(jwk.as_object().ok_or(KeyError::NotAnObject)?);
    let kid = jwk.optional("kid")?.filter(|kid| !kid.is_empty());
    Ok((kid, jwk.key(algorithm)?))
}

/// A JSON Web Key (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
struct Jwk<'a>(&'a Map<String, Value>);

impl<'a> Jwk<'a> {
    fn key(&self, algorithm: Algorithm) -> Result<VerificationKey, KeyError> {
        self.expect_if_present("use", "sig")?;
        self.expect_operation("verify")?;
        self.expect_if_present("alg", algorithm.name())?;
        match algorithm.key_type() {
            KeyType::Secret { .. } => {
                self.expect("kty", "oct")?;
                VerificationKey::from_secret(algorithm, &self.bytes("k")?)
            }
            KeyType::Rsa(_) => {
                self.expect("kty", "RSA")?;
                let components = PublicKeyComponents { n: self.integer("n")?, e: self.integer("e")? };
                let der: PublicKeyX509Der<'_> =
                    components.as_der().map_err(|_| KeyError::WrongKind { algorithm: algorithm.name() })?;
                VerificationKey::from_public(algorithm, der.as_ref())
            }
            KeyType::Ec { curve, coordinate_bytes, .. } => {
                self.expect("kty", "EC")?;
                self.expect("crv", curve)?;
                let coordinate = |member| match self.bytes(member)? {
                    bytes if bytes.len() == coordinate_bytes => Ok(bytes),
                    _ => {
                        Err(KeyError::Member { member, reason: "does not have the length of the curve's coordinates" })
                    }
                };
                // An uncompressed point (SEC 1, section 2.3.3).
                let point = [[4].as_slice(), &coordinate("x")?, &coordinate("y")?].concat();
                VerificationKey::from_public(algorithm, &point)
            }
            KeyType::Ed25519(_) => {
                self.expect("kty", "OKP")?;
                self.expect("crv", "Ed25519")?;
                VerificationKey::from_public(algorithm, &self.bytes("x")?)
            }
        }
    }

    /// Returns a string member. Null counts as absent.
    fn optional(&self, member: &'static str) -> Result<Option<&'a str>, KeyError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(KeyError::Member { member, reason: "is not a string" }),
        }
    }

    fn required(&self, member: &'static str) -> Result<&'a str, KeyError> {
        self.optional(member)?.ok_or(KeyError::Member { member, reason: "is missing" })
    }

    fn expect(&self, member: &'static str, expected: &'static str) -> Result<(), KeyError> {
        self.required(member)?;
        self.expect_if_present(member, expected)
    }

    fn expect_if_present(&self, member: &'static str, expected: &'static str) -> Result<(), KeyError> {
        match self.optional(member)? {
            Some(value) if value != expected => Err(KeyError::Mismatch { member, value: value.to_owned(), expected }),
            _ => Ok(()),
        }
    }

    /// Checks the operations for which the key is intended, if the key has any (RFC 7517, section 4.3).
    fn expect_operation(&self, expected: &'static str) -> Result<(), KeyError> {
        const MEMBER: &str = "key_ops";
        match self.0.get(MEMBER) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(operations)) if operations.iter().any(|operation| operation == expected) => Ok(()),
            Some(Value::Array(_)) => Err(KeyError::Member { member: MEMBER, reason: "does not contain \"verify\"" }),
            Some(_) => Err(KeyError::Member { member: MEMBER, reason: "is not an array" }),
        }
    }

    /// Decodes base64url. RFC 7515, section 2, has no `=` padding, but some issuers write it.
    fn bytes(&self, member: &'static str) -> Result<Vec<u8>, KeyError> {
        const BASE64URL: GeneralPurpose = GeneralPurpose::new(
            &URL_SAFE,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let text = self.required(member)?;
        BASE64URL.decode(text).map_err(|_| KeyError::Member { member, reason: "is not base64url" })
    }

    /// Decodes a Base64urlUInt (RFC 7518, section 2), without the leading zero bytes that some issuers write.
    fn integer(&self, member: &'static str) -> Result<Vec<u8>, KeyError> {
        let bytes = self.bytes(member)?;
        Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
    }
}

#[cfg(test)]
mod tests;
