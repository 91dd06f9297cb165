//! SHA-256 digests of secrets. Secrets are compared only as digests, in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The digest of a secret. It has no `==` and no accessor; [`matches`](Self::matches) is the only comparison.
pub(super) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Creates the digest of a secret.
    pub(super) fn new(secret: &str) -> Self {
        Self(sha256(secret))
    }

    /// Whether the text is the secret. Digests are compared in constant time, so the time depends neither on the length of
    /// the secret nor on the position of the first difference.
    pub(super) fn matches(&self, presented: &str) -> bool {
        verify_slices_are_equal(&self.0, &sha256(presented)).is_ok()
    }
}

/// The SHA-256 of a service account's token in lower-case hexadecimal, which the account store contains.
///
/// A store looks it up like any text, and the time can reveal parts of the digests that it contains. A digest does not
/// help to guess a token, which has 256 random bits.
pub(super) fn token_hash(token: &str) -> String {
    sha256(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of a verified token: the key of the token cache. Unlike [`SecretDigest`] it has `==`. The time of a lookup
/// can reveal parts of it, which does not help to forge a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Creates the digest of a token.
    pub(super) fn new(token: &str) -> Self {
        Self(sha256(token))
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests;
