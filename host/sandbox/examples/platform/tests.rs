//! The storage, tested with the test kit, and the endpoint, tested over HTTP.

use super::router;
use super::storage::SqliteLearnings;
use delete_learning::storage::{Database, Databases, RecordStorage};
use delete_learning::testkit::{self, AdapterError, StorageAdapter};
use delete_learning::{BoxFuture, DeleteRequest, Learning};
use rusqlite::{Connection, OptionalExtension, params};
use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The storage under test, and a second connection to the same file.
struct Adapter {
    databases: Databases,
    file: PathBuf,
    connection: Mutex<Connection>,
}

impl Adapter {
    fn with<'a, T: Send + 'a>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> BoxFuture<'a, Result<T, AdapterError>> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(work(&connection).map_err(AdapterError::from)))
    }
}

impl StorageAdapter for Adapter {
    fn record(&self, id: &str) -> Arc<dyn RecordStorage> {
        self.databases.record(&DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None })
    }

    fn insert<'a>(&'a self, id: &'a str, learning: &'a Learning) -> BoxFuture<'a, Result<(), AdapterError>> {
        const INSERT: &str = "INSERT OR REPLACE INTO learnings (learning_id, learning_type, namespace, user_id, agent_id, \
             team_id, workflow_id, session_id, entity_id, entity_type, content, metadata, created_at, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.with(|connection| {
            let row = params![
                id,
                learning.learning_type,
                learning.namespace,
                learning.user_id,
                learning.agent_id,
                learning.team_id,
                learning.workflow_id,
                learning.session_id,
                learning.entity_id,
                learning.entity_type,
                learning.content,
                learning.metadata,
                learning.created_at,
                learning.updated_at
            ];
            connection.execute(INSERT, row).map(|_| ())
        })
    }

    fn change_owner<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
        before_commit: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<bool, AdapterError>> {
        const UPDATE: &str = "UPDATE learnings SET user_id = ? WHERE learning_id = ? AND user_id = ?";
        Box::pin(async move {
            let connection = Connection::open(&self.file)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let changed = connection.execute(UPDATE, [to, id, from])?;
            before_commit.await;
            connection.execute_batch("COMMIT")?;
            Ok(changed == 1)
        })
    }

    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Learning>, AdapterError>> {
        const SELECT: &str = "SELECT user_id FROM learnings WHERE learning_id = ?";
        self.with(|connection| {
            let owner = connection.query_row(SELECT, [id], |row| row.get::<_, Option<String>>(0)).optional()?;
            Ok(owner.map(|owner| Learning::owned_by(owner.as_deref())))
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_gives_the_guarantees_of_the_contract() -> Result<(), Box<dyn Error + Send + Sync>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("learnings.db");
    let store = Arc::new(SqliteLearnings::open(&file)?);
    let database = Database { id: "main".to_owned(), table: super::storage::TABLE.to_owned(), store };
    let connection = Mutex::new(Connection::open(&file)?);
    let adapter = Adapter { databases: Databases(vec![database]), file, connection };
    let report = testkit::test_storage(&adapter, testkit::ROUNDS).await?;
    assert!(report.is_ok(), "{report}");
    Ok(())
}

#[tokio::test]
async fn endpoint_answers_as_the_policy_decides() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let learnings = SqliteLearnings::open(&directory.path().join("learnings.db"))?;
    for (id, owner) in [("alices", Some("alice")), ("bobs", Some("bob")), ("shared", None)] {
        learnings.insert(id, owner, "{}")?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = router(learnings)?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    for (token, target, expected) in [
        ("", "alices", "401"),
        ("Bearer unknown", "alices", "401"),
        ("Bearer reader-token", "alices", "403"),
        ("Bearer alice-token", "alices?db_id=main&db_id=main", "400"),
        ("", "%FF", "401"),
        ("Bearer alice-token", "%FF", "400"),
        ("Bearer alice-token", "alices?db_id=other", "404"),
        ("Bearer alice-token", "alices?table=other", "400"),
        ("Bearer alice-token", "bobs", "404"),
        ("Bearer alice-token", "shared", "403"),
        ("Bearer alice-token", "alices", "204"),
        ("Bearer alice-token", "alices", "404"),
    ] {
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: {token}\r\n") };
        let request = format!(
            "DELETE /learnings/{target} HTTP/1.1\r\nHost: platform\r\nConnection: close\r\n{authorization}\r\n"
        );
        let mut connection = tokio::net::TcpStream::connect(address).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        connection.read_to_string(&mut response).await?;
        assert!(response.starts_with(&format!("HTTP/1.1 {expected} ")), "{token} {target}: {response}");
        assert_eq!(response.contains("www-authenticate: Bearer"), expected == "401", "{response}");
    }
    Ok(())
}
