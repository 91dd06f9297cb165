//! What the tests share: a host to ask, callers to ask as, databases to ask about.

pub mod accounts;
pub mod cluster;
pub mod database;
pub mod fake_storage;
pub mod load;
pub mod native_policy;
pub mod optional;
pub mod postgres;
pub mod proxy;
pub mod server;
pub mod token;
