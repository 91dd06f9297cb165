//! Finds a token that a client sent where the server does not read it. For the log, which then names the mistake; the
//! response is that for a missing credential.

use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderName, PROXY_AUTHORIZATION};

/// Names of query parameters and cookies in which clients send tokens.
const NAMES: [&str; 8] = ["access_token", "token", "jwt", "auth_token", "id_token", "api_key", "key", "session"];

/// Headers in which clients send tokens.
const HEADERS: [HeaderName; 5] = [
    PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-access-token"),
    HeaderName::from_static("x-authorization"),
];

/// Returns where a request has what is probably a token: a description without any part of it.
pub(super) fn find(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    if let Some(header) = HEADERS.iter().find(|header| headers.contains_key(*header)) {
        return Some(format!("the header {header}"));
    }
    let parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    if let Some(name) = parameters.filter_map(|(name, _)| known(&name)).next() {
        return Some(format!("the query parameter {name}"));
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut names = cookies.flat_map(|value| value.split(';')).filter_map(|cookie| cookie.split('=').next());
    names.find_map(|name| known(name.trim())).map(|name| format!("the cookie {name}"))
}

fn known(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}
