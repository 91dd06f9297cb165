//! The section `[traces]`.

use super::{ConfigError, Source, file};
use crate::telemetry::TracesConfig;
use crate::telemetry::traces::IS_SUPPORTED;
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

/// The path of the endpoint for traces (OpenTelemetry Protocol, OTLP/HTTP request).
const PATH: &str = "/v1/traces";

pub(super) fn validate(traces: &file::Traces, source: &Source) -> Result<TracesConfig, ConfigError> {
    if !IS_SUPPORTED {
        return Err(
            source.error("traces", "is not supported by this program, which was built without the feature otlp")
        );
    }
    let endpoint = parse_endpoint(&traces.endpoint).ok_or_else(|| {
        source.error("traces.endpoint", "must be the URL of a collector, such as \"http://127.0.0.1:4318\"")
    })?;
    let headers = match source.secret("traces.headers", traces.headers.as_ref(), traces.headers_file.as_deref())? {
        Some((key, text)) => parse_headers(&text)
            .ok_or_else(|| source.error(key, "must be headers such as \"authorization=Bearer TOKEN,x-tenant=7\""))?,
        None => Vec::new(),
    };
    if !(0.0..=1.0).contains(&traces.sample_ratio) {
        return Err(source.error("traces.sample_ratio", "must be from 0 to 1"));
    }
    Ok(TracesConfig { endpoint, headers, sample_ratio: traces.sample_ratio })
}

/// The URL of the endpoint for traces of a collector, which can be given with and without the path.
fn parse_endpoint(text: &str) -> Option<String> {
    let url: Uri = text.parse().ok()?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    // A password would be in error messages.
    if !is_http || url.query().is_some() || url.authority()?.as_str().contains('@') {
        return None;
    }
    let url = text.trim_end_matches('/');
    Some(if url.ends_with(PATH) { url.to_owned() } else { format!("{url}{PATH}") })
}

/// Parses headers as the variable `OTEL_EXPORTER_OTLP_HEADERS` has them, without percent-decoding.
fn parse_headers(text: &str) -> Option<Vec<(String, String)>> {
    let parse = |header: &str| {
        let (name, value) = header.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let is_valid = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
        is_valid.then(|| (name.to_owned(), value.to_owned()))
    };
    text.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{parse_endpoint, parse_headers};

    #[test]
    fn endpoint_is_a_url_with_or_without_the_path_of_traces() {
        for (text, endpoint) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("https://collector.example/otlp", "https://collector.example/otlp/v1/traces"),
            ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
        ] {
            assert_eq!(parse_endpoint(text).as_deref(), Some(endpoint));
        }
        for text in
            ["", "localhost:4318", "grpc://localhost:4317", "http://user:secret@localhost", "http://a/?key=secret"]
        {
            assert_eq!(parse_endpoint(text), None, "{text}");
        }
    }

    #[test]
    fn headers_are_names_and_values() {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let headers = [("authorization", "Bearer a=b"), ("x-tenant", "7")].map(pair);
        assert_eq!(parse_headers("authorization=Bearer a=b, x-tenant = 7").as_deref(), Some(headers.as_slice()));
        for text in ["", "authorization", "a b=c", "a=b,", "a=b\nc"] {
            assert_eq!(parse_headers(text), None, "{text:?}");
        }
    }
}
