//! Service accounts in a SQLite database, in Agno's table.

use super::database::AgnoDatabase;
use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Connection;

/// A service account. The columns without a field here have no effect on authentication.
pub struct Account<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub token: &'a str,
    /// The scopes as JSON.
    pub scopes: &'a str,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl<'a> Account<'a> {
    /// Creates an account that uses its name as its id and never expires.
    pub fn new(name: &'a str, token: &'a str, scopes: &'a str) -> Self {
        Self { id: name, name, token, scopes, expires_at: None, revoked_at: None }
    }

    /// Returns the SHA-256 of the token in hexadecimal digits, as the table stores it.
    pub fn token_hash(&self) -> String {
        digest(&SHA256, self.token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn store(&self, connection: &Connection) {
        let sql = "INSERT INTO agno_service_accounts
                   (id, name, token_hash, token_prefix, scopes, created_at, expires_at, revoked_at)
                   VALUES (?1, ?2, ?3, 'agno_pat_', ?4, 1, ?5, ?6)";
        let row = (self.id, self.name, self.token_hash(), self.scopes, self.expires_at, self.revoked_at);
        connection.prepare_cached(sql).and_then(|mut sql| sql.execute(row)).expect("an account can be stored");
    }
}

/// Creates the table as Agno does when it stores its first account.
pub fn create_table(database: &AgnoDatabase) {
    database.execute(
        "CREATE TABLE agno_service_accounts (id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, user_id VARCHAR,
         token_hash VARCHAR NOT NULL UNIQUE, token_prefix VARCHAR NOT NULL, scopes JSON NOT NULL,
         created_at BIGINT NOT NULL, expires_at BIGINT, last_used_at BIGINT, revoked_at BIGINT, created_by VARCHAR)",
    );
}
