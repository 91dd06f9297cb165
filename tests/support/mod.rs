//! Support code for the tests: a running server, tokens and service accounts, databases, and HTTP clients.

pub mod accounts;
pub mod certificates;
pub mod cluster;
pub mod component_builder;
pub mod database;
pub mod disk;
pub mod exposition;
pub mod fake_storage;
pub mod guards;
pub mod https;
pub mod kill;
pub mod load;
pub mod native_policy;
pub mod optional;
pub mod postgres;
pub mod proxy;
pub mod sandbox;
pub mod secrets;
pub mod server;
pub mod tls_proxy;
pub mod token;
