//! Loads the policy and its guards.

use super::error::StartError;
use crate::config::{CacheConfig, Config, ConfigError};
use delete_learning::{Cache, DEFAULT_POLICY, Digest, Guard, Limits, Policy, Sandbox};
use std::borrow::Cow;
use std::path::Path;

/// Creates the sandbox, with the cache of compiled components.
pub(super) fn open_sandbox(config: &Config) -> Result<Sandbox, StartError> {
    Sandbox::new(&config.sandbox, open_cache(config)?).map_err(StartError::Sandbox)
}

/// Loads the configured policy and its guards, from the cache if they were compiled before.
pub(super) fn load(sandbox: &Sandbox, config: &Config) -> Result<Policy, StartError> {
    let policy = &config.policy;
    let mut guards = Vec::with_capacity(policy.guards.len());
    for (index, guard) in policy.guards.iter().enumerate() {
        let key = format!("guards[{index}]");
        let component = read(&guard.component, &key, &config.sandbox, config)?;
        check_pin(&component, guard.sha256, &key, config)?;
        let loaded: Guard = sandbox.load_guard(&guard.name, &component, &guard.access).map_err(|source| {
            StartError::Component { key, component: guard.component.display().to_string(), source }
        })?;
        guards.push(loaded);
    }
    let component = match &policy.component {
        None => Cow::Borrowed(DEFAULT_POLICY),
        Some(path) => Cow::Owned(read(path, "policy", &config.sandbox, config)?),
    };
    check_pin(&component, policy.sha256, "policy", config)?;
    sandbox.load_policy(&component, &policy.access, guards).map_err(|source| StartError::Component {
        key: "policy".to_owned(),
        component: policy.name(),
        source,
    })
}

fn read(path: &Path, key: &str, limits: &Limits, config: &Config) -> Result<Vec<u8>, ConfigError> {
    delete_learning::read(path, limits)
        .map_err(|error| config.error(format!("{key}.component"), format!("{}: {error}", path.display())))
}

/// Checks that a component has the digest that the configuration pins.
fn check_pin(component: &[u8], pin: Option<Digest>, key: &str, config: &Config) -> Result<(), ConfigError> {
    let digest = Digest::of(component);
    match pin {
        Some(pin) if pin != digest => {
            Err(config
                .error(format!("{key}.sha256"), format!("does not match the component, whose SHA-256 is {digest}")))
        }
        Some(_) | None => Ok(()),
    }
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
