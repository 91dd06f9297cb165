//! The URL of a PostgreSQL database in the forms of libpq and SQLAlchemy.

use super::error::{Origin, UrlError};
use super::hosts::{Host, Hosts, split_authority};
use super::options::PostgresOptions;
use super::parameters::{Parameters, Value, decode};
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

    fn from_parameters(parameters: &Parameters, context: &UrlContext<'_>) -> Result<Self, UrlError> {
        let home = (context.environment)("HOME").filter(|home| !home.is_empty());
        let home = home.as_deref().map(Path::new);
        let hosts = Hosts::from_parameters(parameters)?;
        let tls = TlsSettings::from_parameters(parameters, context.directory, home)?;
        if tls.channel_binding == ChannelBinding::Require && hosts.list.iter().any(Host::is_socket) {
            return Err(UrlError::Conflict("channel_binding=require needs TLS, which a Unix socket does not have"));
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
            (Err(Unusable::NotAFile), Some(_)) | (Err(Unusable::Missing), None) => Ok(Self::None),
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
mod tests {
    use super::{CertificateCheck, PostgresOptions, PostgresUrl, UrlContext, UrlError};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Duration;
    use tempfile::TempDir;
    use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};

    fn parse_in(url: &str, variables: &[(&str, &str)]) -> Result<PostgresUrl, UrlError> {
        let environment =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        PostgresUrl::parse(
            url,
            &UrlContext { directory: Path::new("/etc/host"), environment: &environment, password: None },
        )
    }

    fn parse(url: &str) -> Result<PostgresUrl, UrlError> {
        parse_in(url, &[])
    }

    /// Returns the hosts as `host:port`, with the address in parentheses if there is one.
    fn hosts(url: &PostgresUrl) -> String {
        let texts = url.hosts.iter().map(|config| {
            let name = match &config.get_hosts()[0] {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string().replace('\0', "@"),
            };
            let addresses: Vec<_> = config.get_hostaddrs().iter().map(|address| format!("({address})")).collect();
            assert_eq!((config.get_hosts().len(), config.get_ports().len()), (1, 1), "one host, with its port");
            format!("{name}{}:{}", addresses.concat(), config.get_ports()[0])
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hosts_have_the_forms_of_libpq_and_sqlalchemy() {
        for (url, expected) in [
            ("postgres://u@one/d", "one:5432"),
            ("postgres://u@one:/d", "one:5432"),
            ("postgresql+asyncpg://u@one:6000/d", "one:6000"),
            ("postgres://one", "one:5432"),
            ("postgres://one?user=u", "one:5432"),
            ("postgres://u@one:1,two:2/d", "one:1 two:2"),
            ("postgres://u@one,two/d", "one:5432 two:5432"),
            ("postgres://u@one,two:6000/d", "one:5432 two:6000"),
            ("postgresql+psycopg://u@one,two:6000/d", "one:6000 two:6000"),
            ("postgresql+psycopg://u@one:1,two:2/d", "one:1 two:2"),
            ("postgres://u@one,two/d?port=6000", "one:6000 two:6000"),
            ("postgres://u@one,two/d?port=1,", "one:1 two:5432"),
            ("postgres://one:1,two:2/d?user=a@b", "one:1 two:2"),
            ("postgres://u@[::1]:6000/d", "::1:6000"),
            ("postgres://u@[::1],[fe80::2]:1/d", "::1:5432 fe80::2:1"),
            ("postgres://u@%2Frun%2Fpostgresql/d", "/run/postgresql:5432"),
            ("postgres://u@%2Frun%2Fpostgresql:6000/d", "/run/postgresql:6000"),
            ("postgres://u@@name/d", "@name:5432"),
            ("postgres://u@/d?host=@name:7", "@name:7"),
            ("postgres://u@/d?host=/run/postgresql&port=6000", "/run/postgresql:6000"),
            ("postgres://u@/d?host=/run/a:b", "/run/a:b:5432"),
            ("postgres://u@/d?host=/a:1&host=/b:2", "/a:1 /b:2"),
            ("postgres://u@/d?host=a:1&host=b:2", "a:1 b:2"),
            ("postgres://u@/d?host=a:1,b:2", "a:1 b:2"),
            ("postgres://u@/d?host=a:1", "a:1"),
            ("postgres://u@/d?host=a:1&host=b", "a:1 b:5432"),
            ("postgres://u@/d?host=a,b&port=1,2", "a:1 b:2"),
            ("postgres://u@/d?host=a&host=b&port=1&port=2", "a:1 b:2"),
            ("postgres://u@/d?host=%5B::1%5D:7,[::2],::3", "::1:7 ::2:5432 ::3:5432"),
            ("postgres://u@h/d?host=a", "a:5432"),
            ("postgres://u@h:6000/d?host=a:7", "a:7"),
            ("postgres://u@:6000/d?host=a", "a:6000"),
            ("postgres://u@:6000/d?host=a,b", "a:6000 b:6000"),
            ("postgres://u@h:6000/d?port=7", "h:7"),
            ("postgres://u@/d?hostaddr=192.0.2.1,::1&port=7", "192.0.2.1(192.0.2.1):7 ::1(::1):7"),
            ("postgres://u@a,b/d?hostaddr=192.0.2.1,192.0.2.2", "a(192.0.2.1):5432 b(192.0.2.2):5432"),
            ("postgresql:///d", "/var/run/postgresql:5432 /tmp:5432 localhost:5432"),
            ("postgres://u:p@:6000/d", "/var/run/postgresql:6000 /tmp:6000 localhost:6000"),
        ] {
            let url_or_error = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(hosts(&url_or_error), expected, "{url}");
        }
        for url in [
            "postgres://u@/d?host=a:1,b:2&port=1,2",
            "postgres://u@/d?host=a:1&port=1",
            "postgres://u@a:1,b:2/d?host=c",
            "postgres://u@a,b,c/d?port=1,2",
            "postgres://u@/d?port=1,2",
            "postgres://u@a,b/d?hostaddr=192.0.2.1",
            "postgres://u@a,,b/d",
            "postgres://u@a:0/d",
            "postgres://u@a:65536/d",
            "postgres://u@a:+1/d",
            "postgres://u@[::1/d",
            "postgres://u@[a]/d",
            "postgres://u@/d?host=a:b",
            "postgres://u@/d?host=a@b",
            "postgres://u@/d?hostaddr=a",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn user_password_and_database_have_the_forms_of_libpq_and_sqlalchemy() {
        for (url, user, password, database) in [
            ("postgres://u:p%40w@h/d", "u", Some("p@w"), Some("d")),
            ("postgres://u@h/d", "u", None, Some("d")),
            ("postgres://u:@h", "u", None, None),
            ("postgres://u:a+b@h/%2Fd%20e", "u", Some("a+b"), Some("/d e")),
            ("postgresql+psycopg://u:a+b@h/a+b", "u", Some("a+b"), Some("a+b")),
            ("postgres://u:p?w@h/d", "u", Some("p?w"), Some("d")),
            ("postgres://u:p?a=b&c@h/d?dbname=e", "u", Some("p?a=b&c"), Some("e")),
            ("postgres://u:p:w@h/d", "u", Some("p:w"), Some("d")),
            ("postgres://u:p/w@h/d", "u", Some("p/w"), Some("d")),
            ("postgres://u:1a/w?@h:6000/d?x", "", None, None),
            ("postgres://u:p/w?@h:6000/d?sslmode=disable", "u", Some("p/w?"), Some("d")),
            ("postgres://u:123456/w@h/d", "u", Some("123456/w"), Some("d")),
            ("postgresql+psycopg://u:12/w@h/d", "u", Some("12/w"), Some("d")),
            ("postgresql+psycopg2://u@server:p@h/d", "u@server", Some("p"), Some("d")),
            ("postgres://u:%C3%A4%25@h/d", "u", Some("ä%"), Some("d")),
            ("postgres://u:100%@h/d", "u", Some("100%"), Some("d")),
            ("postgres://h/d?user=a%2Bb&password=c", "a+b", Some("c"), Some("d")),
            ("postgres://u:p@h/d?user=v&password=w&dbname=e", "v", Some("w"), Some("e")),
            ("postgres://h/d?user=a+b", "a+b", None, Some("d")),
            ("postgresql+psycopg://h/d?user=a+b", "a b", None, Some("d")),
            ("postgres://h:5432/d?user=a@b", "a@b", None, Some("d")),
            ("postgres://h:12/w@x/d", "", None, None),
            ("postgres://u:p@w@h/d", "", None, None),
            ("postgres://u:%ff@h/d", "", None, None),
            ("postgres://u:%00@h/d", "", None, None),
        ] {
            match parse(url) {
                Err(error) => assert!(user.is_empty(), "{url}: {error}"),
                Ok(parsed) => {
                    let config = &parsed.hosts[0];
                    let found = (config.get_user(), config.get_password(), config.get_dbname());
                    assert_eq!(found, (Some(user), password.map(str::as_bytes), database), "{url}");
                }
            }
        }
        let nobody = parse("postgres://h").expect("a URL");
        assert!(nobody.hosts[0].get_user().is_some(), "the user of the operating system");
    }

    #[test]
    fn environment_has_the_defaults() {
        let variables = [
            ("PGHOST", "e"),
            ("PGPORT", "7"),
            ("PGUSER", "eu"),
            ("PGPASSWORD", "ep"),
            ("PGDATABASE", "ed"),
            ("PGAPPNAME", "ea"),
            ("PGSSLMODE", "verify-full"),
            ("PGOPTIONS", "-c x=y"),
            ("PGCONNECT_TIMEOUT", "1"),
            ("PGTARGETSESSIONATTRS", "primary"),
            ("PGCHANNELBINDING", "disable"),
            ("PGGSSENCMODE", "disable"),
            ("PGSERVICE", ""),
        ];
        let url = parse_in("postgres://", &variables).expect("a URL");
        let config = &url.hosts[0];
        assert_eq!(hosts(&url), "e:7");
        assert_eq!((config.get_user(), config.get_password()), (Some("eu"), Some(&b"ep"[..])));
        assert_eq!((config.get_dbname(), config.get_application_name()), (Some("ed"), Some("ea")));
        assert_eq!((config.get_options(), config.get_ssl_mode()), (Some("-c x=y"), SslMode::Require));
        assert_eq!(url.tls.check, CertificateCheck::VerifyFull);
        assert_eq!(config.get_channel_binding(), ChannelBinding::Disable);
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(url.connect_timeout, Some(Duration::from_secs(1)));

        let url = parse_in("postgres://u:p@h:1/d?ssl=disable", &variables).expect("a URL");
        let config = &url.hosts[0];
        assert_eq!((hosts(&url).as_str(), config.get_ssl_mode()), ("h:1", SslMode::Disable));
        assert_eq!((config.get_user(), config.get_password()), (Some("u"), Some(&b"p"[..])));

        for (name, value) in [
            ("PGSSLMODE", "secret"),
            ("PGPORT", "secret"),
            ("PGSERVICE", "secret"),
            ("PGREQUIREAUTH", "secret"),
            ("PGPASSFILE", "secret"),
            ("PGCONNECT_TIMEOUT", "secret"),
            ("PGGSSENCMODE", "require"),
        ] {
            let error = parse_in("postgres://u@h/d", &[(name, value)]).err().expect(name).to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{name}: {error}");
        }
    }

    #[test]
    fn parameters_have_the_meaning_of_libpq() {
        let url = parse(
            "postgresql+psycopg://u@h/d?options=-c%20a=b+-c+d=e&fallback_application_name=f&tcp_user_timeout=1500\
             &keepalives=0&keepalives_idle=10&keepalives_interval=2&keepalives_count=3&connect_timeout=%201\
             &load_balance_hosts=random&gssencmode=prefer&ssl_min_protocol_version=tlsv1.2&sslnegotiation=postgres\
             &prepare_threshold=0&client_encoding=utf8&sslmode=prefer&sslmode=prefer&statement_cache_size=0&sslsni=0",
        )
        .expect("a URL");
        let config = &url.hosts[0];
        assert_eq!(config.get_options(), Some("-c a=b -c d=e"));
        assert_eq!(config.get_application_name(), Some("f"));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)), "milliseconds");
        assert_eq!((config.get_keepalives(), config.get_keepalives_idle()), (false, Duration::from_secs(10)));
        assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
        assert_eq!(config.get_keepalives_retries(), Some(3));
        assert!(url.is_random && config.get_load_balance_hosts() == LoadBalanceHosts::Random);
        assert!(!url.tls.has_sni);
        assert_eq!(parse("postgres://u@h/d").expect("a URL").hosts[0].get_application_name(), Some("delete-learning"));

        let target = |url: &str| parse(url).expect(url).hosts[0].get_target_session_attrs();
        assert_eq!(target("postgres://u@one,two/d"), TargetSessionAttrs::ReadWrite, "only a primary deletes");
        assert_eq!(target("postgres://u@one,two/d?target_session_attrs=any"), TargetSessionAttrs::Any);
        assert_eq!(target("postgres://u@one/d?target_session_attrs=primary"), TargetSessionAttrs::ReadWrite);
        assert_eq!(target("postgres:///d"), TargetSessionAttrs::Any, "the default hosts are one server");

        let options = PostgresOptions { connect_timeout_ms: 1_500, ..PostgresOptions::default() };
        for (query, one, all) in [
            ("", 1_500, 3_000),
            ("?connect_timeout=0", 1_500, 3_000),
            ("?connect_timeout=-1", 1_500, 3_000),
            ("?connect_timeout=1", 1_000, 2_000),
            ("?connect_timeout=9", 1_500, 3_000),
        ] {
            let url = parse(&format!("postgres://u@one,two/d{query}")).expect(query);
            assert_eq!(url.connect_timeout(&options).as_millis(), one, "{query}");
            assert_eq!(url.max_connect_ms(&options), all, "{query}");
        }
    }

    #[test]
    fn unsupported_parameter_is_refused_by_name() {
        for (pair, reason) in [
            ("service=x", "URL"),
            ("sslpassword=x", "decrypt"),
            ("sslcrl=x", "short-lived"),
            ("requirepeer=x", "directory"),
            ("require_auth=scram-sha-256", "channel_binding=require"),
            ("requiressl=1", "sslmode=require"),
            ("oauth_issuer=x", "password"),
            ("gssencmode=require", "TLS"),
            ("sslnegotiation=direct", "remove"),
            ("ssl_min_protocol_version=TLSv1.3", "TLSv1.2"),
            ("ssl_max_protocol_version=TLSv1.2", "remove"),
            ("sslcertmode=require", "clientcert"),
            ("target_session_attrs=standby", "primary"),
            ("target_session_attrs=prefer-standby", "primary"),
            ("target_session_attrs=read-only", "primary"),
            ("keepalives_retries=3", "DATABASE_URLS.md"),
            ("service=", "URL"),
            ("sslmode=on", "verify-full"),
            ("ssl=on", "verify-full"),
            ("connect_timeout=1s", "integer"),
            ("keepalives=yes", "integer"),
            ("load_balance_hosts=on", "random"),
            ("channel_binding=on", "require"),
        ] {
            let error = parse(&format!("postgres://u:secret@h/d?{pair}")).err().expect(pair).to_string();
            let name = pair.split('=').next().unwrap_or_default();
            assert!(error.contains(name) && error.contains(reason) && !error.contains("secret"), "{pair}: {error}");
        }
        for (query, name) in [
            ("sslmode=require&sslmode=disable", "sslmode"),
            ("ssl=require&sslmode=disable", "sslmode"),
            ("sslmode=disable&channel_binding=require", "channel_binding"),
            ("host=/run&channel_binding=require", "channel_binding"),
            ("sslrootcert=system&sslmode=require", "sslmode"),
            ("sslcert=c.pem", "sslkey"),
            ("sslkey=k.pem", "sslcert"),
        ] {
            let error = parse(&format!("postgres://u:secret@h/d?{query}")).err().expect(query).to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{query}: {error}");
        }
    }

    #[test]
    fn sslmode_selects_the_certificate_check() {
        use CertificateCheck::{None, VerifyCa, VerifyFull};
        for (query, mode, check) in [
            ("", SslMode::Prefer, None),
            ("?sslmode=disable", SslMode::Disable, None),
            ("?sslmode=allow", SslMode::Prefer, None),
            ("?sslmode=prefer", SslMode::Prefer, None),
            ("?sslmode=require", SslMode::Require, None),
            ("?ssl=true", SslMode::Require, None),
            ("?ssl=verify-full", SslMode::Require, VerifyFull),
            ("?sslmode=require&sslrootcert=ca.pem", SslMode::Require, VerifyCa),
            ("?sslmode=verify-ca", SslMode::Require, VerifyCa),
            ("?sslrootcert=ca.pem&sslmode=verify-full", SslMode::Require, VerifyFull),
            ("?sslrootcert=system", SslMode::Require, VerifyFull),
            ("?host=/run/postgresql&sslmode=verify-full", SslMode::Disable, VerifyFull),
        ] {
            let url = parse(&format!("postgres://u@h/d{query}")).expect(query);
            assert_eq!((url.hosts[0].get_ssl_mode(), url.tls.check), (mode, check), "{query}");
        }
        let roots = parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=ca.pem").expect("a URL").tls.roots;
        assert_eq!(roots.as_deref(), Some(Path::new("/etc/host/ca.pem")));
    }

    #[test]
    fn home_directory_has_the_default_files() {
        let home = TempDir::new().expect("a temporary directory");
        let directory = home.path().join(".postgresql");
        fs::create_dir(&directory).expect("the directory is created");
        let variables = [("HOME", home.path().to_str().expect("UTF-8"))];
        let require = || parse_in("postgres://u@h/d?sslmode=require", &variables).expect("a URL").tls;
        assert!(require().roots.is_none() && require().client.is_none());
        for name in ["root.crt", "postgresql.crt", "postgresql.key"] {
            fs::write(directory.join(name), "").expect("the file is written");
        }
        let (tls, client) = (require(), require().client.expect("a client certificate"));
        assert_eq!((tls.check, tls.roots), (CertificateCheck::VerifyCa, Some(directory.join("root.crt"))));
        assert_eq!(
            (client.certificate, client.key),
            (directory.join("postgresql.crt"), directory.join("postgresql.key"))
        );
        let disabled = parse_in("postgres://u@h/d?sslmode=require&sslcertmode=disable", &variables).expect("a URL");
        assert!(disabled.tls.client.is_none());

        let passwords = home.path().join(".pgpass");
        fs::write(&passwords, "one:5432:d:u:first\n*:*:*:*:second\n").expect("the file is written");
        let url = parse_in("postgres://u@one,two/d", &variables).expect("a URL");
        assert!(url.hosts[0].get_password().is_none());
        assert!(matches!(url.warnings.as_slice(), [warning] if warning.contains("chmod 600")), "{:?}", url.warnings);
        fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).expect("its permissions are set");
        let url = parse_in("postgres://u@one,two/d", &variables).expect("a URL");
        let found: Vec<_> = url.hosts.iter().map(|host| host.get_password()).collect();
        assert_eq!(found, [Some(&b"first"[..]), Some(b"second")], "each host has its own");
        assert!(url.warnings.is_empty());
    }

    #[test]
    fn password_of_the_configuration_comes_before_the_environment() {
        let environment = |name: &str| (name == "PGPASSWORD").then(|| "environment".to_owned());
        let context = UrlContext {
            directory: Path::new("/"),
            environment: &environment,
            password: Some("configuration".to_owned()),
        };
        let url = PostgresUrl::parse("postgres://u@h/d", &context).expect("a URL");
        assert_eq!(url.hosts[0].get_password(), Some(&b"configuration"[..]));
        for url in ["postgres://u:p@h/d", "postgres://u@h/d?password=p"] {
            let error = PostgresUrl::parse(url, &context).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("password_file"), "{url}: {error}");
        }
    }

    #[test]
    fn remote_database_without_certificate_check_is_unverified() {
        for (url, is_unverified) in [
            ("postgres://u@db.example/d", true),
            ("postgres://u@db.example/d?sslmode=require", true),
            ("postgres://u@db.example/d?sslmode=verify-ca", false),
            ("postgres://u@127.0.0.1,[::1],localhost/d", false),
            ("postgres://u@127.0.0.1,db.example/d", true),
            ("postgres:///d?host=/run/postgresql", false),
            ("postgres:///d", false),
            ("postgres://u@localhost/d?hostaddr=192.0.2.1", true),
            ("postgres://u@db.example/d?hostaddr=127.0.0.1", false),
        ] {
            assert_eq!(parse(url).expect(url).is_unverified(), is_unverified, "{url}");
        }
    }

    #[test]
    fn errors_contain_no_secret() {
        for url in [
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@h/d?unknown=secret",
            "postgres://u:secret@h/d?sslmode=secret",
            "postgres://u:secret@h/d?connect_timeout=secret",
            "postgres://u:secret@h/d?keepalives=secret",
            "postgres://u@h/d?passfile=secret",
            "postgres://u:secret@h/d?host=se cret",
            "postgres://u:secret@h/d?hostaddr=secret",
            "postgres://u:secret@a,b,c:1,2/d?port=1,2",
            "postgres://u:%ff@h/d",
            "postgres://u:sec@ret@h/d",
            "postgres://u:1?secret=/x@h/d",
            "postgres://u:1?secret/x@h/d",
            "postgres://u:1?sslrootcert=/secret@h/d",
            "postgres://u:1?passfile=/secret@h/d",
            "postgres://u:1/secret@h/d",
            "postgres://h/d?this-is-a-secret-that-is-too-long-to-be-the-name-of-a-parameter=1",
            "postgres://h/d?not%20a%20secret=1",
        ] {
            let error = parse(url).err().unwrap_or_else(|| panic!("{url} is refused"));
            let text = format!("{error} {error:?}");
            assert!(!text.contains("cret"), "{url}: {text}");
        }
        let error = parse("postgres://u:secret@h/d?unknown=secret").err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("unknown")), "the name of a parameter is no secret");
    }
}
