//! The options of PostgreSQL databases.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Options of every PostgreSQL database. The keys of `[postgres]` in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// Maximum number of connections to each database.
    pub max_connections: usize,
    /// Milliseconds that a request waits for a connection of the pool before it is answered 503.
    pub acquire_timeout_ms: u64,
    /// Milliseconds to wait for a connection to one host before the next host is tried.
    pub connect_timeout_ms: u64,
    /// Milliseconds after which the server cancels a statement: 503, and nothing was deleted. If no response has
    /// arrived after 1.25 times this, the outcome is unknown: 500.
    pub statement_timeout_ms: u64,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { max_connections: 16, acquire_timeout_ms: 1_000, connect_timeout_ms: 2_000, statement_timeout_ms: 2_000 }
    }
}

impl PostgresOptions {
    /// The option that is too small and its smallest valid value, if there is one.
    #[must_use]
    pub fn too_small(&self) -> Option<(&'static str, usize)> {
        [
            ("max_connections", self.max_connections == 0),
            ("connect_timeout_ms", self.connect_timeout_ms == 0),
            ("statement_timeout_ms", self.statement_timeout_ms == 0),
        ]
        .into_iter()
        .find_map(|(key, is_zero)| is_zero.then_some((key, 1)))
    }

    /// The longest time, in milliseconds, that one statement can take with everything before it. A connection takes at most
    /// `max_connect_ms`.
    #[must_use]
    pub const fn max_request_ms(&self, max_connect_ms: u64) -> u64 {
        let statement = self.statement_timeout_ms.saturating_add(self.statement_timeout_ms / 4);
        self.acquire_timeout_ms.saturating_add(max_connect_ms).saturating_add(statement)
    }

    pub(super) const fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) const fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    /// The time after which a statement is abandoned. It is longer than the server's timeout: if the server cancels the
    /// statement, nothing was deleted for certain.
    pub(super) fn response_timeout(&self) -> Duration {
        self.statement_timeout() + self.statement_timeout() / 4
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, PostgresOptions};

    #[test]
    fn option_that_is_zero_is_named() {
        let valid = PostgresOptions::default;
        assert_eq!(valid().too_small(), None);
        for (options, key) in [
            (PostgresOptions { max_connections: 0, ..valid() }, "max_connections"),
            (PostgresOptions { connect_timeout_ms: 0, ..valid() }, "connect_timeout_ms"),
            (PostgresOptions { statement_timeout_ms: 0, ..valid() }, "statement_timeout_ms"),
        ] {
            assert_eq!(options.too_small(), Some((key, 1)));
        }
    }

    #[test]
    fn statement_is_abandoned_a_quarter_after_its_timeout() {
        let (acquire_timeout_ms, statement_timeout_ms) = (10, 1000);
        let options = PostgresOptions { acquire_timeout_ms, statement_timeout_ms, ..PostgresOptions::default() };
        assert_eq!(options.response_timeout(), Duration::from_millis(1250));
        assert_eq!(options.max_request_ms(100), 10 + 100 + 1250);
    }
}
