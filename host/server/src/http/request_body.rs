//! The body of a request, which has no meaning and is discarded.

use super::connection::RequestState;
use http_body_util::{BodyExt, Limited};
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use std::time::Duration;

/// A body of at most this size is read, so that its connection can be used again.
const MAX_READ_BYTES: usize = 64 * 1024;
/// The time in which the rest of such a body must arrive after the decision. Usually it is there already.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// The unread body of a request.
pub(super) struct RequestBody {
    body: Incoming,
    /// Whether the client waits for `100 Continue` before it sends the body. It gets the final response instead.
    is_announced: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        Self { body, is_announced: headers.contains_key(EXPECT) }
    }

    /// Discards the body, after the request has been decided.
    ///
    /// Returns whether the connection can be used again. If it cannot, it must be closed; [`super::connection`] then
    /// discards the rest of the body, while the client can read its response.
    pub(super) async fn discard(self, request_state: &RequestState) -> bool {
        let is_complete = self.body.is_end_stream() || self.read().await;
        if is_complete {
            request_state.set_complete();
        }
        is_complete
    }

    /// Returns whether the whole body was read.
    async fn read(self) -> bool {
        if self.is_announced || self.body.size_hint().lower() > MAX_READ_BYTES as u64 {
            return false;
        }
        let mut body = Limited::new(self.body, MAX_READ_BYTES);
        let read = async {
            loop {
                match body.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
        };
        tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(false)
    }
}
