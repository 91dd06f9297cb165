//! Opens the databases and the store of service accounts.

use crate::auth::{AccountStore, ServiceAccounts};
use crate::config::{Config, ConfigError, DatabaseUrl};
use crate::storage::postgres::PostgresAccounts;
use crate::storage::sqlite::SqliteAccounts;
use crate::storage::{PostgresStore, SqliteStore};
use delete_learning::LearningStore;
use delete_learning::storage::{Database, Databases};
use std::error::Error;
use std::sync::Arc;

/// Opens every database.
pub(super) async fn open(config: &Config) -> Result<Databases, ConfigError> {
    let mut databases = Vec::with_capacity(config.databases.len());
    for (index, database) in config.databases.iter().enumerate() {
        let error = |error: &dyn Error| config.error(format!("databases[{index}].url"), error.to_string());
        let (table, max_in_flight) = (&database.table, database.max_in_flight);
        let store: Arc<dyn LearningStore> = match &database.url {
            DatabaseUrl::Sqlite(path) => {
                let store = SqliteStore::open(path, table, &config.sqlite, max_in_flight);
                Arc::new(store.map_err(|reason| error(&reason))?)
            }
            DatabaseUrl::Postgres(target) => {
                let store = PostgresStore::open(target, table, &config.postgres, max_in_flight).await;
                Arc::new(store.map_err(|reason| error(&reason))?)
            }
        };
        databases.push(Database { id: database.id.clone(), table: table.name.clone(), store });
    }
    Ok(Databases(databases))
}

/// Opens the store of service accounts, if one is configured.
pub(super) fn open_service_accounts(config: &Config) -> Result<Option<ServiceAccounts>, ConfigError> {
    let Some(accounts) = &config.auth.service_accounts else { return Ok(None) };
    let Some(database) = config.databases.get(accounts.database) else { return Ok(None) };
    let error = |error: &dyn Error| config.error("auth.service_accounts", error.to_string());
    let store: Arc<dyn AccountStore> = match &database.url {
        DatabaseUrl::Sqlite(path) => {
            let store = SqliteAccounts::open(path, &accounts.table, &config.sqlite);
            Arc::new(store.map_err(|reason| error(&reason))?)
        }
        DatabaseUrl::Postgres(target) => {
            let store = PostgresAccounts::open(target, &accounts.table, &config.postgres);
            Arc::new(store.map_err(|reason| error(&reason))?)
        }
    };
    Ok(Some(ServiceAccounts::new(store, accounts.cache_ttl)))
}
