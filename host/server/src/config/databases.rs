//! Validates the databases.

use super::error::ConfigError;
use super::{Source, file};
use crate::storage::LearningsTable;
use crate::storage::postgres::{PostgresTarget, PostgresUrl};
use std::collections::HashSet;
use std::path::PathBuf;

/// A database.
pub struct DatabaseConfig {
    /// The id of the database, which a request gives as `db_id`.
    pub id: String,
    /// The learnings table. Several tables can have the same `id`; their names differ.
    pub table: LearningsTable,
    /// Where it is.
    pub url: DatabaseUrl,
    /// Maximum number of requests that use it at once. A further one waits for a permit, as long as for a sandbox
    /// instance.
    pub max_in_flight: usize,
}

/// Where a database is.
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<PostgresTarget>),
}

impl DatabaseConfig {
    pub(super) const fn is_postgres(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_))
    }
}

pub(super) fn validate(
    databases: Vec<file::Database>,
    source: &Source,
    warnings: &mut Vec<String>,
) -> Result<Vec<DatabaseConfig>, ConfigError> {
    if databases.is_empty() {
        return Err(source.error("databases", "there must be at least one [[databases]]"));
    }
    let mut names = HashSet::new();
    let mut valid = Vec::with_capacity(databases.len());
    for (index, database) in databases.into_iter().enumerate() {
        let error = |key: &str, reason: String| source.error(format!("databases[{index}].{key}"), reason);
        if database.id.is_empty() {
            return Err(error("id", "must not be empty".to_owned()));
        }
        if database.max_in_flight == 0 {
            return Err(error("max_in_flight", "must be at least 1".to_owned()));
        }
        let table = database.table.unwrap_or_else(|| "agno_learnings".to_owned());
        if !is_name(&table) {
            return Err(error("table", "must be the name of a table".to_owned()));
        }
        if !names.insert((database.id.clone(), table.clone())) {
            let reason = format!("another database has the id {:?} and the table {table:?} already", database.id);
            return Err(error("id", reason));
        }
        let url = database.url.expose();
        let url = if PostgresUrl::has_scheme(url) {
            let url = PostgresUrl::parse(url, &source.directory).map_err(|reason| error("url", reason.to_string()))?;
            if url.is_unverified() {
                warnings.push(format!(
                    "database {:?}: the server's certificate is not checked; add sslmode=verify-full to its url",
                    database.id
                ));
            }
            let schema = database.schema.unwrap_or_else(|| "ai".to_owned());
            if !is_name(&schema) {
                return Err(error("schema", "must be the name of a schema".to_owned()));
            }
            let transaction_pooling = database.transaction_pooling.unwrap_or_default();
            DatabaseUrl::Postgres(Box::new(PostgresTarget { url, schema, transaction_pooling }))
        } else {
            let path = sqlite_path(url).map_err(|reason| error("url", reason.to_owned()))?;
            for (key, is_given) in
                [("schema", database.schema.is_some()), ("transaction_pooling", database.transaction_pooling.is_some())]
            {
                if is_given {
                    return Err(error(key, "applies to PostgreSQL only".to_owned()));
                }
            }
            DatabaseUrl::Sqlite(source.path(path))
        };
        let table = LearningsTable { name: table, create: database.create };
        valid.push(DatabaseConfig { id: database.id, table, url, max_in_flight: database.max_in_flight });
    }
    Ok(valid)
}

/// Whether a database can have a schema or table of this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0')
}

/// The file of `sqlite:FILE`, or of SQLAlchemy's form `sqlite:///FILE`, which has a fourth slash if FILE is absolute.
fn sqlite_path(url: &str) -> Result<&str, &'static str> {
    let path = url.strip_prefix("sqlite:").ok_or("must begin with sqlite: or postgres://")?;
    let path = match path.strip_prefix("///") {
        Some(path) => path,
        None if path.starts_with("//") => return Err("must be sqlite:FILE or sqlite:///FILE"),
        None => path,
    };
    match path {
        "" | ":memory:" => Err("must name a file: an in-memory database cannot be shared with an AgentOS"),
        path if path.contains('?') => Err("takes no parameters after '?'"),
        path => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::sqlite_path;

    #[test]
    fn sqlite_url_has_a_short_form_and_the_form_of_sqlalchemy() {
        for (url, path) in [
            ("sqlite:learnings.db", "learnings.db"),
            ("sqlite:data/learnings.db", "data/learnings.db"),
            ("sqlite:/var/lib/learnings.db", "/var/lib/learnings.db"),
            ("sqlite:///learnings.db", "learnings.db"),
            ("sqlite:////var/lib/learnings.db", "/var/lib/learnings.db"),
        ] {
            assert_eq!(sqlite_path(url), Ok(path), "{url}");
        }
        for url in
            ["sqlite:", "sqlite://learnings.db", "sqlite::memory:", "sqlite:///", "sqlite:a.db?mode=ro", "learnings.db"]
        {
            assert!(sqlite_path(url).is_err(), "{url}");
        }
    }
}
