//! The options of the audit log.

use super::note::{PublicKey, SigningKey};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The options of the audit log. The keys of `[audit]` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// The directory of the log. One server writes to it.
    pub directory: PathBuf,
    /// The key that signs checkpoints. Its name is the origin of the log.
    pub signing_key: Arc<SigningKey>,
    /// Public keys that signed checkpoints before.
    pub previous_public_keys: Vec<PublicKey>,
    /// The bytes from which a file of the journal is followed by a new one.
    pub max_segment_bytes: u64,
    /// The age from which a file of the journal is followed by a new one.
    pub max_segment_age: Duration,
    /// The time between two checkpoints of a log that grows.
    pub checkpoint_interval: Duration,
    /// The bytes of one file of the journal that decisions without an intent can occupy.
    pub max_refusal_bytes: u64,
    /// A program with its arguments that gets each checkpoint on its standard input.
    pub publish_command: Vec<String>,
}

impl AuditConfig {
    /// The public keys that verify the checkpoints of the log.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        std::iter::once(self.signing_key.public_key()).chain(&self.previous_public_keys).cloned().collect()
    }
}
