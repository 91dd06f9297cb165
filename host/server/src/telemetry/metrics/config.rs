//! Where the metrics are served.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// Where the metrics are served. The keys of `[metrics]` in the configuration; without the section they are not served.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// The address to listen on, another one than the server's. Port 0 selects a free port. Everybody who can connect to it
    /// can read the metrics.
    pub listen: SocketAddr,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        // The port that OpenTelemetry's Prometheus exporters use by default.
        Self { listen: (Ipv4Addr::LOCALHOST, 9464).into() }
    }
}
