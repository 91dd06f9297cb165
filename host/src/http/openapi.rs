//! `GET /openapi.json`: the endpoint's description, for tools that read one.

use super::answer::{self, Body};
use bytes::Bytes;
use hyper::Response;

/// OpenAPI 3.1: the operation that the Agno API documents, with what this host adds to it.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// The document, to whoever asks: it says nothing about this deployment.
pub(super) fn answer() -> Response<Body> {
    answer::document(Bytes::from_static(DOCUMENT.as_bytes()))
}
