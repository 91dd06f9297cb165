//! The security key: one secret that whoever knows it is the root of the deployment.

use super::digest::SecretDigest;

/// A security key, kept as its SHA-256 alone.
pub struct SecurityKey(SecretDigest);

impl SecurityKey {
    /// The key that this text is.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(SecretDigest::of(key))
    }

    /// Whether the text is the key, in constant time.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        self.0.is_of(presented)
    }
}
