//! Ids of requests.

use hyper::HeaderMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The header with the id of a request, of an answer and, from a proxy, of a request.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Maximum length of an id of this server: two 64-bit numbers, one in hexadecimal and one in decimal, and `-`.
const MAX_BYTES: usize = 16 + 1 + 20;

/// Maximum length of an id of a proxy.
const MAX_PROXY_ID_BYTES: usize = 128;

/// The id of a request.
pub(super) struct RequestId {
    /// The id of this server.
    own: String,
    /// The id that a trusted proxy gave the request.
    of_proxy: Option<String>,
}

impl RequestId {
    /// The id in the answer and in the log: the proxy's if there is one. Requests of a proxy can have the same id.
    pub(super) fn as_str(&self) -> &str {
        self.of_proxy.as_ref().unwrap_or(&self.own)
    }

    /// The id in the audit log, which no other request has: that of the proxy, `/` and that of this server.
    pub(super) fn unique(&self) -> String {
        self.of_proxy.as_ref().map_or_else(|| self.own.clone(), |id| format!("{id}/{}", self.own))
    }
}

/// Generates ids: unique in this process, and distinct from those of other processes by a random prefix.
pub(super) struct RequestIds {
    prefix: u64,
    last: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // Random, but not secret: setting up a cryptographic generator takes longer than the rest of the start.
        Self { prefix: RandomState::new().hash_one(0), last: AtomicU64::new(0) }
    }

    /// The id of a new request. `headers` are those of a trusted proxy.
    pub(super) fn next(&self, headers: Option<&HeaderMap>) -> RequestId {
        let mut own = String::with_capacity(MAX_BYTES);
        // Writing to a string cannot fail.
        let _ = write!(own, "{:016x}-{}", self.prefix, self.last.fetch_add(1, Ordering::Relaxed) + 1);
        RequestId { own, of_proxy: headers.and_then(id_of_proxy).map(str::to_owned) }
    }
}

/// The id in the headers, if there is one that everything which shows it can show.
fn id_of_proxy(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (Some(id), None) = (values.next(), values.next()) else { return None };
    let id = id.to_str().ok()?;
    // Without `/`, which separates the two parts of a unique id.
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:=+@".contains(&byte);
    (!id.is_empty() && id.len() <= MAX_PROXY_ID_BYTES && id.bytes().all(is_valid)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, REQUEST_ID, id_of_proxy};
    use hyper::header::HeaderValue;

    #[test]
    fn id_of_a_proxy_is_one_short_word() {
        let id = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_str(value).unwrap());
            }
            id_of_proxy(&headers).map(str::to_owned)
        };
        let longest = "x".repeat(128);
        for valid in ["7", "0f8fad5b-d9cb-469f-a165-70867728950e", "Root=1-67891233-abc", "a.b_c~d:e+f@g", &longest] {
            assert_eq!(id(&[valid]).as_deref(), Some(valid));
        }
        for invalid in ["", "a b", "a/b", "a,b", "\"a\"", "a;b", "a\\b", "é", &format!("{longest}x")] {
            assert_eq!(id(&[invalid]), None, "{invalid}");
        }
        assert_eq!(id(&["a", "a"]), None, "repeated");
        assert_eq!(id(&[]), None);
    }
}
