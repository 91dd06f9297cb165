//! Service accounts in PostgreSQL, in Agno's own table.

use crate::support::accounts::Account;
use crate::support::cluster::Cluster;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::{Host, Setup};
use crate::support::token::now;
use std::thread;
use std::time::{Duration, Instant};

const INVALID: &str = "Invalid or expired service account token";

/// As Agno makes it, but for the indexes.
const TABLE: &str = "CREATE TABLE ai.agno_service_accounts (id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL,
    user_id VARCHAR, token_hash VARCHAR NOT NULL UNIQUE, token_prefix VARCHAR NOT NULL, scopes JSONB NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, last_used_at BIGINT, revoked_at BIGINT, created_by VARCHAR)";

/// A host on a database of its own, with both tables.
fn start(cluster: &Cluster, more: &str) -> (Host, Client) {
    let database = cluster.make_database();
    let client = cluster.connect(&database);
    client.run(&agno_tables());
    client.run(TABLE);
    let further_databases = format!("[[databases]]\nid = \"main\"\nurl = \"{}\"\n", cluster.url(&database));
    let auth = format!("{}[auth.service_accounts]\ndatabase = \"main\"\n{more}\n", Setup::jwt().auth);
    (Setup { auth, databases: vec![], further_databases, ..Setup::jwt() }.start(), client)
}

/// Stores an account of this name, and returns its token.
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
fn an_account_in_postgresql_is_found_by_its_token_and_confined() {
    let Some(cluster) = Cluster::shared("service accounts in PostgreSQL") else { return };
    let (host, client) = start(cluster, "");
    for (id, owner) in [("its", Some("sa:bot")), ("alices", Some("alice")), ("shared", None)] {
        insert(&client, id, owner);
    }
    let bot = account(&client, "bot", "[\"learnings:delete\"]", None);
    host.delete("/learnings/its", Some(&bot)).is_deleted();
    host.delete("/learnings/alices", Some(&bot)).is_error(404, "Learning not found", "NOT_FOUND");
    assert_eq!(host.delete("/learnings/shared", Some(&bot)).status, 403);
    // Nobody waits for it.
    let last_used = "SELECT coalesce(last_used_at, 0) FROM ai.agno_service_accounts WHERE name = 'bot'";
    let noted = format!("SELECT ({last_used}) BETWEEN {0} - 60 AND {0} + 60", now());
    client.wait_for(&noted);

    let admin = account(&client, "admin", "[\"agent_os:admin\"]", Some(now().cast_signed() + 1000));
    host.delete("/learnings/alices", Some(&admin)).is_deleted();
    for (index, scopes) in ["[]", "null", "{\"agent_os:admin\": 1}", "7", "[7, \"agent_os:admin\"]"].iter().enumerate()
    {
        let token = account(&client, &format!("powerless{index}"), scopes, None);
        assert_eq!(host.delete("/learnings/shared", Some(&token)).status, 403, "{scopes}");
    }
}

#[test]
fn a_token_of_postgresql_that_is_unknown_revoked_or_expired_is_401_and_too_many_are_429() {
    let Some(cluster) = Cluster::shared("service accounts in PostgreSQL that have ended") else { return };
    let (host, client) = start(cluster, "cache_seconds = 0");
    let expired = account(&client, "expired", "[\"learnings:delete\"]", Some(now().cast_signed() - 1));
    let revoked = account(&client, "revoked", "[\"learnings:delete\"]", None);
    assert_eq!(host.delete("/learnings/x", Some(&revoked)).status, 404);
    client.run("UPDATE ai.agno_service_accounts SET revoked_at = 1 WHERE name = 'revoked'");
    for token in [&expired, &revoked, "agno_pat_unknown"] {
        host.delete("/learnings/x", Some(token)).is_error(401, INVALID, "UNAUTHENTICATED");
    }
    let statuses: Vec<u16> = (0..20).map(|_| host.delete("/learnings/x", Some("agno_pat_unknown")).status).collect();
    assert_eq!(statuses, [[401; 17].as_slice(), &[429; 3]].concat());
    let good = account(&client, "good", "[\"learnings:delete\"]", None);
    assert_eq!(host.delete("/learnings/x", Some(&good)).status, 404, "and a valid one is taken");
}

#[test]
fn an_account_store_in_postgresql_that_does_not_answer_is_503_in_time_and_remembered_tokens_go_on() {
    let Some(cluster) = Cluster::shared("an account store in PostgreSQL that does not answer") else { return };
    let (host, client) = start(cluster, "");
    let bot = account(&client, "bot", "[\"learnings:delete\"]", None);
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404);
    client.wait_for("SELECT last_used_at IS NOT NULL FROM ai.agno_service_accounts");
    client.run("BEGIN; LOCK TABLE ai.agno_service_accounts IN ACCESS EXCLUSIVE MODE");
    let begun = Instant::now();
    let answer = host.delete("/learnings/x", Some("agno_pat_unknown"));
    answer.is_error(503, "Authentication is temporarily unavailable", "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(host.delete("/learnings/x", Some(&bot)).status, 404, "it was remembered");
    client.run("ROLLBACK");
    host.delete("/learnings/x", Some("agno_pat_unknown")).is_error(401, INVALID, "UNAUTHENTICATED");
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
}

#[test]
fn rows_of_accounts_that_are_locked_keep_no_token_from_being_verified() {
    let Some(cluster) = Cluster::shared("rows of accounts in PostgreSQL that are locked") else { return };
    let (host, client) = start(cluster, "");
    let tokens: Vec<String> =
        (0..6).map(|index| account(&client, &format!("bot{index}"), "[\"learnings:delete\"]", None)).collect();
    // The use of none of them can be noted meanwhile.
    client.run("BEGIN; SELECT FROM ai.agno_service_accounts FOR UPDATE");
    for token in &tokens {
        let begun = Instant::now();
        assert_eq!(host.delete("/learnings/x", Some(token)).status, 404, "{}", host.log());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    client.run("ROLLBACK");
}
