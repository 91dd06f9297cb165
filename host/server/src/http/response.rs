//! Responses: 204 without a body, and JSON for everything else.

use super::request_id::REQUEST_ID;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A body that is complete at once.
pub(super) type Body = Full<Bytes>;

/// The error body of the specification. It has exactly these two members.
#[derive(Serialize)]
struct Error<'a> {
    detail: &'a str,
    error_code: &'a str,
}

/// Seconds until a client should retry a request that was answered 503.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// The same for a rate-limited client, whose failures are then counted from zero.
const RETRY_AFTER_RATE_LIMIT_SECONDS: HeaderValue = HeaderValue::from_static("60");

/// 204.
pub(super) fn no_content() -> Response<Body> {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

/// An error.
pub(super) fn error(status: StatusCode, detail: &str, error_code: &str) -> Response<Body> {
    let mut response = json(status, &Error { detail, error_code });
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS => Some(RETRY_AFTER_RATE_LIMIT_SECONDS),
        StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_SECONDS),
        _ => None,
    };
    response.headers_mut().extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
    response
}

/// JSON with a status.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // Serialization cannot fail: these types have no map with keys other than strings.
    let body = serde_json::to_vec(body).unwrap_or_default();
    with_json(status, body.into())
}

/// 200 with a JSON document.
pub(super) fn document(body: Bytes) -> Response<Body> {
    with_json(StatusCode::OK, body)
}

/// 200 with a text of this type.
pub(super) fn text(text: String, content_type: &'static str) -> Response<Body> {
    let mut response = with_status(StatusCode::OK, text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 400.
pub(super) fn bad_request(detail: &str) -> Response<Body> {
    error(StatusCode::BAD_REQUEST, detail, "BAD_REQUEST")
}

/// 404 for an unknown path.
pub(super) fn not_found() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "Not Found", "NOT_FOUND")
}

/// 405 with the methods of the path (RFC 9110, section 15.5.6).
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "METHOD_NOT_ALLOWED");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Sets the challenge of a 401 (RFC 6750, section 3). It has an error code only if the request had a token.
pub(super) fn set_challenge(response: &mut Response<Body>, has_token: bool) {
    let challenge = if has_token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

/// Announces that the connection is closed after the response.
pub(super) fn set_connection_close(response: &mut Response<Body>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Sets the id of the request.
pub(super) fn set_request_id(response: &mut Response<Body>, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value);
    }
}

fn with_json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = with_status(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A status with this body, which has no type.
pub(super) fn with_status(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    // No response can be served from a cache.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
