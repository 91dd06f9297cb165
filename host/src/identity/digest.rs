//! Secrets as their SHA-256 alone, so that the only comparison there is takes the same time wherever two differ.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// The digest of a secret. It has neither `==` nor a way to its bytes: [`is_of`](Self::is_of) is all that can be asked.
pub(super) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of this secret.
    pub(super) fn of(secret: &str) -> Self {
        Self(sha256(secret))
    }

    /// Whether the text is the secret. Compared in constant time, and digests rather than the texts, so neither the
    /// secret's length nor the place of the first wrong byte shows in how long it takes.
    pub(super) fn is_of(&self, presented: &str) -> bool {
        verify_slices_are_equal(&self.0, &sha256(presented)).is_ok()
    }
}

/// The SHA-256 of a service account's token in lower-case hexadecimal digits, by which the account store knows it.
///
/// A store finds it as it finds any text, and how long that takes may tell of the digests that it has. From a digest
/// follows no token: whoever would guess one needs the 256 random bits that it was made of.
pub(super) fn token_hash(token: &str) -> String {
    sha256(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a JSON Web Token, by which one that verified is remembered. As with [`token_hash`], how long it takes to
/// find one may tell of digests, and from a digest follows no token.
pub(super) fn token_digest(token: &str) -> [u8; 32] {
    sha256(token)
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests;
