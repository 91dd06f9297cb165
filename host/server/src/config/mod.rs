//! The configuration: a TOML file and environment variables, parsed and validated as a whole.
//!
//! `document.rs` parses the file, and `variables.rs` adds the environment; `nearest.rs` refuses unknown keys; then the values get
//! their types (`file.rs`) and are validated. `effective.rs` lists every key with the value that applies.
//!
//! This module reads the configuration file and the files of secrets that it names. It opens no database and starts
//! nothing; [`crate::app`] does that with the result.

mod audit;
mod auth;
mod databases;
mod document;
mod effective;
mod environment;
mod error;
mod file;
mod masked;
mod nearest;
mod origin;
mod other_sections;
mod policy;
mod schema;
mod secret;
mod source;
mod traces;
mod variables;

pub use auth::{AuthConfig, AuthModeConfig, JwksSource, JwtConfig, ServiceAccountsConfig};
pub use databases::{DatabaseConfig, DatabaseUrl};
pub use effective::{EffectiveKey, EffectiveSection};
pub use environment::Environment;
pub use error::ConfigError;
pub use origin::Origin;
pub use other_sections::OtherSections;
pub use policy::{GuardConfig, PolicyConfig, ReloadTrigger};

use crate::audit::AuditConfig;
use crate::auth::Authorization;
use crate::http::HttpConfig;
use crate::storage::postgres::PostgresOptions;
use crate::storage::sqlite::SqliteOptions;
use crate::telemetry::{LogConfig, MetricsConfig, TracesConfig};
use delete_learning::Limits;
use document::Document;
use effective::Derived;
use schema::Schema;
use source::Source;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// The metrics, if they are served.
    pub metrics: Option<MetricsConfig>,
    /// The traces, if they are sent.
    pub traces: Option<TracesConfig>,
    /// The log.
    pub log: LogConfig,
    /// Warnings to log at startup.
    pub warnings: Vec<String>,
    /// What a reload does not use.
    pub other_sections: OtherSections,
    /// Every key with the value that applies and its origin. Secrets are masked.
    pub effective: Vec<EffectiveSection>,
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

impl Config {
    /// Reads a configuration file and the environment, whose variables replace keys of the file. A relative path is relative to
    /// the directory of the file.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or anything in it or in the environment is invalid.
    pub fn read(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let source = Source { file: Some(path.into()), directory, ..Source::default() };
        let text =
            fs::read_to_string(path).map_err(|error| source.error("file", format!("cannot be read: {error}")))?;
        Self::from_document(Document::parse(path, &text)?, source, environment)
    }

    /// Reads the environment without a file. A relative path is relative to the working directory.
    ///
    /// # Errors
    /// [`ConfigError`] if anything in it is invalid.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        if environment.keys().next().is_none() {
            let reason = "there is none; name a file with --config FILE, or set variables such as DELETE_LEARNING_DATABASES__0__URL \
                          (see `delete-learning serve --help`)";
            return Err(Source::default().error("configuration", reason));
        }
        Self::from_document(Document::default(), Source::default(), environment)
    }

    /// Whether a key is set.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.source.origins.contains(key)
    }

    /// Where a key is set.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.source.origin(key)
    }

    fn from_document(
        mut document: Document,
        mut source: Source,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let schema = Schema::of::<file::File>();
        variables::merge(&mut document, &schema, environment)?;
        let Document { table, origins } = document;
        source.origins = Arc::new(origins);
        if let Some((key, reason)) = nearest::find_unknown(&table, &schema) {
            // It is a key, even if it is called like a variable of an AgentOS.
            return Err(ConfigError { origin: source.origin(&key), key, reason });
        }
        let other_sections = OtherSections::new(&table);
        let file = file::typed(table).map_err(|(key, reason)| source.error(key, reason))?;
        // Maps with text as keys, numbers, texts and the like: it cannot fail.
        let values = serde_json::to_value(&file).map_err(|error| source.error("file", error.to_string()))?;
        let mut derived = Derived::new();
        let mut config = Self::validate(file, other_sections, source, environment, &mut derived)?;
        config.effective = effective::list(&schema, &values, &config.source.origins, &derived);
        Ok(config)
    }

    /// Creates an error about a key of this configuration.
    pub(crate) fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        self.source.error(key, reason)
    }

    fn validate(
        file: file::File,
        other_sections: OtherSections,
        source: Source,
        environment: &Environment,
        derived: &mut Derived,
    ) -> Result<Self, ConfigError> {
        validate_limits(&file, &source)?;
        let mut warnings = Vec::new();
        let databases = databases::validate(file.databases, &source, environment, &mut warnings, derived)?;
        validate_postgres_timeouts(&databases, &file.postgres, &file.sandbox, &source)?;
        if file.authorization.admin_scope.is_empty() {
            return Err(source.error("authorization.admin_scope", "must not be empty"));
        }
        if file
            .metrics
            .as_ref()
            .is_some_and(|metrics| metrics.listen == file.server.listen && metrics.listen.port() != 0)
        {
            return Err(source.error("metrics.listen", "must differ from server.listen"));
        }
        let auth = auth::validate(file.auth, &databases, &source, environment, &mut warnings, derived)?;
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
            cache: validate_cache(file.cache, &source, environment, derived)?,
            audit: file.audit.map(|audit| audit::validate(audit, &source)).transpose()?,
            metrics: file.metrics,
            traces: file.traces.map(|traces| traces::validate(&traces, &source)).transpose()?,
            log: validate_log(file.log, &source, environment, derived, &mut warnings),
            warnings,
            other_sections,
            effective: Vec::new(),
            source,
        })
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

/// The configured log; if its filter is not configured, that of the variable `RUST_LOG`, which other programs can need too, so
/// it stops nothing.
fn validate_log(
    log: LogConfig,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
    warnings: &mut Vec<String>,
) -> LogConfig {
    let text = environment.get("RUST_LOG").filter(|text| !text.is_empty());
    let Some(text) = text.filter(|_| !source.origins.contains("log.filter")) else { return log };
    match text.parse() {
        Ok(filter) => {
            derived.insert("log.filter".to_owned(), (text.into(), Origin::Variable("RUST_LOG".to_owned())));
            LogConfig { filter, ..log }
        }
        Err(_) => {
            warnings.push(format!(
                "RUST_LOG has no effect: {text:?} is not a filter such as \"warn,delete_learning=debug\""
            ));
            log
        }
    }
}

/// The configured directory, or the cache directory of the user (XDG Base Directory Specification), if there is one.
fn validate_cache(
    cache: file::Cache,
    source: &Source,
    environment: &Environment,
    derived: &mut Derived,
) -> Result<CacheConfig, ConfigError> {
    match (cache.enabled, cache.directory) {
        (false, None) => Ok(CacheConfig::Disabled),
        (false, Some(_)) => Err(source.error("cache.directory", "has no effect unless cache.enabled is true")),
        (true, Some(directory)) => Ok(CacheConfig::Directory(source.path(&directory))),
        (true, None) => {
            let absolute = |name: &'static str| {
                environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| (name, path))
            };
            let user =
                absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|(name, home)| (name, home.join(".cache"))));
            let Some((name, directory)) = user else { return Ok(CacheConfig::Disabled) };
            let directory = directory.join("delete-learning");
            let origin = Origin::Derived(format!("environment variable {name}"));
            derived.insert("cache.directory".to_owned(), (directory.display().to_string().into(), origin));
            Ok(CacheConfig::UserDirectory(directory))
        }
    }
}
