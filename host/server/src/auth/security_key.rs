//! The security key: one secret whose bearer can delete every learning.

use super::digest::SecretDigest;
use super::service_accounts::TOKEN_PREFIX;

/// A security key. Only its SHA-256 is stored.
pub struct SecurityKey(SecretDigest);

/// A security key that no request could present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityKeyError {
    /// It is empty, or begins or ends with white space, which is not part of a header's value (RFC 9110, section 5.5).
    #[error("must not be empty, nor begin or end with white space")]
    WhiteSpace,
    /// It has a character that clients cannot send in a header.
    #[error("must consist of visible ASCII characters, as `openssl rand -hex 32` prints them")]
    NotAscii,
    /// It looks like the token of a service account.
    #[error("must not begin with {TOKEN_PREFIX}, as the token of a service account does")]
    AccountToken,
}

impl SecurityKey {
    /// Creates a security key from its text.
    ///
    /// # Errors
    /// [`SecurityKeyError`] if no request could present the key.
    pub fn new(key: &str) -> Result<Self, SecurityKeyError> {
        if key.is_empty() || key.trim() != key {
            Err(SecurityKeyError::WhiteSpace)
        } else if !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            Err(SecurityKeyError::NotAscii)
        } else if key.starts_with(TOKEN_PREFIX) {
            Err(SecurityKeyError::AccountToken)
        } else {
            Ok(Self(SecretDigest::new(key)))
        }
    }

    /// Whether the text is the key. Compares in constant time.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.0.matches(presented)
    }
}
