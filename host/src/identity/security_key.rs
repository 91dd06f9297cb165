//! The security key: one secret that whoever knows it is the root of the deployment.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// A security key, kept as its SHA-256 alone.
pub struct SecurityKey {
    digest: [u8; 32],
}

impl SecurityKey {
    /// The key that this text is.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { digest: sha256(key) }
    }

    /// Whether the text is the key. The digests are compared in constant time, so neither the key's length nor the
    /// place of the first wrong byte shows in how long it takes.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        verify_slices_are_equal(&self.digest, &sha256(presented)).is_ok()
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}
