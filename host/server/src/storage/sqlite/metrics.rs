//! What a store in an SQLite file reports for the metrics.

use super::SqliteStore;
use crate::telemetry::metrics::{InUse, StorageMetrics, StoreState, WalSize};
use std::path::{Path, PathBuf};

/// The path of the WAL of a database file, which is beside the file that a symbolic link leads to.
pub(super) fn wal_path(file: &Path) -> PathBuf {
    let mut path = file.canonicalize().unwrap_or_else(|_| file.to_owned()).into_os_string();
    path.push("-wal");
    path.into()
}

impl StoreState for SqliteStore {
    fn metrics(&self) -> &StorageMetrics {
        &self.metrics
    }

    fn in_flight(&self) -> InUse {
        let free = self.permits.available_permits();
        InUse { used: self.max_in_flight.saturating_sub(free), max: self.max_in_flight }
    }

    fn wal_size(&self) -> Option<WalSize> {
        let file_bytes = std::fs::metadata(&self.wal_path).map_or(0, |file| file.len());
        Some(WalSize { used_bytes: self.wal.bytes(), file_bytes })
    }
}
