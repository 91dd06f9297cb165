//! Loads the policy and its guards.

use super::error::StartError;
use crate::config::{CacheConfig, Config, ConfigError, PolicyConfig};
use delete_learning::{Cache, DEFAULT_POLICY, Digest, LoadError, Policy, ReadError, Sandbox};
use std::borrow::Cow;

/// Creates the sandbox, with the cache of compiled components.
pub(super) fn open_sandbox(config: &Config) -> Result<Sandbox, StartError> {
    Sandbox::new(&config.sandbox, open_cache(config)?).map_err(StartError::Sandbox)
}

/// The components of a configuration, as their files were when they were read.
pub(super) struct Components {
    guards: Vec<Result<Vec<u8>, ReadError>>,
    policy: Result<Cow<'static, [u8]>, ReadError>,
}

impl Components {
    /// Reads the files.
    pub(super) fn read(sandbox: &Sandbox, config: &PolicyConfig) -> Self {
        let limits = sandbox.limits();
        Self {
            guards: config.guards.iter().map(|guard| delete_learning::read(&guard.component, limits)).collect(),
            policy: match &config.component {
                None => Ok(Cow::Borrowed(DEFAULT_POLICY)),
                Some(path) => delete_learning::read(path, limits).map(Cow::Owned),
            },
        }
    }

    /// Their contents, or why they cannot be read, in a form to compare. The contents are read for it, because the size
    /// and the modification time of a file can stay the same when it is replaced.
    pub(super) fn digests(&self) -> Vec<Result<Digest, String>> {
        let guards = self.guards.iter().map(|guard| guard.as_deref());
        guards.chain([self.policy.as_deref()]).map(|read| read.map(Digest::of).map_err(ToString::to_string)).collect()
    }
}

/// Loads the configured policy and its guards, from the cache if they were compiled before.
pub(super) fn load(sandbox: &Sandbox, config: &PolicyConfig, components: &Components) -> Result<Policy, StartError> {
    let mut guards = Vec::with_capacity(config.guards.len());
    for (index, (guard, component)) in config.guards.iter().zip(&components.guards).enumerate() {
        let (key, name) = (format!("guards[{index}]"), guard.component.display().to_string());
        let component = check(component.as_deref(), guard.sha256, &key, &name, config)?;
        let loaded = sandbox
            .load_guard(&guard.name, component, &guard.access)
            .map_err(|source| component_error(config, &key, name, source))?;
        guards.push(loaded);
    }
    let (key, name) = ("policy".to_owned(), config.name());
    let component = check(components.policy.as_deref(), config.sha256, &key, &name, config)?;
    let loaded = sandbox.load_policy(component, &config.access, guards);
    loaded.map_err(|source| component_error(config, &key, name, source))
}

fn component_error(config: &PolicyConfig, section: &str, component: String, source: LoadError) -> StartError {
    let key = format!("{section}.component");
    StartError::Component { origin: config.origin(&key), key, component, source: Box::new(source) }
}

/// Checks that a component was read and has the digest that the configuration pins.
fn check<'a>(
    component: Result<&'a [u8], &ReadError>,
    pin: Option<Digest>,
    key: &str,
    name: &str,
    config: &PolicyConfig,
) -> Result<&'a [u8], ConfigError> {
    let component = component.map_err(|error| config.error(format!("{key}.component"), format!("{name}: {error}")))?;
    let digest = Digest::of(component);
    match pin {
        Some(pin) if pin != digest => {
            let reason = format!("does not match the component, whose SHA-256 is {digest}");
            Err(config.error(format!("{key}.sha256"), reason))
        }
        Some(_) | None => Ok(component),
    }
}

/// Opens the cache of the configuration, if it has one.
pub(super) fn open_cache(config: &Config) -> Result<Option<Cache>, ConfigError> {
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
