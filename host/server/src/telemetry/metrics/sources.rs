//! The state of other parts, which is read when the metrics are scraped.

use super::credentials::CacheMetrics;
use super::requests::RequestMetrics;
use super::storage::{PoolMetrics, StorageMetrics};
use delete_learning::Credential;
use std::sync::Arc;
use std::time::SystemTime;

/// How much of something limited is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse {
    /// How much is in use.
    pub used: usize,
    /// The limit.
    pub max: usize,
}

/// The size of the WAL of an SQLite file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalSize {
    /// The bytes of the frames in it after the last commit of this server. They begin at zero again once all are checkpointed.
    pub used_bytes: u64,
    /// The bytes of its file, which does not shrink while a connection is open. Zero if there is no file.
    pub file_bytes: u64,
}

/// The connections of a pool.
pub struct PoolState<'a> {
    /// Connections that execute a statement, and open connections that do not.
    pub used: usize,
    /// See [`used`](Self::used).
    pub idle: usize,
    /// The maximum number of connections.
    pub max: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// What was counted.
    pub metrics: &'a PoolMetrics,
}

/// What a store of learnings reports.
pub trait StoreState: Send + Sync {
    /// What was counted.
    fn metrics(&self) -> &StorageMetrics;

    /// The requests that use the store.
    fn in_flight(&self) -> InUse;

    /// The WAL of an SQLite file.
    fn wal_size(&self) -> Option<WalSize> {
        None
    }

    /// The pool of PostgreSQL connections.
    fn pool(&self) -> Option<PoolState<'_>> {
        None
    }
}

/// A table of learnings in a database.
#[derive(Clone)]
pub struct DatabaseSource {
    /// The id of the database.
    pub db_id: String,
    /// The name of the table.
    pub table: String,
    /// Its store.
    pub store: Arc<dyn StoreState>,
}

/// What a policy that can be replaced reports.
#[derive(Clone, Debug)]
pub struct PolicyState {
    /// The SHA-256 of the policy in force, in hexadecimal.
    pub sha256: String,
    /// The number of its guards.
    pub guards: usize,
    /// Reloads that succeeded, and those that failed, since the start.
    pub reloads: u64,
    /// See [`reloads`](Self::reloads).
    pub failed_reloads: u64,
    /// Whether the last reload failed.
    pub last_reload_failed: bool,
    /// When the policy in force was loaded, at the start or by a reload.
    pub loaded: SystemTime,
    /// The instances in use. A policy and its guards are one.
    pub instances: InUse,
}

/// What an audit log reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditState {
    /// The entries of the log, since it was created.
    pub entries: u64,
    /// Entries that are not on disk for certain.
    pub unsynced: u64,
    /// Entries that are not covered by a checkpoint which is signed and published.
    pub unpublished: u64,
    /// Decisions since the start that were counted and not recorded.
    pub dropped: u64,
    /// Whether the last write or sync failed.
    pub is_failing: bool,
}

/// Whether the server is ready.
#[derive(Clone, Debug)]
pub struct ReadyState {
    /// Whether it is ready.
    pub is_ready: bool,
    /// Whether each table responds, in the order of [`Sources::databases`].
    pub databases: Vec<bool>,
}

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Everything that has metrics.
pub struct Sources {
    /// When the server started.
    pub start: SystemTime,
    /// The requests.
    pub requests: Arc<RequestMetrics>,
    /// The connections of HTTP clients.
    pub connections: Read<InUse>,
    /// The policy; `None` if something else than a component decides.
    pub policy: Option<Read<PolicyState>>,
    /// The tables of learnings.
    pub databases: Vec<DatabaseSource>,
    /// The caches of verified credentials.
    pub caches: Vec<(Credential, Arc<CacheMetrics>)>,
    /// The audit log, if there is one.
    pub audit: Option<Read<AuditState>>,
}
