//! The address and the limits of the HTTP server.

use super::client_address::TrustedProxies;
use super::cors::CorsConfig;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The address and the limits of the HTTP server. The keys of `[server]` in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// Maximum number of connections served at once. A further one waits in the listen backlog.
    pub max_connections: usize,
    /// Maximum bytes of a request line and its headers together. More is answered 431, as are more than 1024 header lines. A
    /// URI of more than 65,534 bytes is answered 414 if it fits this limit.
    pub max_header_bytes: usize,
    /// Milliseconds in which the headers of a request must arrive, from the start of the connection or from the end of
    /// the previous response. Then the connection is closed. For the same time at most, the server discards the rest of a
    /// request after its last response on a connection.
    pub header_read_timeout_ms: u64,
    /// Milliseconds from the request to shut down, from which on `/readyz` reports that the server is not ready, until the
    /// server accepts no more connections. A load balancer needs them to notice. Connections are closed after their next
    /// response then.
    pub shutdown_delay_ms: u64,
    /// Milliseconds that requests in flight get at shutdown before their connections are closed.
    pub shutdown_timeout_ms: u64,
    /// Maximum bytes of a learning id, percent-decoded. A longer id is answered 400.
    pub max_learning_id_bytes: usize,
    /// Proxies whose `X-Forwarded-For` and `Forwarded` headers have the address of the client. Without any, these headers
    /// are ignored.
    pub trusted_proxies: TrustedProxies,
    /// The origins whose pages can use the API in a browser.
    pub cors: CorsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 7777).into(),
            max_connections: 1024,
            max_header_bytes: 64 * 1024,
            header_read_timeout_ms: 30_000,
            shutdown_delay_ms: 0,
            shutdown_timeout_ms: 10_000,
            max_learning_id_bytes: 4096,
            trusted_proxies: TrustedProxies::default(),
            cors: CorsConfig::default(),
        }
    }
}

impl HttpConfig {
    /// The limit that is too small and its smallest valid value, if there is one.
    #[must_use]
    pub fn too_small(&self) -> Option<(&'static str, u64)> {
        [
            ("max_connections", self.max_connections as u64, 1),
            // hyper needs this much for a request line.
            ("max_header_bytes", self.max_header_bytes as u64, 8192),
            ("header_read_timeout_ms", self.header_read_timeout_ms, 1),
            ("max_learning_id_bytes", self.max_learning_id_bytes as u64, 1),
        ]
        .into_iter()
        .find_map(|(key, value, min)| (value < min).then_some((key, min)))
    }

    pub(super) const fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }

    pub(super) const fn shutdown_delay(&self) -> Duration {
        Duration::from_millis(self.shutdown_delay_ms)
    }

    pub(super) const fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::HttpConfig;

    #[test]
    fn smallest_valid_limits_are_valid_and_smaller_ones_are_named() {
        let smallest = || HttpConfig {
            max_connections: 1,
            max_header_bytes: 8192,
            header_read_timeout_ms: 1,
            max_learning_id_bytes: 1,
            ..HttpConfig::default()
        };
        assert_eq!((HttpConfig::default().too_small(), smallest().too_small()), (None, None));
        for (config, expected) in [
            (HttpConfig { max_connections: 0, ..smallest() }, ("max_connections", 1)),
            (HttpConfig { max_header_bytes: 8191, ..smallest() }, ("max_header_bytes", 8192)),
            (HttpConfig { header_read_timeout_ms: 0, ..smallest() }, ("header_read_timeout_ms", 1)),
            (HttpConfig { max_learning_id_bytes: 0, ..smallest() }, ("max_learning_id_bytes", 1)),
        ] {
            assert_eq!(config.too_small(), Some(expected));
        }
    }
}
