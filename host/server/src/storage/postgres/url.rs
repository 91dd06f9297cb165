//! The URL of a PostgreSQL database in the forms of libpq and SQLAlchemy.

use super::error::{Origin, UrlError};
use super::hosts::{Host, Hosts, split_authority};
use super::options::PostgresOptions;
use super::parameters::{self, Parameters, Value, decode};
use super::password_file::{PasswordFile, Unusable};
use super::tls_settings::{CertificateCheck, TlsSettings};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslMode, TargetSessionAttrs};

/// The hosts of a PostgreSQL database and how to connect to them.
#[derive(Clone)]
pub struct PostgresUrl {
    /// One configuration for each host, in the order of the URL.
    pub(super) hosts: Vec<Config>,
    /// Whether the hosts are the default ones, which are one server.
    pub(super) has_default_hosts: bool,
    /// Whether each connection starts at a random host.
    pub(super) is_random: bool,
    pub(super) tls: TlsSettings,
    /// The timeout of the URL for a connection to one host.
    connect_timeout: Option<Duration>,
    is_unverified: bool,
    host_names: Vec<String>,
    /// What to log at startup.
    pub warnings: Vec<String>,
}

/// What a URL depends on besides its text.
pub struct UrlContext<'a> {
    /// The path of a file in a URL is relative to this directory.
    pub directory: &'a Path,
    /// An environment variable by name. libpq's variables are defaults.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The password, if it is not in the URL.
    pub password: Option<String>,
}

/// The schemes of PostgreSQL: libpq's two, and SQLAlchemy's, which name a driver.
const SCHEMES: [&str; 6] = [
    "postgres://",
    "postgresql://",
    "postgresql+psycopg://",
    "postgresql+psycopg2://",
    "postgresql+psycopg_async://",
    "postgresql+asyncpg://",
];

impl PostgresUrl {
    /// Whether the URL has a scheme of PostgreSQL.
    #[must_use]
    pub fn has_scheme(url: &str) -> bool {
        SCHEMES.iter().any(|scheme| url.starts_with(scheme))
    }

    /// Whether an attacker could impersonate the database: its certificate is not checked, and it is on another machine.
    #[must_use]
    pub const fn is_unverified(&self) -> bool {
        self.is_unverified
    }

    /// The longest time, in milliseconds, that a connection can take if every host but the last does not respond.
    #[must_use]
    pub fn max_connect_ms(&self, options: &PostgresOptions) -> u64 {
        let timeout = self.connect_timeout(options).as_millis();
        u64::try_from(timeout.saturating_mul(self.hosts.len() as u128)).unwrap_or(u64::MAX)
    }

    /// The timeout of a connection to one host.
    pub(super) fn connect_timeout(&self, options: &PostgresOptions) -> Duration {
        self.connect_timeout.map_or(options.connect_timeout(), |timeout| timeout.min(options.connect_timeout()))
    }

    /// Parses a URL.
    ///
    /// # Errors
    /// [`UrlError`], which contains no secret.
    pub fn parse(url: &str, context: &UrlContext<'_>) -> Result<Self, UrlError> {
        let scheme = SCHEMES.into_iter().find(|scheme| url.starts_with(scheme)).ok_or(UrlError::Syntax)?;
        let names_driver = scheme.contains('+');
        let parts = Parts::split(url.strip_prefix(scheme).unwrap_or(url), names_driver)?;
        let mut parameters = Parameters::parse(parts.query, names_driver)?;
        let (names, ports) = split_authority(parts.hosts, names_driver)?;
        parameters.set_default("host", names);
        parameters.set_default("port", ports);
        parameters.set_default("dbname", decode(parts.database)?);
        parameters.set_default("user", decode(parts.user)?);
        parameters.set_default("password", decode(parts.password)?);
        parameters.add_environment(context.environment)?;
        Self::from_parameters(&parameters, context)
    }

