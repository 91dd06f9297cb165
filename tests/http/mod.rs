//! The endpoint, through HTTP, on the real component and a database that Agno made.

mod agno_deviations;
mod credentials;
mod openapi;
mod postgres_accounts;
mod protocol;
mod rule_precedence;
mod service_accounts;
mod storage;
