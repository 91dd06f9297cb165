//! The endpoint over HTTP, with the default policy and a database that Agno created.

mod agno_deviations;
mod bodies;
mod browser;
mod cors;
mod credentials;
mod identity_providers;
mod jwks;
mod jwks_url;
mod openapi;
mod postgres_accounts;
mod protocol;
mod proxies;
mod refused_credentials;
mod reload;
mod request_head;
mod rule_precedence;
mod service_accounts;
mod signers;
mod storage;
