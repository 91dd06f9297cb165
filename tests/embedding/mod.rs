//! The library, as a platform in Rust embeds it, and the component file itself.

mod cache;
mod component;
mod conformance;
mod custom_storage;
mod sqlite;
