//! Opens the databases and the store of service accounts.

use crate::auth::{AccountStore, ServiceAccounts};
use crate::config::{Config, ConfigError, DatabaseUrl};
use crate::storage::postgres::PostgresAccounts;
use crate::storage::sqlite::SqliteAccounts;
use crate::storage::{PostgresStore, SqliteStore};
use crate::telemetry::metrics::{DatabaseSource, StoreState};
use delete_learning::LearningStore;
use delete_learning::storage::{Database, Databases};
use std::error::Error;
use std::sync::Arc;
use tracing::Instrument;

/// Creates an error about a database, which names its id and its file or hosts.
pub(super) fn error(config: &Config, index: usize, reason: &dyn Error) -> ConfigError {
    let (url, url_file) = (format!("databases[{index}].url"), format!("databases[{index}].url_file"));
    let key = if config.is_set(&url_file) { url_file } else { url };
    let database = config.databases.get(index).map_or_else(String::new, |database| match &database.url {
        DatabaseUrl::Sqlite(_) => format!("database {:?} (sqlite): ", database.id),
        DatabaseUrl::Postgres(target) => {
            format!("database {:?} (postgres host {}): ", database.id, target.url.host_names())
        }
    });
    config.error(key, format!("{database}{reason}"))
}

/// Opens every database. Returns the tables, and what they report for the metrics.
pub(super) async fn open(config: &Config) -> Result<(Databases, Vec<DatabaseSource>), ConfigError> {
    let mut databases = Vec::with_capacity(config.databases.len());
    let mut sources = Vec::with_capacity(config.databases.len());
    for (index, database) in config.databases.iter().enumerate() {
        let error = |reason: &dyn Error| error(config, index, reason);
        let (table, max_in_flight) = (&database.table, database.max_in_flight);
        let (store, state): (Arc<dyn LearningStore>, Arc<dyn StoreState>) = match &database.url {
            DatabaseUrl::Sqlite(path) => {
                let store = SqliteStore::open(path, table, &config.sqlite, max_in_flight);
                let store = Arc::new(store.map_err(|reason| error(&reason))?);
                (Arc::<SqliteStore>::clone(&store), store)
            }
            DatabaseUrl::Postgres(target) => {
                // The log names the database too, if it cannot be reached now.
                let span = tracing::warn_span!("database", id = database.id, hosts = target.url.host_names());
                let store = PostgresStore::open(target, table, &config.postgres, max_in_flight);
                let store = store.instrument(span).await;
                let store = Arc::new(store.map_err(|reason| error(&reason))?);
                (Arc::<PostgresStore>::clone(&store), store)
            }
        };
        sources.push(DatabaseSource { db_id: database.id.clone(), table: table.name.clone(), store: state });
        databases.push(Database { id: database.id.clone(), table: table.name.clone(), store });
    }
    Ok((Databases(databases), sources))
}

/// Opens the store of service accounts, if one is configured.
pub(super) fn open_service_accounts(config: &Config) -> Result<Option<ServiceAccounts>, ConfigError> {
    let Some(accounts) = &config.auth.service_accounts else { return Ok(None) };
    let Some(database) = config.databases.get(accounts.database) else { return Ok(None) };
    let id = &database.id;
    let error = |reason: &dyn Error| config.error("auth.service_accounts", format!("database {id:?}: {reason}"));
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
