//! What a store in PostgreSQL reports for the metrics.

use super::PostgresStore;
use crate::telemetry::metrics::{InUse, PoolState, StorageMetrics, StoreState};

impl StoreState for PostgresStore {
    fn metrics(&self) -> &StorageMetrics {
        self.table.metrics()
    }

    fn in_flight(&self) -> InUse {
        let free = self.permits.available_permits();
        InUse { used: self.max_in_flight.saturating_sub(free), max: self.max_in_flight }
    }

    fn pool(&self) -> Option<PoolState<'_>> {
        Some(self.table.pool_state())
    }
}
