//! The endpoint, through HTTP, on the real component and a database that Agno made.

mod corrections;
mod credentials;
mod openapi;
mod order;
mod postgres_accounts;
mod protocol;
mod service_accounts;
mod storage;
