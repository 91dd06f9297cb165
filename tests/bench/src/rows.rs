//! Databases of learnings, made fast, and the order in which their records are deleted.

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension};
use std::fs;
use std::path::Path;

/// Agno's table, in a file that Agno made.
const AGNOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../agno/learnings.db");

/// The learnings' owners; each has a token.
pub const OWNERS: usize = 100;

/// Of the record with this number, its id.
pub fn id(number: u64) -> String {
    format!("user_memory_{number:08}")
}

/// Of the record with this number, its owner's number.
pub fn owner(number: u64) -> usize {
    number as usize % OWNERS
}

/// An owner's name.
pub fn name(owner: usize) -> String {
    format!("user-{owner:02}@example.com")
}

/// Every record of a table once, in some order.
#[derive(Clone, Copy)]
pub struct Order {
    rows: u64,
    step: u64,
}

impl Order {
    /// As they were stored: deletes that share a transaction lie beside each other in the table and in most indexes, and
    /// share the pages that are written.
    pub fn stored(rows: u64) -> Self {
        Self { rows, step: 1 }
    }

    /// Neighbours far from each other: each delete has a page of the table and of every index for itself.
    pub fn scattered(rows: u64) -> Self {
        // The golden section spreads best; the next number without a common divisor reaches every record.
        let golden = ((rows as f64 * 0.618_033_988_75) as u64).max(1);
        let step = (golden..).find(|step| divisor(*step, rows) == 1).unwrap_or(1);
        Self { rows, step }
    }

    /// The number of the record at this place.
    pub fn number(&self, place: u64) -> u64 {
        (u128::from(place) * u128::from(self.step) % u128::from(self.rows)) as u64
    }
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Makes a file with Agno's table and indexes and this many records, about 300 bytes each without the indexes.
pub fn make(file: &Path, rows: u64) -> Result<()> {
    let part = file.with_extension("part");
    let _ = fs::remove_file(&part);
    fs::copy(AGNOS, &part).context(AGNOS)?;
    let connection = Connection::open(&part)?;
    // Nothing is lost if this is cut off: the file gets its name at the end.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
    let indexes = indexes(&connection)?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    connection.execute_batch(&format!("DELETE FROM agno_learnings; {}", insert(&format!("0 AND {}", rows - 1))))?;
    for (_, sql) in &indexes {
        connection.execute_batch(sql)?;
    }
    // Statistics mislead nobody: neither service asks for anything but by the key.
    connection.close().map_err(|(_, error)| error)?;
    fs::File::open(&part)?.sync_all()?;
    fs::rename(&part, file)?;
    Ok(())
}

/// Puts back the records at these places.
pub fn put_back(file: &Path, order: Order, places: std::ops::Range<u64>) -> Result<()> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    let transaction = connection.transaction()?;
    for place in places {
        let number = order.number(place);
        let mut statement = transaction.prepare_cached(&insert("?1 AND ?1"))?;
        statement.execute([i64::try_from(number)?])?;
    }
    transaction.commit()?;
    // The log is emptied, so that every run begins alike.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// How many records there are.
pub fn count(file: &Path) -> Result<u64> {
    let connection = Connection::open(file)?;
    let count: i64 = connection.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0))?;
    Ok(u64::try_from(count)?)
}

/// How a file's commits are made durable for whoever opens it without a word about it.
pub fn journal(file: &Path) -> Result<String> {
    let connection = Connection::open(file)?;
    Ok(connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
}

/// A copy, with everything of it on the disk, so that nobody's measurement pays for it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()?;
    let ids: Option<String> = Connection::open(to)?
        .query_row("SELECT learning_id FROM agno_learnings LIMIT 1", [], |row| row.get(0))
        .optional()?;
    ensure!(ids.is_some(), "{} is empty", to.display());
    Ok(())
}

fn indexes(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'agno_learnings' AND sql > ''";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Records with the numbers of a range, as `BETWEEN` takes it. Every column that Agno indexes has something in it.
fn insert(range: &str) -> String {
    let (from, to) = range.split_once(" AND ").unwrap_or((range, range));
    format!(
        "INSERT INTO agno_learnings (learning_id, learning_type, namespace, user_id, agent_id, team_id, workflow_id, \
         session_id, entity_id, entity_type, content, metadata, created_at, updated_at) \
         WITH RECURSIVE numbers(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to}) \
         SELECT printf('user_memory_%08d', n), \
         CASE n % 3 WHEN 0 THEN 'user_memory' WHEN 1 THEN 'user_profile' ELSE 'session_context' END, 'user', \
         printf('user-%02d@example.com', n % {OWNERS}), printf('assistant-%d', n % 20), printf('team-%d', n % 50), \
         NULL, printf('session-%d', n / 10), NULL, NULL, \
         printf('{{\"about\": \"user_memory_%08d\", \"learned\": [\"prefers short answers\", \"writes in the morning\"]}}', n), \
         '{{\"source\": \"bench\"}}', 1700000000 + n, 1700000000 + n FROM numbers;"
    )
}

/// The same records for PostgreSQL, in the table that the host makes as Agno does.
pub fn postgres_insert(count: u64) -> String {
    format!(
        "INSERT INTO ai.agno_learnings (learning_id, learning_type, namespace, user_id, agent_id, team_id, session_id, \
         content, metadata, created_at, updated_at) \
         SELECT 'user_memory_' || lpad(n::text, 8, '0'), \
         CASE n % 3 WHEN 0 THEN 'user_memory' WHEN 1 THEN 'user_profile' ELSE 'session_context' END, 'user', \
         'user-' || lpad((n % {OWNERS})::text, 2, '0') || '@example.com', 'assistant-' || n % 20, 'team-' || n % 50, \
         'session-' || n / 10, \
         jsonb_build_object('about', n, 'learned', '[\"prefers short answers\", \"writes in the morning\"]'::jsonb), \
         '{{\"source\": \"bench\"}}', 1700000000 + n, 1700000000 + n FROM generate_series(0, {}) AS n",
        count - 1
    )
}
