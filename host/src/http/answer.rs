//! Answers: 204 without a body, and every other with one JSON form.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A body that is there at once.
pub(super) type Body = Full<Bytes>;

/// The error body of the specification: exactly these two members.
#[derive(Serialize)]
struct Error<'a> {
    detail: &'a str,
    error_code: &'a str,
}

/// The header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Seconds after which a client may try again where nothing better is known.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// The same for a client that has had too many failures: by then they are counted anew.
const RETRY_AFTER_FAILURES_SECONDS: HeaderValue = HeaderValue::from_static("60");

pub(super) fn deleted() -> Response<Body> {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

pub(super) fn error(status: StatusCode, detail: &str, error_code: &str) -> Response<Body> {
    let mut response = json(status, &Error { detail, error_code });
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS => Some(RETRY_AFTER_FAILURES_SECONDS),
        StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_SECONDS),
        _ => None,
    };
    response.headers_mut().extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
    response
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // These types have no map with keys that are not text, so writing them cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    with_json(status, body.into())
}

/// 200 with a body that is JSON already.
pub(super) fn document(body: Bytes) -> Response<Body> {
    with_json(StatusCode::OK, body)
}

/// 404 for a path that names nothing.
pub(super) fn no_such_path() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "Not Found", "NOT_FOUND")
}

/// 405, with the methods that the path has (RFC 9110, section 15.5.6).
pub(super) fn no_such_method(allowed: &'static str) -> Response<Body> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "METHOD_NOT_ALLOWED");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Adds the challenge of a 401 (RFC 6750, section 3): an error code only where a token was presented.
pub(super) fn challenge(response: &mut Response<Body>, token_presented: bool) {
    let challenge = if token_presented { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

/// Adds the request's id.
pub(super) fn identify(response: &mut Response<Body>, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}

fn with_json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = with_status(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_status(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    // Nothing here may be answered from a cache.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
