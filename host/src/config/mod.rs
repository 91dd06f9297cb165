//! The configuration: a TOML file and a few variables of the environment, read once, checked whole, handed down.

mod file;
mod secret;

use crate::identity::{
    AccountStore, Algorithm, Authenticator, JwksFile, JwtVerifier, Method, SecurityKey, ServiceAccounts,
    VerificationKey, VerifiedTokens,
};
use crate::limits::Limits;
use crate::plugin::{self, Cache, DELETE_LEARNING, Wasi};
use crate::storage::{
    Database, Databases, PostgresAccounts, PostgresTable, PostgresUrl, SqliteAccounts, SqliteTable, Table,
};
use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration that was checked.
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The policy to run.
    pub policy: Policy,
    /// What of WASI it gets.
    pub wasi: Wasi,
    /// How callers are authenticated and weighed.
    pub authenticator: Authenticator,
    /// Every limit.
    pub limits: Limits,
    /// How the log is written.
    pub log: Log,
    /// What is worth a warning at start.
    pub warnings: Vec<String>,
    databases: Vec<DatabaseSettings>,
    accounts: Option<AccountSettings>,
    cache: CacheSettings,
    source: Source,
}

/// The policy that a configuration names.
pub struct Policy {
    /// Where it is from, for messages.
    pub name: String,
    /// Its bytes.
    pub component: Vec<u8>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// The least level that is written. Audit records are written at every level.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

/// The level from which on events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual levels")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// Where a configuration is from: how its errors name it, and where its relative paths begin.
#[derive(Clone)]
struct Source {
    file: PathBuf,
    folder: PathBuf,
}

/// A configuration that is wrong: in which file, at which key, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {key}: {reason}", file.display())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The key, such as `auth.jwt.algorithm`.
    pub key: String,
    /// What is the matter, and what to do.
    pub reason: String,
}

struct DatabaseSettings {
    id: String,
    table: String,
    kind: DatabaseKind,
}

enum DatabaseKind {
    Sqlite { path: PathBuf },
    Postgres { url: Box<PostgresUrl>, schema: String, transaction_pooling: bool },
}

/// Where compiled policies are kept.
enum CacheSettings {
    /// Nowhere.
    Off,
    /// In a folder that the configuration names, which must be good for that.
    Named(PathBuf),
    /// In the user's, if it is good for that.
    Users(PathBuf),
}

struct AccountSettings {
    /// The place of its database in the list.
    database: usize,
    table: String,
    cache: Duration,
}

