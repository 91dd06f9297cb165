//! The metrics of the databases.

use crate::telemetry::metrics::families::{Families, Labels};
use crate::telemetry::metrics::sources::{DatabaseSource, ReadyState};
use std::fmt;

/// Writes the metrics of these tables.
pub(super) fn write(families: &mut Families<'_>, databases: &[DatabaseSource], ready: &ReadyState) -> fmt::Result {
    write_storage(families, databases, ready)?;
    write_sqlite(families, databases)?;
    write_postgres(families, databases)
}

fn write_storage(families: &mut Families<'_>, databases: &[DatabaseSource], ready: &ReadyState) -> fmt::Result {
    families.gauge(
        "delete_learning_database_up",
        "Whether the table responded (1) when the metrics were read, or at most a second before",
        databases.iter().zip(&ready.databases).map(|(database, up)| (table(database), u64::from(*up))),
    )?;
    families.gauge(
        "delete_learning_database_requests",
        "Requests that use the table",
        databases.iter().map(|database| (table(database), database.store.in_flight().used as u64)),
    )?;
    families.gauge(
        "delete_learning_database_requests_max",
        "databases.max_in_flight",
        databases.iter().map(|database| (table(database), database.store.in_flight().max as u64)),
    )?;
    families.histogram(
        "delete_learning_storage_duration_seconds",
        "Time of an operation of the storage, with its wait for a connection and for other deletes",
        databases.iter().flat_map(|database| {
            let metrics = database.store.metrics();
            metrics.durations().map(|(operation, histogram)| (with(database, "operation", operation), histogram))
        }),
    )?;
    families.counter(
        "delete_learning_storage_errors_total",
        "Operations of the storage that failed, by the kind of error",
        databases.iter().flat_map(|database| {
            let errors = database.store.metrics().errors();
            errors.counts().map(|(kind, count)| (with(database, "kind", kind), count))
        }),
    )?;
    families.histogram(
        "delete_learning_storage_batch_deletes",
        "Deletes in one transaction (SQLite) or one statement (PostgreSQL)",
        databases.iter().map(|database| (table(database), database.store.metrics().batches())),
    )
}

fn write_sqlite(families: &mut Families<'_>, databases: &[DatabaseSource]) -> fmt::Result {
    let sizes: Vec<_> = databases.iter().filter_map(|found| Some((found, found.store.wal_size()?))).collect();
    if sizes.is_empty() {
        return Ok(());
    }
    families.gauge(
        "delete_learning_sqlite_wal_bytes",
        "Bytes of the frames in the WAL after the last commit of this server",
        sizes.iter().map(|(database, size)| (table(database), size.used_bytes)),
    )?;
    families.gauge(
        "delete_learning_sqlite_wal_file_bytes",
        "Bytes of the file of the WAL, which does not shrink while a connection is open",
        sizes.iter().map(|(database, size)| (table(database), size.file_bytes)),
    )
}

fn write_postgres(families: &mut Families<'_>, databases: &[DatabaseSource]) -> fmt::Result {
    let pools: Vec<_> = databases.iter().filter_map(|found| Some((found, found.store.pool()?))).collect();
    if pools.is_empty() {
        return Ok(());
    }
    families.gauge(
        "delete_learning_postgres_connections",
        "Connections of the pool",
        pools.iter().flat_map(|(database, pool)| {
            let states = [("used", pool.used), ("idle", pool.idle)];
            states.map(|(state, count)| (with(database, "state", state), count as u64))
        }),
    )?;
    families.gauge(
        "delete_learning_postgres_connections_max",
        "postgres.max_connections",
        pools.iter().map(|(database, pool)| (table(database), pool.max as u64)),
    )?;
    families.gauge(
        "delete_learning_postgres_waiting_requests",
        "Requests that wait for a connection of the pool",
        pools.iter().map(|(database, pool)| (table(database), pool.waiting as u64)),
    )?;
    families.histogram(
        "delete_learning_postgres_acquire_duration_seconds",
        "Time until a connection of the pool was free or opened, or could not be opened",
        pools.iter().map(|(database, pool)| (table(database), pool.metrics.acquires())),
    )?;
    families.counter(
        "delete_learning_postgres_acquire_timeouts_total",
        "Requests that got no connection within postgres.acquire_timeout_ms",
        pools.iter().map(|(database, pool)| (table(database), pool.metrics.timeouts())),
    )
}

fn table(database: &DatabaseSource) -> Labels<'_> {
    vec![("db_id", &database.db_id), ("table", &database.table)]
}

fn with<'a>(database: &'a DatabaseSource, name: &'static str, value: &'a str) -> Labels<'a> {
    let mut labels = table(database);
    labels.push((name, value));
    labels
}
