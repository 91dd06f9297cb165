//! A platform with its own database and its own authentication, which serves `DELETE /learnings/{learning_id}` with axum.
//!
//! `cargo run --example platform` inserts two records and listens. In another terminal:
//!
//! ```console
//! $ curl -i -X DELETE -H 'Authorization: Bearer alice-token' http://127.0.0.1:7777/learnings/user_memory_alice
//! ```
//!
//! `storage` is the platform's table of learnings, and `http` is the handler. Copy what fits your platform. The tests below
//! show how to test both.

mod http;
mod storage;

use delete_learning::storage::{Database, Databases};
use delete_learning::{DEFAULT_POLICY, Limits, Policy};
use std::error::Error;
use std::sync::Arc;
use storage::SqliteLearnings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("learnings-{}.db", std::process::id()));
    let learnings = SqliteLearnings::open(&file)?;
    for owner in ["alice", "bob"] {
        learnings.insert(&format!("user_memory_{owner}"), Some(owner), "{}")?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:7777").await?;
    println!("listening on http://{}, with the records user_memory_alice and user_memory_bob", listener.local_addr()?);
    axum::serve(listener, router(learnings)?).await?;
    Ok(())
}

/// The platform's routes on this table.
fn router(learnings: SqliteLearnings) -> Result<axum::Router, Box<dyn Error>> {
    let policy = Policy::load(DEFAULT_POLICY, &Limits::default().max_concurrent_instances(32))?;
    let database = Database { id: "main".to_owned(), table: storage::TABLE.to_owned(), store: Arc::new(learnings) };
    Ok(http::router(policy, Databases(vec![database])))
}

#[cfg(test)]
mod tests;
