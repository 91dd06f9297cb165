//! The hosts of a PostgreSQL database, each with its port.

use super::error::UrlError;
use super::parameters::{Parameters, decode};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// PostgreSQL's port.
const DEFAULT_PORT: u16 = 5432;

/// Where PostgreSQL listens if a URL has no host: the directories of its socket in Debian's packages and in its source,
/// then TCP.
const DEFAULT_HOSTS: [&str; 3] = ["/var/run/postgresql", "/tmp", "localhost"];

const PORT: &str = "a port number";
const HOST: &str = "names, addresses or socket directories, separated by commas";

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// The name, the address, the socket directory, or '@' and the name of an abstract socket.
    pub(super) name: String,
    /// The address to connect to, instead of a lookup of the name.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// The hosts of a database, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) list: Vec<Host>,
    /// Whether they are those of a URL without a host. Then they are one server, reached in one of these ways.
    pub(super) are_default: bool,
}

impl Host {
    /// Whether it is a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        is_socket(&self.name)
    }

    /// Whether no network is between this machine and the host.
    pub(super) fn is_local(&self) -> bool {
        match self.address {
            Some(address) => address.is_loopback(),
            None => {
                let is_loopback = |name: &str| name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
                self.is_socket() || self.name == "localhost" || is_loopback(&self.name)
            }
        }
    }

    /// The name of the host in a password file.
    pub(super) fn name_in_password_file(&self) -> &str {
        if self.is_socket() && DEFAULT_HOSTS.contains(&self.name.as_str()) { "localhost" } else { &self.name }
    }
}

/// The name or the address, and the port.
impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port, .. } = self;
        if name.contains(':') && !self.is_socket() {
            return write!(formatter, "[{name}]:{port}");
        }
        write!(formatter, "{name}:{port}")
    }
}

impl Hosts {
    /// The hosts of `host`, `hostaddr` and `port`.
    pub(super) fn from_parameters(parameters: &Parameters) -> Result<Self, UrlError> {
        let mut names = Vec::new();
        let mut own_ports = Vec::new();
        if let Some(hosts) = parameters.get("host") {
            for host in hosts.text.split(',') {
                let (name, port) = split_port(host).filter(|(name, _)| is_name(name)).ok_or(hosts.invalid(HOST))?;
                own_ports.push(port.map(|port| parse_port(port).ok_or(hosts.invalid(PORT))).transpose()?);
                names.push(name.to_owned());
            }
        }
        let mut addresses = Vec::new();
        if let Some(value) = parameters.get("hostaddr") {
            for address in value.text.split(',') {
                addresses.push(address.parse().map_err(|_| value.invalid("IP addresses, separated by commas"))?);
            }
        }
        let are_default = names.is_empty() && addresses.is_empty();
        if are_default {
            names.extend(DEFAULT_HOSTS.map(str::to_owned));
        }
        let count = names.len().max(addresses.len());
        let ports = if own_ports.iter().any(Option::is_some) {
            if parameters.get("port").is_some_and(|port| port.origin.is_parameter()) {
                return Err(UrlError::Conflict("ports are in host and in port; remove one"));
            }
            own_ports.into_iter().map(|port| port.unwrap_or(DEFAULT_PORT)).collect()
        } else {
            ports(parameters, count, are_default)?
        };
        let fits = |length: usize| length == 0 || length == count;
        if !fits(names.len()) || !fits(addresses.len()) {
            return Err(UrlError::MismatchedHosts);
        }
        let mut addresses = addresses.into_iter();
        let mut names = names.into_iter();
        let list = ports.into_iter().map(|port| {
            let address: Option<IpAddr> = addresses.next();
            // The certificate of a host without a name is for its address.
            let name = names.next().or(address.map(|address| address.to_string())).unwrap_or_default();
            Host { name, address, port }
        });
        Ok(Self { list: list.collect(), are_default })
    }
}

/// The ports of `count` hosts.
fn ports(parameters: &Parameters, count: usize, are_default: bool) -> Result<Vec<u16>, UrlError> {
    let Some(value) = parameters.get("port") else { return Ok(vec![DEFAULT_PORT; count]) };
    let ports: Option<Vec<u16>> = value.text.split(',').map(parse_port).collect();
    match ports.ok_or(value.invalid(PORT))?.as_slice() {
        [one] => Ok(vec![*one; count]),
        several if several.len() == count && !are_default => Ok(several.to_vec()),
        _ => Err(UrlError::MismatchedHosts),
    }
}

/// Splits the hosts before the '/' of a URL into the values of `host` and `port`. In SQLAlchemy, a single port at the end is
/// the port of all.
pub(super) fn split_authority(hosts: &str, names_driver: bool) -> Result<(String, String), UrlError> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = split_port(host).ok_or(UrlError::Syntax)?;
        let port = port.unwrap_or_default();
        parse_port(port).ok_or(UrlError::Syntax)?;
        let name = decode(name)?;
        let is_no_host = name.is_empty() && !hosts.contains(',');
        if !is_no_host && !is_name(&name) {
            return Err(UrlError::Syntax);
        }
        names.push(name);
        ports.push(port);
    }
    let ports = match ports.as_slice() {
        [others @ .., last] if others.iter().all(|port| port.is_empty()) && (names_driver || last.is_empty()) => {
            (*last).to_owned()
        }
        ports => ports.join(","),
    };
    Ok((names.join(","), ports))
}

/// Splits `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn split_port(host: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return if rest.is_empty() { Some((address, None)) } else { Some((address, Some(rest.strip_prefix(':')?))) };
    }
    // Without brackets, an IPv6 address has no port.
    if host.matches(':').count() > 1 && !is_socket(host) {
        return Some((host, None));
    }
    match host.rsplit_once(':') {
        // A directory can have a colon in its name.
        Some((_, port)) if is_socket(host) && parse_port(port).is_none() => Some((host, None)),
        Some((name, port)) => Some((name, Some(port))),
        None => Some((host, None)),
    }
}

/// Parses a port number. An empty one is the default.
fn parse_port(port: &str) -> Option<u16> {
    match port {
        "" => Some(DEFAULT_PORT),
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().filter(|port| *port != 0),
        _ => None,
    }
}

fn is_socket(name: &str) -> bool {
    name.starts_with(['/', '@'])
}

/// Whether this can be the name of a host. Other characters are parts of a password that is not percent-encoded.
fn is_name(name: &str) -> bool {
    let is_invalid =
        |character: char| character.is_whitespace() || character.is_control() || "/@?#".contains(character);
    is_socket(name) || (!name.is_empty() && !name.contains(is_invalid))
}
