//! The URL of a PostgreSQL database in the forms of libpq and SQLAlchemy.

use super::error::UrlError;
use super::tls::CertificateCheck;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The hosts of a PostgreSQL database and how to connect to them.
#[derive(Clone)]
pub struct PostgresUrl {
    /// One configuration for each host, in the order of the URL.
    pub(super) hosts: Vec<Config>,
    pub(super) certificate_check: CertificateCheck,
    /// The file of trusted root certificates; `None` for those that the machine trusts.
    pub(super) root_certificates: Option<PathBuf>,
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

/// The accepted parameters, which are libpq's.
const PARAMETERS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "load_balance_hosts",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
];

impl PostgresUrl {
    /// Whether the URL has a scheme of PostgreSQL.
    #[must_use]
    pub fn has_scheme(url: &str) -> bool {
        SCHEMES.iter().any(|scheme| url.starts_with(scheme))
    }

    /// Whether an attacker could impersonate the database: its certificate is not checked, and it is on another machine.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        let is_local = |host: &Config| {
            host.get_hosts().iter().all(|host| match host {
                Host::Unix(_) => true,
                Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            }) && host.get_hostaddrs().iter().all(IpAddr::is_loopback)
        };
        self.certificate_check == CertificateCheck::None && !self.hosts.iter().all(is_local)
    }

    /// Parses a URL. The relative path of a file in it is relative to `directory`.
    ///
    /// # Errors
    /// [`UrlError`], which never contains a part of the URL.
    pub fn parse(url: &str, directory: &Path) -> Result<Self, UrlError> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or(UrlError::Syntax)?;
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut tls = TlsParameters { mode: "prefer".to_owned(), root: None };
        let (mut target, mut others) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(UrlError::Syntax)?;
            let text = percent_decode_str(value).decode_utf8().map_err(|_| UrlError::Syntax)?.into_owned();
            match PARAMETERS.iter().find(|known| **known == name) {
                None => return Err(UrlError::UnknownParameter(PARAMETERS)),
                Some(&"sslmode") => tls.mode = text,
                Some(&"sslrootcert") => tls.root = Some(text),
                Some(&"target_session_attrs") => target = Some(target_session(&text)?),
                Some(_) => others.push(pair),
            }
        }
        let url = format!("postgres://{base}?{}", others.join("&"));
        let mut config: Config = url.parse().map_err(|_| UrlError::Syntax)?;
        let (mode, certificate_check) = tls.resolve()?;
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("delete-learning");
        }
        let names = config.get_hosts().len().max(config.get_hostaddrs().len());
        // Of several hosts one is the primary, and only the primary accepts deletes.
        let several = if names > 1 { TargetSessionAttrs::ReadWrite } else { TargetSessionAttrs::Any };
        config.target_session_attrs(target.unwrap_or(several));
        let root_certificates = tls.root.filter(|root| root != "system").map(|root| directory.join(root));
        let hosts = split_hosts(&config)?;
        Ok(Self { hosts, certificate_check, root_certificates })
    }
}

/// The parameters `sslmode` and `sslrootcert`.
struct TlsParameters {
    mode: String,
    root: Option<String>,
}

impl TlsParameters {
    /// The meaning of the mode in libpq: `require` checks the certificate if `sslrootcert` is given, the `verify-` modes
    /// always.
    fn resolve(&self) -> Result<(SslMode, CertificateCheck), UrlError> {
        Ok(match (self.mode.as_str(), &self.root) {
            ("disable", _) => (SslMode::Disable, CertificateCheck::None),
            ("prefer" | "allow", _) => (SslMode::Prefer, CertificateCheck::None),
            ("require", None) => (SslMode::Require, CertificateCheck::None),
            ("require", Some(_)) | ("verify-ca", _) => (SslMode::Require, CertificateCheck::VerifyCa),
            ("verify-full", _) => (SslMode::Require, CertificateCheck::VerifyFull),
            _ => {
                let modes = "it is disable, prefer, require, verify-ca or verify-full";
                return Err(UrlError::InvalidValue("sslmode", modes));
            }
        })
    }
}

fn target_session(text: &str) -> Result<TargetSessionAttrs, UrlError> {
    match text {
        "any" => Ok(TargetSessionAttrs::Any),
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        _ => Err(UrlError::InvalidValue("target_session_attrs", "it is read-write or any")),
    }
}

