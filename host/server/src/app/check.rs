//! What `serve --check` does: everything of a start that needs no database, no other server and no address, and changes nothing.

use super::authentication::check_jwks;
use super::databases;
use super::error::StartError;
use super::policy::{self, Components};
use crate::config::{CacheConfig, Config, DatabaseUrl};
use delete_learning::{Cache, Sandbox};

/// Checks what a start with this configuration needs: loads the policy and its guards, and reads the key set and the
/// certificates. It connects to nothing, listens on nothing, and changes no file: the cache of compiled policies is only read.
///
/// # Errors
/// [`StartError`], as a start would report it.
pub fn check(config: &Config) -> Result<(), StartError> {
    // In the order of a start, so that it reports the same error. A cache that does not exist is created by a start.
    let cache = match &config.cache {
        CacheConfig::Directory(directory) | CacheConfig::UserDirectory(directory) if directory.exists() => {
            policy::open_cache(config)?.map(Cache::read_only)
        }
        CacheConfig::Directory(_) | CacheConfig::UserDirectory(_) | CacheConfig::Disabled => None,
    };
    let sandbox = Sandbox::new(&config.sandbox, cache).map_err(StartError::Sandbox)?;
    let components = Components::read(&sandbox, &config.policy);
    policy::load(&sandbox, &config.policy, &components)?;
    for (index, database) in config.databases.iter().enumerate() {
        if let DatabaseUrl::Postgres(target) = &database.url {
            target.check_files(&config.postgres).map_err(|error| databases::error(config, index, &error))?;
        }
    }
    check_jwks(config)?;
    Ok(())
}
