//! Origins of the configuration: exact, or patterns.

use serde::{Deserialize, Serialize, Serializer};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An origin that is allowed, or a pattern for several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AllowedOrigin {
    /// Every origin. Written as `*`.
    Any,
    /// This origin, such as `https://os.agno.com`.
    Exact(String),
    /// The origins that match a pattern such as `https://*.example.com`.
    Pattern(OriginPattern),
}

/// A pattern. A `*` in a label of the host stands for one or more characters of that label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// The scheme, and `://`.
    scheme: String,
    labels: Vec<String>,
    /// A colon and the port, or nothing.
    port: String,
}

impl Serialize for AllowedOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("*"),
            Self::Exact(origin) => serializer.serialize_str(origin),
            Self::Pattern(OriginPattern { scheme, labels, port }) => {
                serializer.collect_str(&format_args!("{scheme}{}{port}", labels.join(".")))
            }
        }
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = String;

    /// Parses an origin as a browser sends it (RFC 6454, section 6.2). An origin with another spelling would never match,
    /// so the error has the spelling to use.
    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == "null" {
            return Err(
                "\"null\" is the origin of all local files and sandboxed pages; only \"*\" allows it".to_owned()
            );
        }
        let invalid = |reason: &str| format!("{text:?} is not an origin such as \"https://os.agno.com\": {reason}");
        let normalized = normalize(&text);
        let (scheme, host, port) = split(&normalized);
        if !is_scheme(scheme) {
            return Err(invalid("the scheme is invalid"));
        }
        validate_host(host).map_err(|reason| invalid(&reason))?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return Err(invalid("the port must be a number from 1 to 65535"));
        }
        if normalized != text {
            return Err(format!("{text:?} is not an origin as browsers send it; write {normalized:?}"));
        }
        if !host.contains('*') {
            return Ok(Self::Exact(text));
        }
        let labels = host.split('.').map(str::to_owned).collect();
        Ok(Self::Pattern(OriginPattern { scheme: format!("{scheme}://"), labels, port: port.to_owned() }))
    }
}

impl AllowedOrigin {
    /// Whether this value of an `Origin` header is allowed.
    pub(super) fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(allowed) => allowed.as_bytes() == origin,
            Self::Pattern(pattern) => std::str::from_utf8(origin).is_ok_and(|origin| pattern.matches(origin)),
        }
    }
}

impl OriginPattern {
    fn matches(&self, origin: &str) -> bool {
        let host = origin.strip_prefix(&self.scheme).and_then(|rest| rest.strip_suffix(&self.port));
        host.is_some_and(|host| {
            let labels = || host.split('.');
            labels().count() == self.labels.len()
                && labels().zip(&self.labels).all(|(label, pattern)| matches_label(pattern, label))
        })
    }
}

fn matches_label(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((start, end)) => {
            label.len() > start.len() + end.len()
                && label.starts_with(start)
                && label.ends_with(end)
                && label.bytes().all(is_host_byte)
        }
    }
}

/// Corrects what a browser never sends: white space, capital letters, user information, a path, and a default port.
fn normalize(text: &str) -> String {
    let (scheme, rest) = text.trim().split_once("://").unwrap_or(("https", text.trim()));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let origin = format!("{scheme}://{host}").to_ascii_lowercase();
    let (scheme, host, port) = split(&origin);
    match (scheme, port) {
        (_, ":") | ("http", ":80") | ("https", ":443") => format!("{scheme}://{host}"),
        _ => origin,
    }
}

/// The scheme, the host, and the port with its colon.
fn split(origin: &str) -> (&str, &str, &str) {
    let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
    // The colons of an IPv6 address are in brackets.
    let address = rest.rfind(']').map_or(0, |end| end + 1);
    let end = rest.get(address..).and_then(|rest| rest.find(':')).map_or(rest.len(), |colon| address + colon);
    let (host, port) = rest.split_at_checked(end).unwrap_or((rest, ""));
    (scheme, host, port)
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

fn is_port(port: &str) -> bool {
    port.starts_with(|first: char| matches!(first, '1'..='9')) && port.parse::<u16>().is_ok()
}

fn validate_host(host: &str) -> Result<(), String> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
        return match address {
            None => Err("the IPv6 address is invalid".to_owned()),
            // Browsers write such an address without dots, unlike Rust.
            Some(address) if address.to_ipv4_mapped().is_some() => Ok(()),
            Some(address) if host == format!("[{address}]") => Ok(()),
            Some(address) => Err(format!("write the host as [{address}]")),
        };
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if host.is_empty() {
        Err("the host is missing".to_owned())
    } else if !host.is_ascii() {
        Err("write the host in Punycode (xn--…)".to_owned())
    } else if host.split('.').any(str::is_empty) {
        Err("the host has an empty label".to_owned())
    } else if !host.bytes().all(|byte| byte == b'*' || is_host_byte(byte) || byte == b'.') {
        Err("the host has an invalid character".to_owned())
    } else if last.bytes().all(|byte| byte.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        Err("the IPv4 address is invalid".to_owned())
    } else if last.contains('*') {
        Err("a \"*\" must be followed by a domain, such as *.example.com; the list [\"*\"] allows every origin"
            .to_owned())
    } else if host.split('.').any(|label| label.matches('*').count() > 1) {
        Err("a label can have one \"*\"".to_owned())
    } else {
        Ok(())
    }
}

