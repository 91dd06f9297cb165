//! Loads the policy.

use super::error::StartError;
use crate::config::{CacheConfig, Config, ConfigError};
use delete_learning::{Cache, DEFAULT_POLICY, Policy};
use std::borrow::Cow;

/// Loads the configured policy, from the cache if it was compiled before.
pub(super) fn load(config: &Config) -> Result<Policy, StartError> {
    let cache = open_cache(config)?;
    let component = match &config.policy.component {
        None => Cow::Borrowed(DEFAULT_POLICY),
        Some(path) => Cow::Owned(
            delete_learning::read(path, &config.sandbox)
                .map_err(|error| config.error("policy.component", format!("{}: {error}", path.display())))?,
        ),
    };
    Policy::load_with(&component, &config.sandbox, config.policy.wasi, cache.as_ref())
        .map_err(|source| StartError::Policy { policy: config.policy.name(), source })
}

fn open_cache(config: &Config) -> Result<Option<Cache>, ConfigError> {
    match &config.cache {
        CacheConfig::Disabled => Ok(None),
        CacheConfig::Directory(directory) => {
            Cache::open(directory).map(Some).map_err(|error| config.error("cache.directory", error.to_string()))
        }
        CacheConfig::UserDirectory(directory) => Ok(Cache::open(directory)
            .inspect_err(|error| {
                tracing::warn!(%error, "cannot cache compiled policies; set cache.enabled = false to silence this");
            })
            .ok()),
    }
}
