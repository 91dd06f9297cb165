//! The HTTP server: accepts connections, routes requests, and answers them.

mod client_address;
mod config;
mod connection;
mod cors;
mod delete_request;
mod fragment;
mod health;
mod metrics_server;
mod misplaced_token;
mod monitor;
mod openapi;
mod readiness;
mod request_body;
mod request_context;
mod request_head;
mod request_id;
mod response;
mod route;
mod server;
mod service;

pub use client_address::TrustedProxies;
pub use config::HttpConfig;
pub use cors::{AllowedOrigin, CorsConfig};
pub use health::PolicyStatus;
pub use metrics_server::MetricsListener;
pub use server::Server;
pub use service::{Service, ServiceParts};
