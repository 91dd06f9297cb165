//! The HTTP server: accepts connections, routes requests, and answers them.

mod config;
mod delete_request;
mod health;
mod openapi;
mod request_id;
mod response;
mod route;
mod server;
mod service;

pub use config::HttpConfig;
pub use server::Server;
pub use service::Service;