    /// Returns the URL with a mask in place of each of its secrets, or `None` if it cannot be parsed.
    #[must_use]
    pub fn mask(url: &str, mask: &str) -> Option<String> {
        let scheme = SCHEMES.into_iter().find(|scheme| url.starts_with(scheme))?;
        let names_driver = scheme.contains('+');
        let Parts { user, password, hosts, database, query } =
            Parts::split(url.strip_prefix(scheme)?, names_driver).ok()?;
        // A password that is not percent-encoded can extend into the parts after it, up to an '@'.
        if hosts.contains('@') || database.contains('@') || Parameters::parse(query, names_driver).is_err() {
            return None;
        }
        let colon = if password.is_empty() { String::new() } else { format!(":{mask}") };
        let at = if user.is_empty() && password.is_empty() { "" } else { "@" };
        let slash = if database.is_empty() { "" } else { "/" };
        let mut masked = format!("{scheme}{user}{colon}{at}{hosts}{slash}{database}");
        for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=')?;
            let is_secret = value.contains('@') || parameters::is_secret(&decode(name).ok()?);
            let separator = if index == 0 { '?' } else { '&' };
            masked += &format!("{separator}{name}={}", if is_secret { mask } else { value });
        }
        Some(masked)
    }

    /// The hosts with their ports, for messages.
    #[must_use]
    pub fn host_names(&self) -> String {
        self.host_names.join(", ")
    }

    fn from_parameters(parameters: &Parameters, context: &UrlContext<'_>) -> Result<Self, UrlError> {
        let home = (context.environment)("HOME").filter(|home| !home.is_empty());
        let home = home.as_deref().map(Path::new);
        let hosts = Hosts::from_parameters(parameters)?;
        let tls = TlsSettings::from_parameters(parameters, context.directory, home)?;
        if let Some(binding) = parameters.get("channel_binding")
            && tls.channel_binding == ChannelBinding::Require
            && hosts.list.iter().any(Host::is_socket)
        {
            let advice = "channel binding needs TLS, which a Unix socket does not have; name a host";
            return Err(UrlError::UnsupportedValue(binding.origin, advice));
        }
        // libpq's default is the user of the operating system too.
        let user = match parameters.text("user") {
            Some(user) => user.to_owned(),
            None => whoami::username().map_err(|_| UrlError::NoUser)?,
        };
        let common = common_config(parameters, &hosts, &tls, &user)?;
        let mut warnings = Vec::new();
        let passwords = Passwords::find(parameters, context, home, &mut warnings)?;
        let database = parameters.text("dbname").unwrap_or(&user);
        let configs = hosts.list.iter().map(|host| {
            let mut config = common.clone();
            match host.name.strip_prefix('@') {
                Some(name) => config.host_path(format!("\0{name}")),
                None => config.host(&host.name),
            };
            if host.is_socket() {
                config.ssl_mode(SslMode::Disable);
            }
            if let Some(address) = host.address {
                config.hostaddr(address);
            }
            if let Some(password) = passwords.for_host(host, database, &user) {
                config.password(password);
            }
            config.port(host.port);
            config
        });
        let is_unverified = tls.check == CertificateCheck::None && !hosts.list.iter().all(Host::is_local);
        Ok(Self {
            hosts: configs.collect(),
            has_default_hosts: hosts.are_default,
            is_random: common.get_load_balance_hosts() == LoadBalanceHosts::Random,
            tls,
            connect_timeout: seconds(parameters, "connect_timeout")?,
            is_unverified,
            host_names: hosts.list.iter().map(ToString::to_string).collect(),
            warnings,
        })
    }
}

/// The parts of a URL after its scheme, percent-encoded.
struct Parts<'a> {
    user: &'a str,
    password: &'a str,
    hosts: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str, names_driver: bool) -> Result<Self, UrlError> {
        let ((user, password), rest) = split_user_info(text, names_driver)?;
        let (target, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = target.split_once('/').unwrap_or((target, ""));
        Ok(Self { user, password, hosts, database, query })
    }
}

/// Splits off user and password. They are followed by '@', which hosts can contain too.
fn split_user_info(text: &str, names_driver: bool) -> Result<((&str, &str), &str), UrlError> {
    // libpq: they end at the first '@' before the first '/'.
    let authority = text.split('/').next().unwrap_or_default();
    let by_libpq = text.split_once('@').filter(|_| authority.contains('@'));
    let by_libpq = by_libpq.map(|(info, rest)| (info.split_once(':').unwrap_or((info, "")), rest));
    // SQLAlchemy: a password can contain '/' too, and a user '@'.
    let with_password = text.split_once(':').filter(|(user, _)| !user.contains('/'));
    let by_sqlalchemy =
        with_password.and_then(|(user, rest)| rest.split_once('@').map(|(password, rest)| ((user, password), rest)));
    let rest = by_libpq.map_or(text, |(_, rest)| rest);
    let hosts = rest.split(['/', '?']).next().unwrap_or_default();
    if split_authority(hosts, names_driver).is_err() {
        return Ok(by_sqlalchemy.or(by_libpq).unwrap_or((("", ""), text)));
    }
    let before_query = text.split('?').next().unwrap_or_default();
    match (by_libpq, by_sqlalchemy) {
        // `name:1/2@host` is a host, a port and a database, or a user, a password and a host.
        (None, Some(_)) if before_query.contains('@') && !names_driver => Err(UrlError::Ambiguous),
        (None, Some(split)) if before_query.contains('@') => Ok(split),
        (split, _) => Ok(split.unwrap_or((("", ""), text))),
    }
}

