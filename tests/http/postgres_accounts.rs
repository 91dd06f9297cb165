//! Service accounts in PostgreSQL, in Agno's table.

use crate::support::accounts::Account;
use crate::support::cluster::Cluster;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::{Setup, TestServer};
use crate::support::token::now;
use std::thread;
use std::time::{Duration, Instant};

const INVALID: &str = "Invalid or expired service account token";

/// Agno's table, without its indexes.
const TABLE: &str = "CREATE TABLE ai.agno_service_accounts (id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL,
    user_id VARCHAR, token_hash VARCHAR NOT NULL UNIQUE, token_prefix VARCHAR NOT NULL, scopes JSONB NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, last_used_at BIGINT, revoked_at BIGINT, created_by VARCHAR)";

/// Starts a server on a new database with both tables.
fn start(cluster: &Cluster, more: &str) -> (TestServer, Client) {
    let database = cluster.create_database();
    let client = cluster.connect(&database);
    client.run(&agno_tables());
    client.run(TABLE);
    let further_databases = format!("[[databases]]\nid = \"main\"\nurl = \"{}\"\n", cluster.url(&database));
    let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n{more}\n", Setup::jwt().auth);
    (Setup { auth, databases: vec![], further_databases, ..Setup::jwt() }.start(), client)
}

/// Stores an account and returns its token.
fn account(client: &Client, name: &str, scopes: &str, expires_at: Option<i64>) -> String {
    let token = format!("agno_pat_{name}0123456789");
    let hash = Account::new(name, &token, scopes).token_hash();
    let sql = format!(
        "INSERT INTO ai.agno_service_accounts (id, name, token_hash, token_prefix, scopes, created_at, expires_at)
         VALUES ($1, $1, $2, 'agno_pat_', '{scopes}', 1, $3)"
    );
    assert_eq!(client.execute(&sql, &[&name, &hash, &expires_at]), 1);
    token
}

fn insert(client: &Client, id: &str, owner: Option<&str>) {
    let sql = "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
               VALUES ($1, 'user_memory', $2, '{}', 1790000000)";
    client.execute(sql, &[&id, &owner]);
}

#[test]
fn account_in_postgres_deletes_only_its_own_records() {
    let Some(cluster) = Cluster::shared("service accounts in PostgreSQL") else { return };
    let (server, client) = start(cluster, "");
    for (id, owner) in [("its", Some("sa:bot")), ("alices", Some("alice")), ("shared", None)] {
        insert(&client, id, owner);
    }
    let bot = account(&client, "bot", "[\"learnings:delete\"]", None);
    server.delete("/learnings/its", Some(&bot)).assert_deleted();
    server.delete("/learnings/alices", Some(&bot)).assert_error(404, "Learning not found", "NOT_FOUND");
    assert_eq!(server.delete("/learnings/shared", Some(&bot)).status, 403);
    // The use is recorded after the response.
    let last_used = "SELECT coalesce(last_used_at, 0) FROM ai.agno_service_accounts WHERE name = 'bot'";
    let is_recorded = format!("SELECT ({last_used}) BETWEEN {0} - 60 AND {0} + 60", now());
    client.wait_for(&is_recorded);

    let admin = account(&client, "admin", "[\"agent_os:admin\"]", Some(now().cast_signed() + 1000));
    server.delete("/learnings/alices", Some(&admin)).assert_deleted();
    for (index, scopes) in ["[]", "null", "{\"agent_os:admin\": 1}", "7", "[7, \"agent_os:admin\"]"].iter().enumerate()
    {
        let token = account(&client, &format!("without_scope{index}"), scopes, None);
        assert_eq!(server.delete("/learnings/shared", Some(&token)).status, 403, "{scopes}");
    }
}

#[test]
fn invalid_token_in_postgres_is_401_then_429() {
    let Some(cluster) = Cluster::shared("invalid service accounts in PostgreSQL") else { return };
    let (server, client) = start(cluster, "cache_seconds = 0");
    let expired = account(&client, "expired", "[\"learnings:delete\"]", Some(now().cast_signed() - 1));
    let revoked = account(&client, "revoked", "[\"learnings:delete\"]", None);
    assert_eq!(server.delete("/learnings/x", Some(&revoked)).status, 404);
    client.run("UPDATE ai.agno_service_accounts SET revoked_at = 1 WHERE name = 'revoked'");
    for token in [&expired, &revoked, "agno_pat_unknown"] {
        server.delete("/learnings/x", Some(token)).assert_error(401, INVALID, "UNAUTHENTICATED");
    }
    let statuses: Vec<u16> = (0..20).map(|_| server.delete("/learnings/x", Some("agno_pat_unknown")).status).collect();
    assert_eq!(statuses, [[401; 17].as_slice(), &[429; 3]].concat());
    let valid = account(&client, "valid", "[\"learnings:delete\"]", None);
    assert_eq!(server.delete("/learnings/x", Some(&valid)).status, 404, "a valid token is accepted");
}

#[test]
fn locked_account_table_is_503_but_cached_tokens_verify() {
    let Some(cluster) = Cluster::shared("a locked account table in PostgreSQL") else { return };
    let (server, client) = start(cluster, "");
    let bot = account(&client, "bot", "[\"learnings:delete\"]", None);
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404);
    client.wait_for("SELECT last_used_at IS NOT NULL FROM ai.agno_service_accounts");
    client.run("BEGIN; LOCK TABLE ai.agno_service_accounts IN ACCESS EXCLUSIVE MODE");
    let start = Instant::now();
    let response = server.delete("/learnings/x", Some("agno_pat_unknown"));
    response.assert_error(503, "Authentication is temporarily unavailable", "SERVICE_UNAVAILABLE");
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(server.delete("/learnings/x", Some(&bot)).status, 404, "the token is cached");
    client.run("ROLLBACK");
    server.delete("/learnings/x", Some("agno_pat_unknown")).assert_error(401, INVALID, "UNAUTHENTICATED");
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}

#[test]
fn locked_account_rows_do_not_delay_verification() {
    let Some(cluster) = Cluster::shared("locked account rows in PostgreSQL") else { return };
    let (server, client) = start(cluster, "");
    let tokens: Vec<String> =
        (0..6).map(|index| account(&client, &format!("bot{index}"), "[\"learnings:delete\"]", None)).collect();
    // While the rows are locked, no use can be recorded.
    client.run("BEGIN; SELECT FROM ai.agno_service_accounts FOR UPDATE");
    for token in &tokens {
        let start = Instant::now();
        assert_eq!(server.delete("/learnings/x", Some(token)).status, 404, "{}", server.log());
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    client.run("ROLLBACK");
}