fn is_host_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::AllowedOrigin;

    fn parse(text: &str) -> Result<AllowedOrigin, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn exact_origin_matches_only_itself() {
        for origin in [
            "https://os.agno.com",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "http://[::ffff:7f00:1]:3000",
            "https://xn--bcher-kva.example",
            "chrome-extension://abcdefghijklmnop",
            "https://a_b.example",
        ] {
            let allowed = parse(origin).unwrap();
            assert!(allowed.matches(origin.as_bytes()), "{origin}");
            for other in [format!("{origin}."), format!("{origin}/"), format!("{origin}:1"), origin.to_uppercase()] {
                assert!(!allowed.matches(other.as_bytes()), "{other}");
            }
        }
    }

    #[test]
    fn invalid_origin_is_refused_with_what_to_write() {
        for (text, part) in [
            ("https://os.agno.com/", "write \"https://os.agno.com\""),
            ("https://os.agno.com/path", "write \"https://os.agno.com\""),
            ("https://os.agno.com?a", "write \"https://os.agno.com\""),
            ("https://os.agno.com#a", "write \"https://os.agno.com\""),
            ("os.agno.com", "write \"https://os.agno.com\""),
            ("localhost:3000", "write \"https://localhost:3000\""),
            ("HTTPS://os.agno.com", "write \"https://os.agno.com\""),
            ("https://OS.agno.com", "write \"https://os.agno.com\""),
            ("https://os.agno.com:443", "write \"https://os.agno.com\""),
            ("http://os.agno.com:80", "write \"http://os.agno.com\""),
            ("https://os.agno.com:", "write \"https://os.agno.com\""),
            (" https://os.agno.com", "write \"https://os.agno.com\""),
            ("https://me@os.agno.com", "write \"https://os.agno.com\""),
            ("HTTP://*.Example.com:80/", "write \"http://*.example.com\""),
            ("http://[::0:1]", "write the host as [::1]"),
            ("https://[fe80::]:443", "write \"https://[fe80::]\""),
            ("http://[::1", "IPv6"),
            ("http://127.1", "IPv4"),
            ("http://host:0", "port"),
            ("http://host:65536", "port"),
            ("http://host:080", "port"),
            ("http://localhost:*", "port"),
            ("*://example.com", "scheme"),
            ("://example.com", "scheme"),
            ("https://", "host"),
            ("", "host"),
            ("https://a..b", "empty label"),
            ("https://bücher.example", "Punycode"),
            ("https://a b", "invalid character"),
            ("https://a,https://b", "invalid character"),
            ("https://*", "[\"*\"] allows every origin"),
            ("https://example.*", "followed by a domain"),
            ("https://*-*.example.com", "one \"*\""),
            ("null", "sandboxed"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn pattern_matches_within_one_label() {
        for (pattern, matching, others) in [
            (
                "https://*.example.com",
                vec!["https://a.example.com", "https://xn--bcher-kva.example.com", "https://a-1_b.example.com"],
                vec![
                    "https://example.com",
                    "https://.example.com",
                    "https://a.b.example.com",
                    "http://a.example.com",
                    "https://a.example.com:8443",
                    "https://a.example.com.evil.net",
                    "https://evil.net/.example.com",
                    "https://evil.net?.example.com",
                    "https://evil.net#.example.com",
                    "https://a@evil.example.com",
                    "https://evil.net:1.example.com",
                    "https://aexample.com",
                    "https://*.example.com",
                    "https://A.example.com",
                    "null",
                    "",
                ],
            ),
            (
                "http://pr-*-web.dev.example.com:8080",
                vec!["http://pr-7-web.dev.example.com:8080"],
                vec![
                    "http://pr--web.dev.example.com:8080",
                    "http://pr-web.dev.example.com:8080",
                    "http://pr-7-web.dev.example.com",
                    "http://pr-7-web.dev.example.com:80800",
                    "http://pr-7.x-web.dev.example.com:8080",
                ],
            ),
            ("https://*.*.example.com", vec!["https://a.b.example.com"], vec!["https://a.example.com"]),
        ] {
            let pattern = parse(pattern).unwrap();
            for origin in matching {
                assert!(pattern.matches(origin.as_bytes()), "{pattern:?} {origin}");
            }
            for origin in others {
                assert!(!pattern.matches(origin.as_bytes()), "{pattern:?} {origin}");
            }
        }
    }
}
