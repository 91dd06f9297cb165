//! The same statement on the same rows without the server: a loop on SQLite, and a pool on PostgreSQL.

use crate::rows::{self, Order};
use anyhow::{Result, ensure};
use deadpool_postgres::Pool;
use rusqlite::{Connection, OpenFlags};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

/// Deletes the records at these positions in transactions of `batch_size`, and returns the deletes per second. SQLite
/// checkpoints the WAL within a commit when it has `wal_pages` pages.
pub fn sqlite(file: &Path, order: Order, places: Range<u64>, batch_size: u64, wal_pages: u32) -> Result<f64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.pragma_update(None, "wal_autocheckpoint", wal_pages)?;
    let mut statement =
        connection.prepare("DELETE FROM agno_learnings WHERE learning_id = ?1 AND user_id = ?2 COLLATE BINARY")?;
    let count = places.end - places.start;
    let begun = Instant::now();
    let mut place = places.start;
    while place < places.end {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..batch_size.min(places.end - place) {
            let number = order.number(place);
            let deleted = statement.execute([rows::id(number), rows::name(rows::owner(number))])?;
            ensure!(deleted == 1, "{} does not exist", rows::id(number));
            place += 1;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// The server's statement for a conditional delete, which also returns the reason if it deleted nothing.
const DELETE: &str = r#"WITH gone AS (DELETE FROM ai.agno_learnings WHERE learning_id = $1 AND user_id COLLATE "C" = $2
      RETURNING learning_id)
    SELECT CASE WHEN EXISTS (SELECT 1 FROM gone) THEN 'deleted'
                ELSE (SELECT CASE WHEN user_id IS NULL THEN 'unowned' WHEN user_id COLLATE "C" = $2 THEN 'raced'
                             ELSE 'owned-by-another' END FROM ai.agno_learnings WHERE learning_id = $1) END"#;

/// Deletes the records at these positions with one statement each, from `tasks` tasks over a pool, and returns the
/// deletes per second.
pub fn postgres(runtime: &Runtime, pool: &Pool, order: Order, places: Range<u64>, tasks: usize) -> Result<f64> {
    let count = places.end - places.start;
    let next = Arc::new(AtomicU64::new(places.start));
    let begun = Instant::now();
    runtime.block_on(async {
        let mut work = JoinSet::new();
        for _ in 0..tasks {
            let (pool, next, end) = (pool.clone(), Arc::clone(&next), places.end);
            work.spawn(async move {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= end {
                        return anyhow::Ok(());
                    }
                    let number = order.number(place);
                    let client = pool.get().await?;
                    let statement = client.prepare_typed_cached(DELETE, &[Type::TEXT, Type::TEXT]).await?;
                    let (id, owner) = (rows::id(number), rows::name(rows::owner(number)));
                    let rows = client.query(&statement, &[&id, &owner]).await?;
                    ensure!(rows[0].get::<_, &str>(0) == "deleted", "{id} does not exist");
                }
            });
        }
        while let Some(task) = work.join_next().await {
            task??;
        }
        anyhow::Ok(())
    })?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
