//! The library as a Rust platform embeds it, and the component file.

mod cache;
mod component;
mod conformance;
mod custom_storage;
mod sqlite;
