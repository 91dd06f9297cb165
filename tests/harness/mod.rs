//! What the tests share: a host to ask, callers to ask as, databases to ask about.

pub mod accounts;
pub mod database;
pub mod host;
pub mod optional;
pub mod token;
