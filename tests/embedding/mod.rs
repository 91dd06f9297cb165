//! The library as a Rust platform embeds it, and the component file.

mod cache;
mod component;
mod composition;
mod conformance;
mod custom_storage;
mod sqlite;
