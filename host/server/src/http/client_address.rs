//! The address of the client of a request, which trusted proxies report.
//!
//! A proxy appends the address that it received a request from to `X-Forwarded-For` or to `Forwarded` (RFC 7239). A client
//! can send these headers too, so the addresses are evaluated from the last to the first, as long as they are those of
//! trusted proxies.

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The addresses and networks of trusted proxies.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TrustedProxies(Vec<TrustedNetwork>);

/// The network of a trusted proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct TrustedNetwork(IpNet);

impl Serialize for TrustedNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return serializer.collect_str(&self.0.addr());
        }
        serializer.collect_str(&self.0)
    }
}

impl TryFrom<String> for TrustedNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            format!("{text:?} is neither an address nor a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"")
        })?;
        let correct = match network.addr() {
            // Addresses are compared as IPv4 addresses where possible.
            IpAddr::V6(address) if network.prefix_len() >= 96 && address.to_ipv4_mapped().is_some() => {
                IpNet::new(address.to_canonical(), network.prefix_len() - 96).unwrap_or(network)
            }
            _ => network,
        }
        .trunc();
        if correct == network {
            return Ok(Self(network));
        }
        Err(format!("{text:?} is not the address of a network; write \"{correct}\""))
    }
}

impl TrustedProxies {
    /// Whether this is the address of a trusted proxy.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.0.contains(&address))
    }

    /// Returns the address of the client of a request with these headers, which was received from `peer`.
    ///
    /// It is the last address that is not a trusted proxy's. Where the addresses end before, or are unreadable, it is the
    /// address of the farthest known proxy. If both headers are present and differ, it is `peer`, because a proxy can have
    /// forwarded one of them unchanged from the client.
    pub(super) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contain(peer) {
            return peer;
        }
        let x_forwarded_for = headers.contains_key(X_FORWARDED_FOR).then(|| {
            let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
            self.last_untrusted(
                peer,
                lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(parse_node),
            )
        });
        let forwarded = headers.contains_key(FORWARDED).then(|| {
            let lines = headers.get_all(FORWARDED).iter().rev();
            self.last_untrusted(peer, lines.flat_map(|line| parse_forwarded(line.as_bytes()).into_iter().rev()))
        });
        match (x_forwarded_for, forwarded) {
            (Some(address), None) | (None, Some(address)) => address,
            (Some(address), Some(other)) if address == other => address,
            _ => peer,
        }
    }

    /// Evaluates addresses from the nearest to the farthest. `None` is an unreadable one.
    fn last_untrusted(&self, peer: IpAddr, addresses: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for address in addresses {
            // What is farther than an unreadable address can be forged.
            let Some(address) = address else { break };
            client = address;
            if !self.contain(client) {
                break;
            }
        }
        client
    }
}

/// Parses the elements of a `Forwarded` header. An element is `None` if it has no readable address.
fn parse_forwarded(line: &[u8]) -> Vec<Option<IpAddr>> {
    // An open quotation mark could hide where an element starts.
    split_unquoted(line, b',').map_or_else(|| vec![None], |elements| elements.into_iter().map(parse_element).collect())
}

fn parse_element(element: &[u8]) -> Option<IpAddr> {
    let mut address = None;
    for pair in split_unquoted(element, b';')? {
        let pair = pair.trim_ascii();
        let (name, value) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
        if name.eq_ignore_ascii_case(b"for") && address.replace(value.get(1..)?).is_some() {
            return None;
        }
    }
    parse_node(address?)
}

/// Splits at a separator outside quoted strings. `None` if a quoted string does not end.
fn split_unquoted(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text
        .split(|byte| {
            let is_separator = *byte == separator && !is_quoted;
            is_quoted ^= *byte == b'"' && !is_escaped;
            is_escaped = is_quoted && *byte == b'\\' && !is_escaped;
            is_separator
        })
        .collect();
    (!is_quoted).then_some(parts)
}

/// Parses a node (RFC 7239, section 6): an address, perhaps with a port or in quotation marks. An IPv6 address with a port
/// is in brackets. `None` for `unknown`, an obfuscated identifier, and everything else.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node.trim_ascii()).ok()?;
    let node = node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node);
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port): (IpAddr, _) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.into(), port)
        }
        None => {
            let (address, port) = node.split_at_checked(node.find(':')?)?;
            (address.parse::<Ipv4Addr>().ok()?.into(), port)
        }
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then(|| address.to_canonical())
}

/// Whether this is a number, or an obfuscated port.
fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(name) => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        }
        None => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests;