/// A variable of the environment by its name. A function, so that tests need not change the process's own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads a file. Relative paths in it begin at the file's folder.
    ///
    /// # Errors
    /// Where it cannot be read, or anything in it is wrong.
    pub fn read(path: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let source = Source { file: path.to_owned(), folder };
        let text =
            fs::read_to_string(path).map_err(|error| source.error("file", format!("cannot be read: {error}")))?;
        Self::check(file::parse(&text).map_err(|(key, reason)| source.error(key, reason))?, source, environment)
    }

    fn check(file: file::File, source: Source, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        if let Some((key, reason)) = file.limits.fault() {
            return Err(source.error(format!("limits.{key}"), reason));
        }
        if let Some(key) = wasi_fault(file.wasi) {
            return Err(source.error(key, "has no meaning unless wasi.enabled is true"));
        }
        let databases = databases(file.databases, &file.limits, &source)?;
        for DatabaseSettings { id, kind, .. } in &databases {
            if matches!(kind, DatabaseKind::Postgres { url, .. } if url.is_unverified()) {
                warnings.push(format!(
                    "database {id:?}: the server's certificate is not checked; sslmode=verify-full in its url checks it"
                ));
            }
        }
        let accounts = accounts(file.auth.service_accounts.as_ref(), file.auth.mode, &databases, &source)?;
        Ok(Self {
            listen: file.listen,
            policy: policy(file.plugin.as_deref(), &file.limits, &source)?,
            wasi: file.wasi,
            databases,
            accounts,
            authenticator: authenticator(file.auth, file.authorization, &source, environment, &mut warnings)?,
            limits: file.limits,
            cache: cache(file.cache, &source, environment)?,
            log: file.log,
            warnings,
            source,
        })
    }

    /// Opens every database.
    ///
    /// # Errors
    /// Where one cannot be opened, or its table holds no learnings.
    pub(crate) async fn open_databases(&self) -> Result<Databases, ConfigError> {
        let mut databases = Vec::with_capacity(self.databases.len());
        for (index, DatabaseSettings { id, table: name, kind }) in self.databases.iter().enumerate() {
            let failed =
                |error: &dyn std::error::Error| self.source.error(format!("databases[{index}].url"), error.to_string());
            let table: Arc<dyn Table> = match kind {
                DatabaseKind::Sqlite { path } => {
                    Arc::new(SqliteTable::open(path, name, &self.limits).map_err(|error| failed(&error))?)
                }
                DatabaseKind::Postgres { url, schema, transaction_pooling } => {
                    let table = PostgresTable::open(url, *transaction_pooling, schema, name, &self.limits).await;
                    Arc::new(table.map_err(|error| failed(&error))?)
                }
            };
            databases.push(Database { id: id.clone(), table_name: name.clone(), table });
        }
        Ok(Databases(databases))
    }

    /// Opens where compiled policies are kept, if anywhere.
    ///
    /// # Errors
    /// Where the folder that is named cannot be used for that.
    pub(crate) fn open_cache(&self) -> Result<Option<Cache>, ConfigError> {
        match &self.cache {
            CacheSettings::Off => Ok(None),
            CacheSettings::Named(folder) => {
                Cache::open(folder).map(Some).map_err(|error| self.source.error("cache.folder", error.to_string()))
            }
            CacheSettings::Users(folder) => Ok(Cache::open(folder)
                .inspect_err(|error| {
                    tracing::warn!(%error, "the policy is compiled at every start; cache.enabled = false says so");
                })
                .ok()),
        }
    }

    /// Prepares to verify service accounts, where there are any.
    ///
    /// # Errors
    /// Where their store cannot be set up.
    pub(crate) fn open_accounts(&self) -> Result<Option<ServiceAccounts>, ConfigError> {
        let settings = self.accounts.as_ref();
        let database = settings.and_then(|settings| self.databases.get(settings.database));
        let (Some(AccountSettings { table, cache, .. }), Some(database)) = (settings, database) else {
            return Ok(None);
        };
        let failed = |error: &dyn std::error::Error| self.source.error("auth.service_accounts", error.to_string());
        let store: Arc<dyn AccountStore> = match &database.kind {
            DatabaseKind::Sqlite { path } => {
                Arc::new(SqliteAccounts::open(path, table, &self.limits).map_err(|error| failed(&error))?)
            }
            DatabaseKind::Postgres { url, schema, transaction_pooling } => {
                let store = PostgresAccounts::open(url, *transaction_pooling, schema, table, &self.limits);
                Arc::new(store.map_err(|error| failed(&error))?)
            }
        };
        Ok(Some(ServiceAccounts::new(store, *cache)))
    }
}

