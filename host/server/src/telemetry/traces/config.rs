//! Where traces are sent.

use std::fmt;

/// Where traces are sent, and which.
#[derive(Clone)]
pub struct TracesConfig {
    /// The URL of the collector's endpoint for traces.
    pub endpoint: String,
    /// Headers for the collector: names and values, which can be secrets.
    pub headers: Vec<(String, String)>,
    /// The part of the traces that is sent, from 0 to 1. It applies to requests that continue no trace; a trace that is
    /// continued is sent if its first span is.
    pub sample_ratio: f64,
}

impl fmt::Debug for TracesConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("TracesConfig")
            .field("endpoint", &self.endpoint)
            .field("headers", &headers)
            .field("sample_ratio", &self.sample_ratio)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::TracesConfig;

    #[test]
    fn values_of_headers_are_not_printed() {
        let headers = vec![("authorization".to_owned(), "a secret".to_owned())];
        let config = TracesConfig { endpoint: "http://[::1]/".to_owned(), headers, sample_ratio: 0.5 };
        let text = format!("{config:?}");
        assert_eq!(
            text,
            r#"TracesConfig { endpoint: "http://[::1]/", headers: ["authorization"], sample_ratio: 0.5 }"#
        );
    }
}
