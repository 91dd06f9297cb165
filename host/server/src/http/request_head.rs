//! Checks that a request is unambiguous HTTP/1.1, as far as the HTTP library does not.

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::{Method, Version};
use std::net::Ipv6Addr;

/// Checks the `Host` header (RFC 9112, section 3.2) and the form of the request target (section 3.2.3).
///
/// # Errors
/// What is wrong, for the client.
pub(super) fn validate(head: &Parts) -> Result<(), &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_10 => {}
        (None, _) => return Err("Host header missing"),
        (Some(_), Some(_)) => return Err("More than one Host header"),
        (Some(host), None) if !is_host(host.as_bytes()) => return Err("Invalid Host header"),
        (Some(_), None) => {}
    }
    let is_authority = head.uri.scheme().is_none() && head.uri.authority().is_some();
    if is_authority && head.method != Method::CONNECT { Err("Invalid request target") } else { Ok(()) }
}

/// Whether this is `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host can be empty.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let (is_valid, port) = match value.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').unwrap_or(("", ""));
            (address.parse::<Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (name, port) = value.split_at_checked(value.find(':').unwrap_or(value.len())).unwrap_or((value, ""));
            (is_registered_name(name.as_bytes()), port)
        }
    };
    is_valid
        && match port.strip_prefix(':') {
            None => port.is_empty(),
            Some("") => true,
            Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        }
}

/// Whether this is a `reg-name` (RFC 3986, section 3.2.2), which an IPv4 address is too.
fn is_registered_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "",
            "x",
            "example.com",
            "example.com:7777",
            "example.com:",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "a%20b",
            "A_b",
            ":80",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b", "a/b", "a?b", "a#b", "a@b", "http://a", "a:b", "a:80:80", "a:-1", "a:65536", "::1", "[::1",
            "[::1]x", "[a]", "[::1]:x", "a%", "a%2", "a%zz", "a%4g", "a%g4", "a,\tb", "a\"b", "a<b", "a\\b", "bücher",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }
}
