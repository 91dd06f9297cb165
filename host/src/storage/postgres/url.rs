//! The URL of a PostgreSQL database, as libpq and Agno's Python write it.

use super::tls::CertificateCheck;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Where a PostgreSQL database is, and how it is connected to.
#[derive(Clone)]
pub struct PostgresUrl {
    /// One configuration for each host that the URL names, in its order.
    pub(super) hosts: Vec<Config>,
    pub(super) check: CertificateCheck,
    /// The certificates of authorities that are trusted; without this, those that the machine trusts.
    pub(super) root_certificates: Option<PathBuf>,
}

/// Why a URL names no PostgreSQL database. None of these repeats a part of the URL, which has a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with what is special in a part percent-encoded")]
    Form,
    /// It has a parameter that is not known.
    #[error("takes after '?' only {}", PARAMETERS.join(", "))]
    Parameter,
    /// A parameter has a value that it cannot have.
    #[error("has a value for {0} that it cannot have; {1}")]
    Value(&'static str, &'static str),
    /// It names no host.
    #[error("must name a host")]
    Host,
}

/// The schemes that mean PostgreSQL: libpq's two, and those in which SQLAlchemy names its driver.
const SCHEMES: [&str; 6] = [
    "postgres://",
    "postgresql://",
    "postgresql+psycopg://",
    "postgresql+psycopg2://",
    "postgresql+psycopg_async://",
    "postgresql+asyncpg://",
];

/// Parameters that are taken, as libpq names them.
const PARAMETERS: [&str; 17] = [
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
    /// Whether the URL's scheme is one of PostgreSQL's.
    #[must_use]
    pub fn has_scheme(url: &str) -> bool {
        SCHEMES.iter().any(|scheme| url.starts_with(scheme))
    }

    /// Whether what goes to the database may go to somebody else: its certificate is not checked, and it is not on this
    /// machine.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        let is_here = |host: &Config| {
            host.get_hosts().iter().all(|host| match host {
                Host::Unix(_) => true,
                Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            }) && host.get_hostaddrs().iter().all(IpAddr::is_loopback)
        };
        self.check == CertificateCheck::Nothing && !self.hosts.iter().all(is_here)
    }

    /// Reads a URL. A file that it names is looked for in this folder, where its path is relative.
    ///
    /// # Errors
    /// Where it names no database, or something that is not understood.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, UrlError> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or(UrlError::Form)?;
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut tls = Tls { mode: "prefer".to_owned(), root: None };
        let (mut target, mut others) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(UrlError::Form)?;
            let text = percent_decode_str(value).decode_utf8().map_err(|_| UrlError::Form)?.into_owned();
            match PARAMETERS.iter().find(|known| **known == name) {
                None => return Err(UrlError::Parameter),
                Some(&"sslmode") => tls.mode = text,
                Some(&"sslrootcert") => tls.root = Some(text),
                Some(&"target_session_attrs") => target = Some(target_session(&text)?),
                Some(_) => others.push(pair),
            }
        }
        let url = format!("postgres://{base}?{}", others.join("&"));
        let mut config: Config = url.parse().map_err(|_| UrlError::Form)?;
        let (mode, check) = tls.read()?;
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("delete-learning");
        }
        let names = config.get_hosts().len().max(config.get_hostaddrs().len());
        // Of several, only one can be the primary, and only there can be deleted.
        let several = if names > 1 { TargetSessionAttrs::ReadWrite } else { TargetSessionAttrs::Any };
        config.target_session_attrs(target.unwrap_or(several));
        let root_certificates = tls.root.filter(|root| root != "system").map(|root| folder.join(root));
        let hosts = one_by_one(&config)?;
        Ok(Self { hosts, check, root_certificates })
    }
}

struct Tls {
    mode: String,
    root: Option<String>,
}

impl Tls {
    /// What the mode means, as libpq has it: `require` checks the certificate where an authority is named, the `verify-`
    /// modes do always.
    fn read(&self) -> Result<(SslMode, CertificateCheck), UrlError> {
        Ok(match (self.mode.as_str(), &self.root) {
            ("disable", _) => (SslMode::Disable, CertificateCheck::Nothing),
            ("prefer" | "allow", _) => (SslMode::Prefer, CertificateCheck::Nothing),
            ("require", None) => (SslMode::Require, CertificateCheck::Nothing),
            ("require", Some(_)) | ("verify-ca", _) => (SslMode::Require, CertificateCheck::Authority),
            ("verify-full", _) => (SslMode::Require, CertificateCheck::AuthorityAndName),
            _ => {
                let modes = "it is disable, prefer, require, verify-ca or verify-full";
                return Err(UrlError::Value("sslmode", modes));
            }
        })
    }
}

fn target_session(text: &str) -> Result<TargetSessionAttrs, UrlError> {
    match text {
        "any" => Ok(TargetSessionAttrs::Any),
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        _ => Err(UrlError::Value("target_session_attrs", "it is read-write or any")),
    }
}

/// The configuration of each host alone, so that each gets a time of its own to answer in.
fn one_by_one(config: &Config) -> Result<Vec<Config>, UrlError> {
    let (names, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = names.len().max(addresses.len());
    if count == 0 {
        return Err(UrlError::Host);
    }
    let fits = |length: usize| length <= 1 || length == count;
    if !fits(ports.len()) || (!names.is_empty() && !addresses.is_empty() && names.len() != addresses.len()) {
        return Err(UrlError::Value("host", "there are as many of host, hostaddr and port, or one port for all"));
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
    fn every_host_gets_a_configuration_of_its_own() {
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
    fn tls_is_as_sslmode_asks() {
        use CertificateCheck::{Authority, AuthorityAndName, Nothing};
        for (query, mode, check) in [
            ("", SslMode::Prefer, Nothing),
            ("?sslmode=disable", SslMode::Disable, Nothing),
            ("?sslmode=prefer", SslMode::Prefer, Nothing),
            ("?sslmode=require", SslMode::Require, Nothing),
            ("?sslmode=require&sslrootcert=ca.pem", SslMode::Require, Authority),
            ("?sslmode=verify-ca", SslMode::Require, Authority),
            ("?sslrootcert=ca.pem&sslmode=verify-full", SslMode::Require, AuthorityAndName),
        ] {
            let url = parse(&format!("postgres://u@h/d{query}")).expect(query);
            assert_eq!((url.hosts[0].get_ssl_mode(), url.check), (mode, check), "{query}");
        }
        let root = parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=ca.pem").expect("a URL").root_certificates;
        assert_eq!(root.as_deref(), Some(Path::new("/etc/host/ca.pem")));
        assert!(matches!(parse("postgres://u@h/d?sslmode=on"), Err(UrlError::Value("sslmode", _))));
    }

    #[test]
    fn a_database_elsewhere_whose_certificate_is_not_checked_is_seen() {
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
    fn an_error_repeats_nothing_of_the_url() {
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
