//! `GET /openapi.json`: the description of the endpoint.

use super::response::{self, Body};
use bytes::Bytes;
use hyper::Response;

/// OpenAPI 3.1: the operation that the Agno API documents, with what this server adds to it.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// Everybody can read the document; it contains nothing about this deployment.
pub(super) fn respond() -> Response<Body> {
    response::document(Bytes::from_static(DOCUMENT.as_bytes()))
}
