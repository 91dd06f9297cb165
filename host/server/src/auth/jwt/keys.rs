//! Verification keys: parsing from PEM or a shared secret, and signature verification.

// Keys are parsed, and signatures are verified, with aws-lc-rs itself and not through `jsonwebtoken`. Version 11.1 with
// `aws_lc_rs` and `use_pem` would replace little of this code:
// - `DecodingKey` does not validate keys. It accepts a private key, a 1024-bit RSA key, a P-384 key for ES256, a 3-byte
//   Ed25519 key and a 1-byte secret, and every signature then fails. Startup must refuse such keys, which takes the
//   parsing below, and the result of that parsing, `ParsedPublicKey`, verifies signatures without `jsonwebtoken`.
// - ES512 is missing. `jwk::JwkSet` fails as a whole on one malformed entry and does not check `use` or `alg`.
// - It copies and parses the key on every call: 15.3 µs instead of 13.2 µs for RS256, 0.56 instead of 0.34 for HS256.
// - It adds 16 packages, among them simple_asn1, num-bigint, time, and second versions of `pem` and `untrusted`.

use super::algorithm::{Algorithm, KeyType};
use super::error::KeyError;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ParsedPublicKey;

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey(Key);

enum Key {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerificationKey {
    /// Parses a key from text: a public key in PEM, or for an HMAC algorithm the shared secret itself.
    ///
    /// PEM labels are `PUBLIC KEY` (X.509 SubjectPublicKeyInfo) and `RSA PUBLIC KEY` (PKCS #1).
    ///
    /// # Errors
    /// The text is not a key for the algorithm, or the key's size is not allowed.
    pub fn from_text(algorithm: Algorithm, text: &str) -> Result<Self, KeyError> {
        if let KeyType::Secret { .. } = algorithm.key_type() {
            return Self::from_secret(algorithm, text.as_bytes());
        }
        let error = |reason| KeyError::Pem { algorithm: algorithm.name(), reason };
        let block = pem::parse(restore_lines(text)).map_err(|_| error("it is not PEM"))?;
        match block.tag() {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::from_public(algorithm, block.contents()),
            tag if tag.ends_with("PRIVATE KEY") => {
                Err(error("it is a private key, which must stay with the token issuer"))
            }
            _ => Err(error("it has another label")),
        }
    }

    /// Creates a key from a shared secret.
    pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let KeyType::Secret { hmac, min_bytes } = algorithm.key_type() else {
            return Err(KeyError::WrongKind { algorithm: algorithm.name() });
        };
        if secret.len() < min_bytes {
            return Err(KeyError::ShortSecret { algorithm: algorithm.name(), length: secret.len(), min: min_bytes });
        }
        Ok(Self(Key::Secret(Box::new(hmac::Key::new(hmac, secret)))))
    }

    /// Parses a public key in one of its encodings: X.509, PKCS #1, or the bytes of a curve point.
    pub(super) fn from_public(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let wrong_kind = || KeyError::WrongKind { algorithm: algorithm.name() };
        let (verification, is_rsa) = match algorithm.key_type() {
            KeyType::Secret { .. } => return Err(wrong_kind()),
            KeyType::Rsa(verification) => (verification, true),
            KeyType::Ec { algorithm: verification, .. } | KeyType::Ed25519(verification) => (verification, false),
        };
        let key = ParsedPublicKey::new(verification, bytes).map_err(|_| wrong_kind())?;
        if is_rsa {
            // `ParsedPublicKey` checks the size of an RSA key only when it verifies. `PublicEncryptingKey` checks it here.
            let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| wrong_kind())?;
            PublicEncryptingKey::from_der(der.as_ref())
                .map_err(|_| KeyError::RsaSize { algorithm: algorithm.name() })?;
        }
        Ok(Self(Key::Public(key)))
    }

    /// Returns whether the signature over the message was made with this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            // Compares in constant time.
            Key::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Key::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// Restores the lines of PEM that was written in one line: with the characters `\n` in place of line breaks, as in
/// environment files, or with spaces.
fn restore_lines(text: &str) -> String {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let Some((begin, rest)) = text.trim().strip_prefix("-----").and_then(|rest| rest.split_once("-----")) else {
        return text;
    };
    let Some((body, end)) = rest.split_once("-----") else { return text };
    let body: Vec<&str> = body.split_ascii_whitespace().collect();
    format!("-----{begin}-----\n{}\n-----{end}\n", body.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, VerificationKey};

    fn refusal(algorithm: Algorithm, text: &str) -> String {
        VerificationKey::from_text(algorithm, text).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn pem_of_another_kind_is_refused_with_its_reason() {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for label in ["PRIVATE KEY", "EC PRIVATE KEY"] {
            assert!(refusal(Algorithm::ES256, &pem(label)).contains("must stay with the token issuer"), "{label}");
        }
        for label in ["CERTIFICATE", "PRIVATE KEYS"] {
            assert!(refusal(Algorithm::ES256, &pem(label)).contains("another label"), "{label}");
        }
        assert!(refusal(Algorithm::ES256, "AAAA").contains("not PEM"));
    }

    #[test]
    fn secret_has_at_least_the_bytes_of_its_hash() {
        for (algorithm, bytes) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            assert_eq!(refusal(algorithm, &"x".repeat(bytes)), "", "{algorithm:?}");
            assert!(!refusal(algorithm, &"x".repeat(bytes - 1)).is_empty(), "{algorithm:?}");
        }
    }
}
