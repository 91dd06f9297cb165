//! Opens the audit log, and closes what a crash left open in it.

use super::error::StartError;
use crate::audit::{AuditLog, close_open_intents};
use crate::config::{Config, DatabaseUrl};
use delete_learning::storage::Databases;
use std::sync::Arc;
use std::time::Duration;

/// Opens the audit log, if one is configured.
pub(super) fn open(config: &Config, databases: &Databases) -> Result<Option<Arc<AuditLog>>, StartError> {
    let Some(audit) = &config.audit else { return Ok(None) };
    let (log, open_intents) = AuditLog::open(audit)
        .map_err(|source| StartError::Audit { origin: config.origin("audit.directory"), source })?;
    let log = Arc::new(log);
    // A statement that the server sent before it was killed ends within its timeout.
    let has_postgres = config.databases.iter().any(|database| matches!(database.url, DatabaseUrl::Postgres(_)));
    let delay = if has_postgres { Duration::from_millis(config.postgres.statement_timeout_ms) } else { Duration::ZERO };
    close_open_intents(&log, open_intents, databases, delay);
    Ok(Some(log))
}
