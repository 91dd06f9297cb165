//! The configuration: a TOML file and a few environment variables, parsed and validated as a whole.
//!
//! This module reads the configuration file and the files of secrets that it names. It opens no database and starts
//! nothing; [`crate::app`] does that with the result.

mod audit;
mod auth;
mod databases;
mod error;
mod file;
mod other_sections;
mod policy;
mod secret;

pub use auth::{AuthConfig, AuthModeConfig, JwksSource, JwtConfig, ServiceAccountsConfig};
pub use databases::{DatabaseConfig, DatabaseUrl};
pub use error::ConfigError;
pub use other_sections::OtherSections;
pub use policy::{GuardConfig, PolicyConfig, ReloadTrigger};

use crate::audit::AuditConfig;
use crate::auth::Authorization;
use crate::http::HttpConfig;
use crate::storage::postgres::PostgresOptions;
use crate::storage::sqlite::SqliteOptions;
use crate::telemetry::LogConfig;
use delete_learning::Limits;
use std::fs;
use std::path::{Path, PathBuf};

/// A valid configuration.
pub struct Config {
    /// The HTTP server.
    pub http: HttpConfig,
    /// The policy and its guards.
    pub policy: PolicyConfig,
    /// The sandbox.
    pub sandbox: Limits,
    /// The databases, at least one.
    pub databases: Vec<DatabaseConfig>,
    /// Options of SQLite databases.
    pub sqlite: SqliteOptions,
    /// Options of PostgreSQL databases.
    pub postgres: PostgresOptions,
    /// Authentication.
    pub auth: AuthConfig,
    /// Authorization.
    pub authorization: Authorization,
    /// The cache of compiled policies.
    pub cache: CacheConfig,
    /// The audit log, if there is one.
    pub audit: Option<AuditConfig>,
    /// The log.
    pub log: LogConfig,
    /// Warnings to log at startup.
    pub warnings: Vec<String>,
    /// What a reload does not use.
    pub other_sections: OtherSections,
    source: Source,
}

/// Where compiled policies are cached.
#[derive(Clone, Debug)]
pub enum CacheConfig {
    /// Nowhere.
    Disabled,
    /// In a directory that the configuration names. It must be usable.
    Directory(PathBuf),
    /// In the cache directory of the user, if it is usable.
    UserDirectory(PathBuf),
}

/// An environment variable by name. A function, so that tests need not change the environment of the process.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads a configuration file. A relative path in it is relative to the directory of the file.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or anything in it is invalid.
    pub fn read(path: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let source = Source { file: path.to_owned(), directory };
        let text =
            fs::read_to_string(path).map_err(|error| source.error("file", format!("cannot be read: {error}")))?;
        let file = file::parse(&text).map_err(|(key, reason)| source.error(key, reason))?;
        Self::validate(file, OtherSections::parse(&text), source, environment)
    }

    /// Creates an error about a key of this configuration.
    pub(crate) fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        self.source.error(key, reason)
    }

    fn validate(
        file: file::File,
        other_sections: OtherSections,
        source: Source,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        validate_limits(&file, &source)?;
        let mut warnings = Vec::new();
        let databases = databases::validate(file.databases, &source, environment, &mut warnings)?;
        validate_postgres_timeouts(&databases, &file.postgres, &file.sandbox, &source)?;
        if file.authorization.admin_scope.is_empty() {
            return Err(source.error("authorization.admin_scope", "must not be empty"));
        }
        let auth = auth::validate(file.auth, &databases, &source, environment, &mut warnings)?;
        if file.server.cors.allows_every_origin() && matches!(auth.mode, AuthModeConfig::None) {
            let reason = "server.cors.allowed_origins allows every origin, and auth.mode is \"none\": every page that a browser \
                          in this network opens can delete every learning";
            warnings.push(reason.to_owned());
        }
        Ok(Self {
            http: file.server,
            policy: policy::validate(file.policy, file.guards, &file.sandbox, &source)?,
            sandbox: file.sandbox,
            databases,
            sqlite: file.sqlite,
            postgres: file.postgres,
            auth,
            authorization: file.authorization,
            cache: validate_cache(file.cache, &source, environment)?,
            audit: file.audit.map(|audit| audit::validate(audit, &source)).transpose()?,
            log: file.log,
            warnings,
            other_sections,
            source,
        })
    }
}

/// Where a configuration comes from: the file in its error messages, and the directory of its relative paths.
#[derive(Clone, Debug)]
struct Source {
    file: PathBuf,
    directory: PathBuf,
}

impl Source {
    fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError { file: self.file.clone(), key: key.into(), reason: reason.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// Reads a secret from a file. A line feed at its end does not belong to it. The error does not contain it.
    fn read_secret(&self, key: &str, path: &str) -> Result<String, ConfigError> {
        let path = self.path(path);
        let bytes =
            fs::read(&path).map_err(|error| self.error(key, format!("{} cannot be read: {error}", path.display())))?;
        let text =
            String::from_utf8(bytes).map_err(|_| self.error(key, format!("{} is not UTF-8 text", path.display())))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

fn validate_limits(file: &file::File, source: &Source) -> Result<(), ConfigError> {
    let too_small = |section: &str, key: &str, min: u64| {
        Err(source.error(format!("{section}.{key}"), format!("must be at least {min}")))
    };
    if let Some((key, min)) = file.server.too_small() {
        return too_small("server", key, min);
    }
    if let Err(error) = file.sandbox.validate() {
        return too_small("sandbox", error.key, error.min);
    }
    if let Some((key, min)) = file.sqlite.too_small() {
        return too_small("sqlite", key, min as u64);
    }
    if let Some((key, min)) = file.postgres.too_small() {
        return too_small("postgres", key, min as u64);
    }
    if file.sqlite.busy_timeout_ms >= file.sandbox.execution_timeout_ms {
        return Err(source.error("sqlite.busy_timeout_ms", "must be less than sandbox.execution_timeout_ms"));
    }
    Ok(())
}

fn validate_postgres_timeouts(
    databases: &[DatabaseConfig],
    postgres: &PostgresOptions,
    sandbox: &Limits,
    source: &Source,
) -> Result<(), ConfigError> {
    let urls = databases.iter().filter_map(DatabaseConfig::postgres_url);
    let Some(max_connect_ms) = urls.map(|url| url.max_connect_ms(postgres)).max() else { return Ok(()) };
    let needed = postgres.max_request_ms(max_connect_ms);
    if needed < sandbox.execution_timeout_ms {
        return Ok(());
    }
    let reason = format!(
        "must be more than {needed}: postgres.acquire_timeout_ms, postgres.connect_timeout_ms for each host of a database \
         and five quarters of postgres.statement_timeout_ms together, so that a policy is not stopped while it waits for \
         storage"
    );
    Err(source.error("sandbox.execution_timeout_ms", reason))
}

/// The configured directory, or the cache directory of the user (XDG Base Directory Specification), if there is one.
fn validate_cache(
    cache: file::Cache,
    source: &Source,
    environment: Environment<'_>,
) -> Result<CacheConfig, ConfigError> {
    match (cache.enabled, cache.directory) {
        (false, None) => Ok(CacheConfig::Disabled),
        (false, Some(_)) => Err(source.error("cache.directory", "has no effect unless cache.enabled is true")),
        (true, Some(directory)) => Ok(CacheConfig::Directory(source.path(&directory))),
        (true, None) => {
            let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let user = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
            Ok(user.map_or(CacheConfig::Disabled, |directory| {
                CacheConfig::UserDirectory(directory.join("delete-learning"))
            }))
        }
    }
}
