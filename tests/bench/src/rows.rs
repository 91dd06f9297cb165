//! Databases of learnings, and the order in which their records are deleted.

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension};
use std::fs;
use std::path::Path;

/// A file with Agno's table, created by Agno.
const AGNO_DATABASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../agno/learnings.db");

/// The number of owners. Each has a token.
pub const OWNERS: usize = 100;

/// Returns the id of the record with this number.
pub fn id(number: u64) -> String {
    format!("user_memory_{number:08}")
}

/// Returns the number of the owner of the record with this number.
pub fn owner(number: u64) -> usize {
    number as usize % OWNERS
}

/// Returns the name of an owner.
pub fn name(owner: usize) -> String {
    format!("user-{owner:02}@example.com")
}

/// An order of all records of a table.
#[derive(Clone, Copy)]
pub struct Order {
    rows: u64,
    step: u64,
}

impl Order {
    /// Storage order: deletes in the same transaction are adjacent in the table and in most indexes, so they share
    /// pages.
    pub fn stored(rows: u64) -> Self {
        Self { rows, step: 1 }
    }

    /// Consecutive deletes are far apart, so each writes its own page of the table and of every index.
    pub fn scattered(rows: u64) -> Self {
        // Multiples of the golden ratio spread best. A step that is coprime to `rows` reaches every record.
        let golden = ((rows as f64 * 0.618_033_988_75) as u64).max(1);
        let step = (golden..).find(|step| gcd(*step, rows) == 1).unwrap_or(1);
        Self { rows, step }
    }

    /// Returns the number of the record at this position.
    pub fn number(&self, place: u64) -> u64 {
        (u128::from(place) * u128::from(self.step) % u128::from(self.rows)) as u64
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Creates a file with Agno's table, its indexes and this many records, each about 300 bytes without the indexes.
pub fn make(file: &Path, rows: u64) -> Result<()> {
    let part = file.with_extension("part");
    let _ = fs::remove_file(&part);
    fs::copy(AGNO_DATABASE, &part).context(AGNO_DATABASE)?;
    let connection = Connection::open(&part)?;
    // The file gets its name at the end, so an interruption leaves no incomplete file under that name.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
    let indexes = indexes(&connection)?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    connection.execute_batch(&format!("DELETE FROM agno_learnings; {}", insert(&format!("0 AND {}", rows - 1))))?;
    for (_, sql) in &indexes {
        connection.execute_batch(sql)?;
    }
    // Without ANALYZE: both services select by the primary key only.
    connection.close().map_err(|(_, error)| error)?;
    fs::File::open(&part)?.sync_all()?;
    fs::rename(&part, file)?;
    Ok(())
}

/// Inserts the deleted records at these positions again.
pub fn restore(file: &Path, order: Order, places: std::ops::Range<u64>) -> Result<()> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    let transaction = connection.transaction()?;
    for place in places {
        let number = order.number(place);
        let mut statement = transaction.prepare_cached(&insert("?1 AND ?1"))?;
        statement.execute([i64::try_from(number)?])?;
    }
    transaction.commit()?;
    // An empty WAL, so that every run starts in the same state.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Returns the number of records.
pub fn count(file: &Path) -> Result<u64> {
    let connection = Connection::open(file)?;
    let count: i64 = connection.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0))?;
    Ok(u64::try_from(count)?)
}

/// Returns the journal mode that is stored in the file.
pub fn journal_mode(file: &Path) -> Result<String> {
    let connection = Connection::open(file)?;
    Ok(connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
}

/// Copies a file and syncs the copy, so that no measurement includes writing it.
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

/// SQL that inserts the records with the numbers of a range, in the form of `BETWEEN`. Most indexed columns have
/// a value.
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

/// SQL that inserts the same records in PostgreSQL, in the table that the server creates as Agno does.
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
