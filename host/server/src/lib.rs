//! Serves `DELETE /learnings/{learning_id}` of the Agno API on the databases of an AgentOS. A sandboxed policy decides.
//!
//! The binary `delete-learning` is this library with a command line. To run the server inside another program:
//!
//! ```no_run
//! use delete_learning_server::{Config, Environment, app};
//! use std::path::Path;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::read(Path::new("delete-learning.toml"), &Environment::of_process())?;
//! let server = app::bind(config).await?;
//! println!("listening on http://{}", server.address());
//! server.run(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! The modules depend on each other in one direction: [`app`] builds the server from [`config`]; [`http`] handles
//! requests with [`auth`], [`storage`], [`audit`] and the sandbox, which is the crate `delete_learning`. [`app`] lists
//! the files that a request passes through.

pub mod app;
pub mod audit;
pub mod auth;
pub mod config;
mod hex;
pub mod http;
mod http_client;
pub mod storage;
pub mod telemetry;

pub use config::{Config, Environment};