/// Splits a configuration into one for each host, so that each has its own connect timeout.
fn split_hosts(config: &Config) -> Result<Vec<Config>, UrlError> {
    let (names, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = names.len().max(addresses.len());
    if count == 0 {
        return Err(UrlError::NoHost);
    }
    let fits = |length: usize| length <= 1 || length == count;
    if !fits(ports.len()) || (!names.is_empty() && !addresses.is_empty() && names.len() != addresses.len()) {
        return Err(UrlError::InvalidValue(
            "host",
            "there are as many of host, hostaddr and port, or one port for all",
        ));
    }
    (0..count)
        .map(|index| {
            let mut one = Config::new();
            match names.get(index) {
                Some(Host::Tcp(name)) => drop(one.host(name)),
                Some(Host::Unix(path)) => drop(one.host_path(path)),
                None => {}
            }
            if let Some(address) = addresses.get(index) {
                one.hostaddr(*address);
            }
            if let Some(port) = ports.get(index).or(ports.first()) {
                one.port(*port);
            }
            copy_common(config, &mut one);
            Ok(one)
        })
        .collect()
}

fn copy_common(from: &Config, to: &mut Config) {
    if let Some(user) = from.get_user() {
        to.user(user);
    }
    if let Some(password) = from.get_password() {
        to.password(password);
    }
    if let Some(name) = from.get_dbname() {
        to.dbname(name);
    }
    if let Some(options) = from.get_options() {
        to.options(options);
    }
    if let Some(name) = from.get_application_name() {
        to.application_name(name);
    }
    if let Some(timeout) = from.get_tcp_user_timeout() {
        to.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = from.get_keepalives_interval() {
        to.keepalives_interval(interval);
    }
    if let Some(retries) = from.get_keepalives_retries() {
        to.keepalives_retries(retries);
    }
    to.keepalives(from.get_keepalives())
        .keepalives_idle(from.get_keepalives_idle())
        .load_balance_hosts(from.get_load_balance_hosts())
        .target_session_attrs(from.get_target_session_attrs())
        .ssl_mode(from.get_ssl_mode());
}

#[cfg(test)]
mod tests {
    use super::{CertificateCheck, PostgresUrl, UrlError};
    use std::path::Path;
    use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

    fn parse(url: &str) -> Result<PostgresUrl, UrlError> {
        PostgresUrl::parse(url, Path::new("/etc/host"))
    }

    #[test]
    fn every_host_has_its_own_configuration() {
        let url = parse("postgres://u:p%40w@one:6000,two:6001/agno").expect("a URL");
        let named: Vec<_> =
            url.hosts.iter().map(|host| (host.get_hosts().to_vec(), host.get_ports().to_vec())).collect();
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(named, [(tcp("one"), vec![6000]), (tcp("two"), vec![6001])]);
        for host in &url.hosts {
            assert_eq!((host.get_user(), host.get_password()), (Some("u"), Some(&b"p@w"[..])));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite, "only a primary deletes");
        }
        let one = parse("postgresql+psycopg://u@one/agno").expect("as Agno's Python has it");
        assert_eq!(one.hosts[0].get_target_session_attrs(), TargetSessionAttrs::Any);
        let socket = parse("postgres:///agno?host=/run/postgresql&user=u").expect("a socket");
        assert_eq!(socket.hosts[0].get_hosts(), [Host::Unix("/run/postgresql".into())]);
    }

    #[test]
    fn sslmode_selects_the_certificate_check() {
        use CertificateCheck::{None, VerifyCa, VerifyFull};
        for (query, mode, check) in [
            ("", SslMode::Prefer, None),
            ("?sslmode=disable", SslMode::Disable, None),
            ("?sslmode=prefer", SslMode::Prefer, None),
            ("?sslmode=require", SslMode::Require, None),
            ("?sslmode=require&sslrootcert=ca.pem", SslMode::Require, VerifyCa),
            ("?sslmode=verify-ca", SslMode::Require, VerifyCa),
            ("?sslrootcert=ca.pem&sslmode=verify-full", SslMode::Require, VerifyFull),
        ] {
            let url = parse(&format!("postgres://u@h/d{query}")).expect(query);
            assert_eq!((url.hosts[0].get_ssl_mode(), url.certificate_check), (mode, check), "{query}");
        }
        let root = parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=ca.pem").expect("a URL").root_certificates;
        assert_eq!(root.as_deref(), Some(Path::new("/etc/host/ca.pem")));
        assert!(matches!(parse("postgres://u@h/d?sslmode=on"), Err(UrlError::InvalidValue("sslmode", _))));
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
            ("postgres://u@localhost/d?hostaddr=192.0.2.1", true),
        ] {
            assert_eq!(parse(url).expect(url).is_unverified(), is_unverified, "{url}");
        }
    }

    #[test]
    fn errors_contain_no_part_of_the_url() {
        for url in [
            "postgres://u:se?cret@h/d",
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@h/d?secret=1",
            "postgres://u:secret@h/d?sslmode=secret",
            "postgres://u:secret@h/d?connect_timeout=secret",
            "postgres://u:secret@h/d?keepalives=secret",
            "postgres://u:secret@/d",
            "postgres://u:secret@a,b,c:1,2/d?port=1,2",
            "postgres://u:%ff@h/d",
        ] {
            let error = parse(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("cret"), "{url}: {error}");
        }
    }
}
