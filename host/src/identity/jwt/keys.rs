//! Keys that verify tokens: from PEM, from a shared secret, from a JSON Web Key (RFC 7517).

use super::algorithm::{Algorithm, Scheme};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKeyComponents};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::HashMap;

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey(Kind);

enum Kind {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A secret too short for its algorithm (RFC 7518, section 3.2).
    #[error("{algorithm} needs a secret of at least {least} bytes, and this one has {length}")]
    ShortSecret {
        /// The algorithm.
        algorithm: &'static str,
        /// The bytes that it has.
        length: usize,
        /// The bytes that it needs.
        least: usize,
    },
    /// An RSA key too short (RFC 7518, section 3.3), or too long to be used.
    #[error("{algorithm} needs an RSA key of 2048 to 8192 bits")]
    RsaSize {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// No public key in PEM.
    #[error("{algorithm} needs a public key in PEM ('-----BEGIN PUBLIC KEY-----'): {reason}")]
    Pem {
        /// The algorithm.
        algorithm: &'static str,
        /// What is the matter with it.
        reason: &'static str,
    },
    /// A key of another kind than the algorithm takes.
    #[error("this is not a public key for {algorithm}")]
    WrongKind {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// A JSON Web Key Set that cannot be read.
    #[error("not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// A set of which no key can be used.
    #[error("none of its {keys} keys is one for {algorithm}: {reasons}")]
    NoUsableKey {
        /// How many it has.
        keys: usize,
        /// The algorithm.
        algorithm: &'static str,
        /// Why each was passed over.
        reasons: String,
    },
}

impl VerificationKey {
    /// The key that this text is: a PEM public key, or for the HS family the shared secret itself.
    ///
    /// # Errors
    /// Where it is not a key for the algorithm, or too short for it.
    pub fn from_text(algorithm: Algorithm, text: &str) -> Result<Self, KeyError> {
        if let Scheme::Hmac(hash, least) = algorithm.scheme() {
            return Self::from_secret(algorithm, hash, least, text.as_bytes());
        }
        let bad = |reason| KeyError::Pem { algorithm: algorithm.name(), reason };
        let block = pem::parse(text).map_err(|_| bad("it is not PEM"))?;
        match block.tag() {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::from_public(algorithm, block.contents()),
            tag if tag.ends_with("PRIVATE KEY") => Err(bad("it is a private key, which has no place here")),
            _ => Err(bad("it is something else")),
        }
    }

    fn from_secret(algorithm: Algorithm, hash: hmac::Algorithm, least: usize, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < least {
            return Err(KeyError::ShortSecret { algorithm: algorithm.name(), length: secret.len(), least });
        }
        Ok(Self(Kind::Secret(Box::new(hmac::Key::new(hash, secret)))))
    }

    /// A public key in the encoding of its kind: X.509, PKCS #1, or the plain bytes of a curve's point.
    fn from_public(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let wrong = || KeyError::WrongKind { algorithm: algorithm.name() };
        let key = match algorithm.scheme() {
            Scheme::Hmac(..) => return Err(wrong()),
            Scheme::Rsa(parameters) => ParsedPublicKey::new(parameters, bytes),
            Scheme::Ecdsa(curve, ..) => ParsedPublicKey::new(curve, bytes),
            Scheme::Ed25519(curve) => ParsedPublicKey::new(curve, bytes),
        }
        .map_err(|_| wrong())?;
        if let Scheme::Rsa(_) = algorithm.scheme() {
            let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| wrong())?;
            // The library takes shorter keys to verify with, and refuses them here.
            PublicEncryptingKey::from_der(der.as_ref())
                .map_err(|_| KeyError::RsaSize { algorithm: algorithm.name() })?;
        }
        Ok(Self(Kind::Public(key)))
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            // Compares in constant time.
            Kind::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Kind::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// The keys of a JSON Web Key Set that verify signatures of one algorithm.
#[derive(Default)]
pub(super) struct JwkSet {
    by_kid: HashMap<String, VerificationKey>,
    without_kid: Option<VerificationKey>,
}

/// A set, as the file has it (RFC 7517, section 5).
#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

/// A key, with the members that matter (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl JwkSet {
    /// The keys of this document that are for the algorithm. Others are passed over: sets hold keys for several.
    ///
    /// # Errors
    /// Where the document is no set, or no key of it can be used.
    pub(super) fn from_json(algorithm: Algorithm, document: &[u8]) -> Result<Self, KeyError> {
        let Document { keys } = serde_json::from_slice(document)?;
        let count = keys.len();
        let mut set = Self::default();
        let mut reasons = Vec::new();
        for (index, jwk) in keys.into_iter().enumerate() {
            match jwk.key(algorithm) {
                Ok(key) => match jwk.kid {
                    Some(kid) if !kid.is_empty() => drop(set.by_kid.insert(kid, key)),
                    _ => set.without_kid = Some(key),
                },
                Err(reason) => reasons.push(format!("key {index}: {reason}")),
            }
        }
        if set.is_empty() {
            let reasons = reasons.join("; ");
            return Err(KeyError::NoUsableKey { keys: count, algorithm: algorithm.name(), reasons });
        }
        Ok(set)
    }

    /// Whether it holds no key.
    #[must_use]
    fn is_empty(&self) -> bool {
        self.by_kid.is_empty() && self.without_kid.is_none()
    }

    /// The key that a token names; where it names none that is known, the key without a name.
    pub(super) fn pick(&self, kid: Option<&str>) -> Option<&VerificationKey> {
        kid.and_then(|kid| self.by_kid.get(kid)).or(self.without_kid.as_ref())
    }
}

impl Jwk {
    fn key(&self, algorithm: Algorithm) -> Result<VerificationKey, KeyError> {
        let wrong = || KeyError::WrongKind { algorithm: algorithm.name() };
        let bytes = |member: &Option<String>| {
            member.as_deref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(wrong)
        };
        if self.usage.as_deref().is_some_and(|usage| usage != "sig")
            || self.alg.as_deref().is_some_and(|alg| alg != algorithm.name())
        {
            return Err(wrong());
        }
        match (algorithm.scheme(), self.kty.as_str()) {
            (Scheme::Hmac(hash, least), "oct") => {
                VerificationKey::from_secret(algorithm, hash, least, &bytes(&self.k)?)
            }
            (Scheme::Rsa(_), "RSA") => {
                let components = PublicKeyComponents { n: bytes(&self.n)?, e: bytes(&self.e)? };
                let der: PublicKeyX509Der<'_> = components.as_der().map_err(|_| wrong())?;
                VerificationKey::from_public(algorithm, der.as_ref())
            }
            (Scheme::Ecdsa(_, curve, size), "EC") if self.crv.as_deref() == Some(curve) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                if x.len() != size || y.len() != size {
                    return Err(wrong());
                }
                // An uncompressed point (SEC 1, section 2.3.3).
                VerificationKey::from_public(algorithm, &[&[4], x.as_slice(), &y].concat())
            }
            (Scheme::Ed25519(_), "OKP") if self.crv.as_deref() == Some("Ed25519") => {
                VerificationKey::from_public(algorithm, &bytes(&self.x)?)
            }
            _ => Err(wrong()),
        }
    }
}
