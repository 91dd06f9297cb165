//! Validates the databases.

use super::error::ConfigError;
use super::{Derived, Environment, Origin, Source, file, masked};
use crate::storage::LearningsTable;
use crate::storage::postgres::{PostgresTarget, PostgresUrl, UrlContext};
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
    pub(super) const fn postgres_url(&self) -> Option<&PostgresUrl> {
        match &self.url {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Postgres(target) => Some(&target.url),
        }
    }
}

pub(super) fn validate(
    databases: Vec<file::Database>,
    source: &Source,
    environment: &Environment,
    warnings: &mut Vec<String>,
    derived: &mut Derived,
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
        let table = database.table;
        if !is_name(&table) {
            return Err(error("table", "must be the name of a table".to_owned()));
        }
        if !names.insert((database.id.clone(), table.clone())) {
            let reason = format!("another database has the id {:?} and the table {table:?} already", database.id);
            return Err(error("id", reason));
        }
        let key = format!("databases[{index}].url");
        let (url_key, url) = source
            .secret(&key, database.url.as_ref(), database.url_file.as_deref())?
            .ok_or_else(|| source.error(&key, "is missing; set it or url_file"))?;
        if let Some(path) = &database.url_file {
            let origin = Origin::Derived(format!("file {}", source.path(path).display()));
            derived.insert(key, (masked::mask_database_url(&url).into(), origin));
        }
        let url_error = |reason: String| source.error(&url_key, reason);
        let url = if PostgresUrl::has_scheme(&url) {
            let password = database.password_file.as_deref().map(|path| {
                let key = format!("databases[{index}].password_file");
                let password = source.read_secret(&key, path)?;
                if password.is_empty() { Err(source.error(key, "must contain a password")) } else { Ok(password) }
            });
            let variable = |name: &str| environment.get(name);
            let context =
                UrlContext { directory: &source.directory, environment: &variable, password: password.transpose()? };
            let url = PostgresUrl::parse(&url, &context).map_err(|reason| url_error(reason.to_string()))?;
            warnings.extend(url.warnings.iter().map(|warning| format!("database {:?}: {warning}", database.id)));
            if url.is_unverified() {
                warnings.push(format!(
                    "database {:?}: the server's certificate is not checked; add sslmode=verify-full to its url",
                    database.id
                ));
            }
            let schema = database.schema.unwrap_or_else(|| {
                derived.insert(format!("databases[{index}].schema"), ("ai".into(), Origin::Default));
                "ai".to_owned()
            });
            if !is_name(&schema) {
                return Err(error("schema", "must be the name of a schema".to_owned()));
            }
            let transaction_pooling = database.transaction_pooling.unwrap_or_else(|| {
                derived.insert(format!("databases[{index}].transaction_pooling"), (false.into(), Origin::Default));
                false
            });
            DatabaseUrl::Postgres(Box::new(PostgresTarget { url, schema, transaction_pooling }))
        } else {
            let path = sqlite_path(&url).map_err(url_error)?;
            for (key, is_given) in [
                ("schema", database.schema.is_some()),
                ("password_file", database.password_file.is_some()),
                ("transaction_pooling", database.transaction_pooling.is_some()),
            ] {
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

/// The file of `sqlite:FILE`, or of SQLAlchemy's form `sqlite:///FILE`, which has a fourth slash if FILE is absolute and
/// can name a driver of Python.
fn sqlite_path(url: &str) -> Result<&str, String> {
    let forms = "must be sqlite:FILE or sqlite:///FILE";
    let with_driver = ["sqlite+pysqlite:", "sqlite+aiosqlite:"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let path = match (with_driver, url.strip_prefix("sqlite:")) {
        (Some(path), _) if path.starts_with("///") => path,
        (Some(_), _) => return Err(forms.to_owned()),
        (None, Some(path)) => path,
        (None, None) => return Err("must begin with sqlite: or postgres://".to_owned()),
    };
    let path = match path.strip_prefix("///") {
        Some(path) => path,
        None if path.starts_with("//") => return Err(forms.to_owned()),
        None => path,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        validate_sqlite_parameter(pair.split('=').next().unwrap_or_default())?;
    }
    match path {
        "" | ":memory:" => Err("must name a file: an in-memory database cannot be shared with an AgentOS".to_owned()),
        path if path.starts_with("file:") => Err("must have the path of the file instead of file:".to_owned()),
        path => Ok(path),
    }
}

/// Accepts the parameters of Python's `sqlite3.connect`, which do not change the file.
fn validate_sqlite_parameter(name: &str) -> Result<(), String> {
    let advice = match name {
        "timeout" | "check_same_thread" | "isolation_level" | "detect_types" | "cached_statements" => return Ok(()),
        "mode" => "remove it; the server opens the file for reading and writing, and creates it with create = true",
        "uri" => "remove it, and write the path of the file instead of file:",
        "cache" => "remove it; the server shares no cache with another program",
        "vfs" => "remove it; the server uses the operating system's files",
        "nolock" => "remove it; without locks, two programs would corrupt the file",
        "immutable" => "remove it; nothing can be deleted from an immutable file",
        name if name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            return Err(format!("has an unknown parameter, {name}; remove it"));
        }
        _ => return Err("has an unknown parameter after '?'; remove it".to_owned()),
    };
    Err(format!("cannot have the parameter {name}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::{is_name, sqlite_path};

    #[test]
    fn name_of_a_table_is_not_empty_and_has_no_zero_byte() {
        assert!(is_name("agno_learnings") && is_name(" ") && !is_name("") && !is_name("a\0b"));
    }

    #[test]
    fn sqlite_url_has_a_short_form_and_the_form_of_sqlalchemy() {
        for (url, path) in [
            ("sqlite:learnings.db", "learnings.db"),
            ("sqlite:data/learnings.db", "data/learnings.db"),
            ("sqlite:/var/lib/learnings.db", "/var/lib/learnings.db"),
            ("sqlite:///learnings.db", "learnings.db"),
            ("sqlite:////var/lib/learnings.db", "/var/lib/learnings.db"),
            ("sqlite+pysqlite:///learnings.db", "learnings.db"),
            ("sqlite+aiosqlite:////var/lib/learnings.db", "/var/lib/learnings.db"),
            ("sqlite+pysqlite:///a.db?timeout=5&check_same_thread=false&isolation_level=", "a.db"),
            ("sqlite:///a.db?detect_types=1&cached_statements=0&", "a.db"),
        ] {
            assert_eq!(sqlite_path(url).as_deref(), Ok(path), "{url}");
        }
        for url in [
            "sqlite:",
            "sqlite://learnings.db",
            "sqlite::memory:",
            "sqlite:///",
            "sqlite+pysqlite:learnings.db",
            "sqlite+aiosqlite://",
            "sqlite+pysqlcipher:///a.db",
            "sqlite:file:a.db",
            "sqlite:///file:a.db?uri=true",
            "learnings.db",
        ] {
            assert!(sqlite_path(url).is_err(), "{url}");
        }
    }

    #[test]
    fn sqlite_parameter_that_changes_the_file_is_refused_by_name() {
        for name in ["mode", "uri", "cache", "vfs", "nolock", "immutable", "factory"] {
            let error = sqlite_path(&format!("sqlite:///a.db?timeout=5&{name}=1")).expect_err(name);
            assert!(error.contains(name) && error.contains("remove"), "{error}");
            assert_eq!(error.contains("unknown"), name == "factory", "{error}");
        }
        let error = sqlite_path("sqlite:///a.db?not a name=1").expect_err("it is not a name");
        assert!(!error.contains("not a name"), "{error}");
    }
}