impl Source {
    fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        ConfigError { file: self.file.clone(), key: key.into(), reason: reason.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Reads a file that a key names. What is in it stays out of the error.
    fn read(&self, key: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
        let path = self.path(path);
        fs::read(&path).map_err(|error| self.error(key, format!("{} cannot be read: {error}", path.display())))
    }

    /// Reads a secret from a file; a line feed at its end does not belong to it.
    fn read_secret(&self, key: &str, path: &str) -> Result<String, ConfigError> {
        let text = String::from_utf8(self.read(key, path)?)
            .map_err(|_| self.error(key, format!("{} is not UTF-8 text", self.path(path).display())))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

fn policy(plugin: Option<&str>, limits: &Limits, source: &Source) -> Result<Policy, ConfigError> {
    Ok(match plugin {
        None => Policy { name: "the embedded policy".to_owned(), component: DELETE_LEARNING.to_vec() },
        Some(path) => {
            let path = source.path(path);
            let name = path.display().to_string();
            let component =
                plugin::read(&path, limits).map_err(|error| source.error("plugin", format!("{name}: {error}")))?;
            Policy { name, component }
        }
    })
}

/// Where compiled policies are kept: in the folder that is named, or else in the user's cache folder (XDG Base Directory
/// Specification), where there is one.
fn cache(settings: file::Cache, source: &Source, environment: Environment<'_>) -> Result<CacheSettings, ConfigError> {
    match (settings.enabled, settings.folder) {
        (false, None) => Ok(CacheSettings::Off),
        (false, Some(_)) => Err(source.error("cache.folder", "has no meaning unless cache.enabled is true")),
        (true, Some(folder)) => Ok(CacheSettings::Named(source.path(&folder))),
        (true, None) => {
            let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let users = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
            Ok(users.map_or(CacheSettings::Off, |folder| CacheSettings::Users(folder.join("delete-learning"))))
        }
    }
}

/// The key that grants a part of what is off.
fn wasi_fault(wasi: Wasi) -> Option<&'static str> {
    match wasi {
        Wasi { enabled: false, clocks: true, .. } => Some("wasi.clocks"),
        Wasi { enabled: false, random: true, .. } => Some("wasi.random"),
        _ => None,
    }
}

fn databases(
    databases: Vec<file::Database>,
    limits: &Limits,
    source: &Source,
) -> Result<Vec<DatabaseSettings>, ConfigError> {
    if databases.is_empty() {
        return Err(source.error("databases", "there must be at least one [[databases]]"));
    }
    let mut ids = HashSet::new();
    let check = |(index, database): (usize, file::Database)| {
        let error = |key: &str, reason: String| source.error(format!("databases[{index}].{key}"), reason);
        if database.id.is_empty() {
            return Err(error("id", "must not be empty".to_owned()));
        }
        if !ids.insert(database.id.clone()) {
            return Err(error("id", format!("another database has the id {:?} already", database.id)));
        }
        let table = database.table.unwrap_or_else(|| "agno_learnings".to_owned());
        if table.is_empty() || table.contains('\0') {
            return Err(error("table", "must be the name of a table".to_owned()));
        }
        let url = database.url.expose();
        let kind = if PostgresUrl::has_scheme(url) {
            if let Some((key, reason)) = limits.fault_with_postgres() {
                return Err(source.error(format!("limits.{key}"), reason));
            }
            let url = PostgresUrl::parse(url, &source.folder).map_err(|reason| error("url", reason.to_string()))?;
            let schema = database.schema.unwrap_or_else(|| "ai".to_owned());
            if schema.is_empty() || schema.contains('\0') {
                return Err(error("schema", "must be the name of a schema".to_owned()));
            }
            let transaction_pooling = database.transaction_pooling.unwrap_or_default();
            DatabaseKind::Postgres { url: Box::new(url), schema, transaction_pooling }
        } else {
            let path = sqlite_path(url).map_err(|reason| error("url", reason.to_owned()))?;
            for (key, is_given) in
                [("schema", database.schema.is_some()), ("transaction_pooling", database.transaction_pooling.is_some())]
            {
                if is_given {
                    return Err(error(key, "has a meaning for PostgreSQL alone".to_owned()));
                }
            }
            DatabaseKind::Sqlite { path: source.path(path) }
        };
        Ok(DatabaseSettings { id: database.id, table, kind })
    };
    databases.into_iter().enumerate().map(check).collect()
}

fn accounts(
    accounts: Option<&file::ServiceAccounts>,
    mode: file::Mode,
    databases: &[DatabaseSettings],
    source: &Source,
) -> Result<Option<AccountSettings>, ConfigError> {
    let Some(accounts) = accounts else { return Ok(None) };
    if matches!(mode, file::Mode::None) {
        let reason = "has no meaning with mode \"none\": everybody may do everything without a token";
        return Err(source.error("auth.service_accounts", reason));
    }
    let database = databases.iter().position(|database| database.id == accounts.database).ok_or_else(|| {
        source.error("auth.service_accounts.database", format!("no database has the id {:?}", accounts.database))
    })?;
    if accounts.table.is_empty() || accounts.table.contains('\0') {
        return Err(source.error("auth.service_accounts.table", "must be the name of a table"));
    }
    let cache = Duration::from_secs(accounts.cache_seconds);
    Ok(Some(AccountSettings { database, table: accounts.table.clone(), cache }))
}

/// The file of `sqlite:FILE`, or of the form that Agno's Python takes: `sqlite:///FILE`, with a fourth slash where FILE
/// begins at the root.
fn sqlite_path(url: &str) -> Result<&str, &'static str> {
    let path = url.strip_prefix("sqlite:").ok_or("must begin with sqlite: or postgres://")?;
    let path = match path.strip_prefix("///") {
        Some(path) => path,
        None if path.starts_with("//") => return Err("must be sqlite:FILE or sqlite:///FILE"),
        None => path,
    };
    match path {
        "" | ":memory:" => Err("must name a file: a database in memory could not be shared"),
        path if path.contains('?') => Err("takes no parameters after '?'"),
        path => Ok(path),
    }
}

fn authenticator(
    auth: file::Auth,
    authorization: file::Authorization,
    source: &Source,
    environment: Environment<'_>,
    warnings: &mut Vec<String>,
) -> Result<Authenticator, ConfigError> {
    if authorization.admin_scope.is_empty() {
        return Err(source.error("authorization.admin_scope", "must not be empty"));
    }
    let method = match auth.mode {
        file::Mode::None => {
            warnings.push("auth.mode is \"none\": everybody who reaches this address may delete every learning".into());
            Method::None
        }
        file::Mode::SecurityKey => Method::SecurityKey(security_key(&auth, source, environment)?),
        file::Mode::Jwt => Method::Jwt(Box::new(jwt(auth.jwt, source, environment)?)),
    };
    Ok(Authenticator {
        method,
        // Opened with the databases.
        service_accounts: None,
        enforce_scopes: authorization.enforce_scopes,
        user_isolation: authorization.user_isolation,
        admin_scope: authorization.admin_scope,
    })
}

fn security_key(auth: &file::Auth, source: &Source, environment: Environment<'_>) -> Result<SecurityKey, ConfigError> {
    const KEY: &str = "auth.security_key";
    let key = match (&auth.security_key, &auth.security_key_file) {
        (Some(_), Some(_)) => return Err(source.error(KEY, "give either security_key or security_key_file")),
        (Some(key), None) => key.expose().to_owned(),
        (None, Some(path)) => source.read_secret("auth.security_key_file", path)?,
        (None, None) => environment("OS_SECURITY_KEY")
            .ok_or_else(|| source.error(KEY, "is missing; set it, security_key_file or OS_SECURITY_KEY"))?,
    };
    if key.trim() != key || key.is_empty() {
        return Err(source.error(KEY, "must not be empty, nor begin or end with white space"));
    }
    Ok(SecurityKey::new(&key))
}

fn jwt(jwt: file::Jwt, source: &Source, environment: Environment<'_>) -> Result<JwtVerifier, ConfigError> {
    let algorithm = Algorithm::by_name(&jwt.algorithm).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::name).join(", ");
        source.error("auth.jwt.algorithm", format!("must be one of {names}"))
    })?;
    if jwt.audience.as_deref() == Some("") || jwt.issuer.as_deref() == Some("") {
        return Err(source.error("auth.jwt", "audience and issuer must not be empty; leave them out to ask for none"));
    }

    let mut texts = Vec::new();
    for (index, key) in jwt.verification_keys.expose().enumerate() {
        texts.push((format!("auth.jwt.verification_keys[{index}]"), key.to_owned()));
    }
    for (index, path) in jwt.verification_key_files.iter().enumerate() {
        let key = format!("auth.jwt.verification_key_files[{index}]");
        let text = source.read_secret(&key, path)?;
        texts.push((key, text));
    }
    if texts.is_empty()
        && let Some(text) = environment("JWT_VERIFICATION_KEY").filter(|text| !text.is_empty())
    {
        texts.push(("JWT_VERIFICATION_KEY".to_owned(), text));
    }
    let keys = texts
        .iter()
        .map(|(key, text)| {
            VerificationKey::from_text(algorithm, text).map_err(|error| source.error(key, error.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;

    let jwks_file = match jwt.jwks_file {
        Some(path) => Some(("auth.jwt.jwks_file", path)),
        None => environment("JWT_JWKS_FILE").filter(|path| !path.is_empty()).map(|path| ("JWT_JWKS_FILE", path)),
    };
    let jwks = match jwks_file {
        None => None,
        Some((key, path)) => {
            let file = JwksFile::watch(&source.path(&path), algorithm);
            Some(file.map_err(|error| source.error(key, error.to_string()))?)
        }
    };
    if keys.is_empty() && jwks.is_none() {
        let reason = "is missing; set it, verification_key_files, jwks_file, JWT_VERIFICATION_KEY or JWT_JWKS_FILE";
        return Err(source.error("auth.jwt.verification_keys", reason));
    }
    let (audience, issuer, leeway_seconds) = (jwt.audience, jwt.issuer, jwt.leeway_seconds);
    Ok(JwtVerifier { algorithm, keys, jwks, audience, issuer, leeway_seconds, verified: VerifiedTokens::default() })
}

#[cfg(test)]
mod tests;
