//! The security key: one secret whose bearer can delete every learning.

use super::digest::SecretDigest;

/// A security key. Only its SHA-256 is stored.
pub struct SecurityKey(SecretDigest);

impl SecurityKey {
    /// Creates a security key from its text.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(SecretDigest::new(key))
    }

    /// Whether the text is the key. Compares in constant time.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.0.matches(presented)
    }
}
