//! Cross-origin resource sharing (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>): which pages of other
//! origins can use the API in a browser.
//!
//! The layer of `tower-http` does not fit: it answers every `OPTIONS` request as a preflight.

mod origin;

use super::response::{self, Body};
use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
pub use origin::AllowedOrigin;
use serde::{Deserialize, Serialize};

/// The origins that an AgentOS allows by default: those of Agno's control plane.
const DEFAULT_ORIGINS: [&str; 6] = [
    "http://localhost:3000",
    "https://agno.com",
    "https://www.agno.com",
    "https://app.agno.com",
    "https://os-stg.agno.com",
    "https://os.agno.com",
];

/// The methods that a preflight allows, as an AgentOS does. A path that does not support one of them answers 405. The page
/// can read this answer, which is more helpful than a CORS error of the browser.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY";
/// The headers that a page can read in addition to those that every page can read.
const EXPOSED_HEADERS: &str = "X-Request-Id, Retry-After, WWW-Authenticate";
/// Seconds for which a browser can cache the answer to a preflight.
const MAX_AGE: &str = "600";
/// The headers that the answer to a preflight depends on.
const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
                              Access-Control-Request-Private-Network";

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The origins whose pages can use the API. The section `[server.cors]` of the configuration. Without origins, responses
/// have no CORS headers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "CorsSection", into = "CorsSection")]
pub struct CorsConfig(Vec<AllowedOrigin>);

/// The keys of the section.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct CorsSection {
    allowed_origins: Vec<AllowedOrigin>,
}

impl From<CorsSection> for CorsConfig {
    fn from(section: CorsSection) -> Self {
        Self(section.allowed_origins)
    }
}

impl From<CorsConfig> for CorsSection {
    fn from(config: CorsConfig) -> Self {
        Self { allowed_origins: config.0 }
    }
}

impl Default for CorsSection {
    fn default() -> Self {
        let origin = |text: &&str| AllowedOrigin::Exact((*text).to_owned());
        Self { allowed_origins: DEFAULT_ORIGINS.iter().map(origin).collect() }
    }
}

impl Default for CorsConfig {
    fn default() -> Self {
        CorsSection::default().into()
    }
}

impl CorsConfig {
    /// Whether pages of every origin can use the API.
    #[must_use]
    pub fn allows_every_origin(&self) -> bool {
        self.0.iter().any(|origin| matches!(origin, AllowedOrigin::Any))
    }

    /// The CORS headers of the response to a request with these headers.
    pub(super) fn evaluate(&self, headers: &HeaderMap) -> CorsHeaders {
        if self.0.is_empty() {
            return CorsHeaders::Disabled;
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        // Two origins are ambiguous. No browser sends them.
        match (origins.next(), origins.next()) {
            (Some(origin), None) if self.0.iter().any(|allowed| allowed.matches(origin.as_bytes())) => {
                CorsHeaders::Allowed(origin.clone())
            }
            _ => CorsHeaders::NotAllowed,
        }
    }
}

/// The CORS headers of a response.
pub(super) enum CorsHeaders {
    /// None, because CORS is turned off.
    Disabled,
    /// None, because the request has no allowed origin. Another origin can get another response.
    NotAllowed,
    /// Those for this origin.
    Allowed(HeaderValue),
}

impl CorsHeaders {
    /// Sets the headers.
    pub(super) fn set(self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        if !matches!(self, Self::Disabled) {
            headers.entry(VARY).or_insert(HeaderValue::from_static("Origin"));
        }
        if let Self::Allowed(origin) = self {
            // Browsers refuse `*` for a request with credentials, so the origin is sent even if every origin is allowed.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        }
    }

    /// The response to a preflight. `None` if the request is not a preflight, or CORS is turned off.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let requested_method = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if matches!(self, Self::Disabled) || method != Method::OPTIONS || !headers.contains_key(ORIGIN) {
            return None;
        }
        let refusals = [
            ("origin", !matches!(self, Self::Allowed(_))),
            ("method", !METHODS.split(", ").any(|method| method == requested_method)),
        ];
        let refusals: Vec<&str> =
            refusals.into_iter().filter_map(|(what, is_refused)| is_refused.then_some(what)).collect();
        let mut response = if refusals.is_empty() {
            let mut response = response::with_status(StatusCode::OK, Bytes::new());
            let allowed = response.headers_mut();
            allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            allowed.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
            // Every header is allowed, as in an AgentOS. None but `Authorization` grants a permission.
            if let Some(requested) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
            }
            // A page of a public origin, such as Agno's control plane, can use a server in a private network
            // (<https://wicg.github.io/private-network-access/>).
            if headers.contains_key(REQUEST_PRIVATE_NETWORK) {
                allowed.insert(ALLOW_PRIVATE_NETWORK, TRUE);
            }
            response
        } else {
            response::bad_request(&format!("Disallowed CORS {}", refusals.join(", ")))
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::{AllowedOrigin, CorsConfig};

    #[test]
    fn only_a_list_with_a_wildcard_allows_every_origin() {
        let allows = |origins| CorsConfig(origins).allows_every_origin();
        assert!(!CorsConfig::default().allows_every_origin() && !allows(Vec::new()));
        assert!(allows(vec![AllowedOrigin::Any]));
    }

    #[test]
    fn origins_are_written_as_they_are_read() {
        let written = serde_json::json!({ "allowed_origins": ["https://a.example", "https://*.b.example"] });
        let config: CorsConfig = serde_json::from_value(written.clone()).expect("origins");
        assert_eq!(serde_json::to_value(config).expect("JSON"), written);
    }
}
