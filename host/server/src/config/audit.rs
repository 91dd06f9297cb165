//! The section `[audit]`.

use super::{ConfigError, Source, file};
use crate::audit::{AuditConfig, SigningKey};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn validate(audit: file::Audit, source: &Source) -> Result<AuditConfig, ConfigError> {
    let error = |key: &str, reason: String| source.error(format!("audit.{key}"), reason);
    for (key, value, min) in [
        ("max_segment_bytes", audit.max_segment_bytes, 65_536),
        ("max_segment_age_seconds", audit.max_segment_age_seconds, 1),
        ("checkpoint_interval_seconds", audit.checkpoint_interval_seconds, 1),
        ("max_refusal_bytes", audit.max_refusal_bytes, 4096),
    ] {
        if value < min {
            return Err(error(key, format!("must be at least {min}")));
        }
    }
    if audit.max_refusal_bytes > audit.max_segment_bytes {
        return Err(error("max_refusal_bytes", "must not be more than audit.max_segment_bytes".to_owned()));
    }
    let key = source.read_secret("audit.signing_key_file", &audit.signing_key_file)?;
    let signing_key = SigningKey::parse(&key).map_err(|reason| {
        let file = source.path(&audit.signing_key_file);
        error("signing_key_file", format!("{}: {reason}; `delete-learning audit keygen` makes one", file.display()))
    })?;
    let mut previous_public_keys = Vec::with_capacity(audit.previous_public_keys.len());
    for (index, key) in audit.previous_public_keys.iter().enumerate() {
        let key =
            key.parse().map_err(|reason| error(&format!("previous_public_keys[{index}]"), format!("{reason}")))?;
        previous_public_keys.push(key);
    }
    Ok(AuditConfig {
        directory: source.path(&audit.directory),
        signing_key: Arc::new(signing_key),
        previous_public_keys,
        max_segment_bytes: audit.max_segment_bytes,
        max_segment_age: Duration::from_secs(audit.max_segment_age_seconds),
        checkpoint_interval: Duration::from_secs(audit.checkpoint_interval_seconds),
        max_refusal_bytes: audit.max_refusal_bytes,
        publish_command: audit.publish_command,
    })
}