/// The configuration that all hosts share.
fn common_config(parameters: &Parameters, hosts: &Hosts, tls: &TlsSettings, user: &str) -> Result<Config, UrlError> {
    let mut config = Config::new();
    config.user(user).ssl_mode(tls.mode).channel_binding(tls.channel_binding);
    if let Some(name) = parameters.text("dbname") {
        config.dbname(name);
    }
    if let Some(options) = parameters.text("options") {
        config.options(options);
    }
    let name = parameters.text("application_name").or(parameters.text("fallback_application_name"));
    config.application_name(name.unwrap_or("delete-learning"));
    // Of several hosts one is the primary, and only the primary accepts deletes.
    let is_one = hosts.are_default || hosts.list.len() == 1;
    let default = if is_one { TargetSessionAttrs::Any } else { TargetSessionAttrs::ReadWrite };
    config.target_session_attrs(parameters.get("target_session_attrs").map_or(Ok(default), target_session)?);
    if let Some(value) = parameters.get("load_balance_hosts") {
        config.load_balance_hosts(match value.text.as_str() {
            "disable" => LoadBalanceHosts::Disable,
            "random" => LoadBalanceHosts::Random,
            _ => return Err(value.invalid("disable or random")),
        });
    }
    if let Some(timeout) = positive(parameters, "tcp_user_timeout")? {
        config.tcp_user_timeout(Duration::from_millis(timeout));
    }
    if let Some(is_enabled) = parameters.get("keepalives").map(Value::boolean).transpose()? {
        config.keepalives(is_enabled);
    }
    if let Some(idle) = seconds(parameters, "keepalives_idle")? {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = seconds(parameters, "keepalives_interval")? {
        config.keepalives_interval(interval);
    }
    if let Some(count) = positive(parameters, "keepalives_count")? {
        config.keepalives_retries(u32::try_from(count).unwrap_or(u32::MAX));
    }
    Ok(config)
}

fn target_session(value: &Value) -> Result<TargetSessionAttrs, UrlError> {
    match value.text.as_str() {
        "any" => Ok(TargetSessionAttrs::Any),
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        "read-only" | "standby" | "prefer-standby" => {
            Err(UrlError::UnsupportedValue(value.origin, "only the primary accepts deletes; write read-write"))
        }
        _ => Err(value.invalid("any, read-write or primary")),
    }
}

/// Parses an integer whose zero and negative values stand for the default.
fn positive(parameters: &Parameters, name: &'static str) -> Result<Option<u64>, UrlError> {
    let value = parameters.get(name).map(Value::integer).transpose()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0))
}

fn seconds(parameters: &Parameters, name: &'static str) -> Result<Option<Duration>, UrlError> {
    Ok(positive(parameters, name)?.map(Duration::from_secs))
}

/// Where the passwords of the hosts are.
enum Passwords {
    One(String),
    File(PasswordFile),
    None,
}

impl Passwords {
    /// Finds the password as libpq does: in the URL or the environment, else in the password file. The configuration's
    /// own file comes before the environment.
    fn find(
        parameters: &Parameters,
        context: &UrlContext<'_>,
        home: Option<&Path>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, UrlError> {
        let value = parameters.get("password");
        let is_in_url = value.is_some_and(|value| !matches!(value.origin, Origin::Variable(_)));
        match (&context.password, value) {
            (Some(_), _) if is_in_url => {
                return Err(UrlError::Conflict("a password is in password_file too; remove one"));
            }
            (Some(password), _) => return Ok(Self::One(password.clone())),
            (None, Some(value)) => return Ok(Self::One(value.text.clone())),
            (None, None) => {}
        }
        let (path, named_by) = match (parameters.get("passfile"), home) {
            (Some(file), _) => (context.directory.join(&file.text), Some(file.origin)),
            (None, Some(home)) => (home.join(".pgpass"), None),
            (None, None) => return Ok(Self::None),
        };
        match (PasswordFile::read(&path), named_by) {
            (Ok(file), _) => Ok(Self::File(file)),
            // `/dev/null` is the usual way to name none.
            (Err(Unusable::NotAFile), Some(_)) if path == Path::new("/dev/null") => Ok(Self::None),
            (Err(Unusable::Missing), None) => Ok(Self::None),
            (Err(reason), Some(origin)) => Err(UrlError::PasswordFile(origin, reason.to_string())),
            (Err(reason), None) => {
                warnings.push(format!("the password file ~/.pgpass is not used: it {reason}"));
                Ok(Self::None)
            }
        }
    }

    fn for_host(&self, host: &Host, database: &str, user: &str) -> Option<Vec<u8>> {
        match self {
            Self::One(password) => Some(password.clone().into_bytes()),
            Self::File(file) => file.find(host, database, user),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests;
