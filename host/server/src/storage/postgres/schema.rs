//! Finds, checks or creates Agno's table of learnings.

use super::connection::Connection;
use super::error::QueryError;
use super::pool::Pool;
use super::statements;
use crate::storage::columns::{self, COLUMNS, COMPARED, ColumnType, quote};
use crate::storage::{CREATE_ADVICE, LearningsTable, MAX_NAMES, list_names};
use tokio_postgres::types::{ToSql, Type};

/// Why a table cannot be used. The text continues `the table "schema"."table" …`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Defect {
    /// It does not exist.
    #[error(
        "does not exist; the database {database} has {} with learnings; {CREATE_ADVICE}",
        list_names("table", tables)
    )]
    Missing {
        /// The database of the connection.
        database: String,
        /// Tables with a column `learning_id`, with their schemas.
        tables: Vec<String>,
    },
    /// A view, a foreign table or something else.
    #[error("is not an ordinary or partitioned table, so it cannot hold learnings")]
    NotATable,
    /// A rule replaces deletes, or runs another statement for each, which PostgreSQL does not support in `WITH`.
    #[error("has a rule for DELETE, with which nothing can be deleted from it; use a trigger")]
    DeleteRule,
    /// A column is missing.
    #[error("has no column {0}, so it holds no learnings")]
    MissingColumn(&'static str),
    /// The type of a column does not fit.
    #[error("has the column {column} of the type {column_type}, which is not {expected}, so it holds no learnings")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        column_type: String,
        /// The types that fit.
        expected: &'static str,
    },
    /// Several rows can have the same id.
    #[error("has no unique index on learning_id alone, so it cannot hold learnings")]
    NotUnique,
    /// Tables inherit from it. A unique index does not include their rows, and a delete does.
    #[error("has tables that inherit from it, so several rows can have the same id")]
    Inherited,
    /// The database user lacks a privilege.
    #[error("cannot be used by {user}, which lacks the privilege {privilege}; an owner can grant it")]
    MissingPrivilege {
        /// The user of the connection.
        user: String,
        /// The privilege, as in a GRANT statement.
        privilege: &'static str,
    },
}

/// A table that can be used.
#[derive(Clone, Copy, Default)]
pub(super) struct Usable {
    /// Whether the user can read `xmin`, which column privileges do not include.
    ///
    /// Without, a conflict counts as a veto.
    pub(super) can_read_xmin: bool,
    /// Whether the user can lock rows, which needs the privilege `UPDATE` on a column.
    pub(super) can_lock: bool,
    /// Whether the database stores every text without NUL.
    pub(super) is_utf8: bool,
    /// Whether the user can read the type of a learning, which deleting does not need.
    pub(super) can_read_type: bool,
}

/// Checks the table. If it does not exist, creates it and its schema, provided that this is configured.
pub(super) async fn prepare(
    pool: &Pool,
    schema: &str,
    table: &LearningsTable,
) -> Result<Result<Usable, Defect>, QueryError> {
    let LearningsTable { name, create } = table;
    let inspect = async |connection: &Connection| inspect(connection, schema, name).await;
    if let Some(found) = pool.with(inspect).await? {
        return Ok(found);
    }
    if !create {
        return pool.with(async |connection| missing(connection).await).await.map(Err);
    }
    // Another server can create it at the same moment; then this fails, and the table exists.
    let created = pool.with(async |connection| connection.execute(&create_statements(schema, name)).await).await;
    match pool.with(inspect).await? {
        Some(found) => Ok(found),
        None => Err(created.err().unwrap_or(QueryError::UnexpectedResult)),
    }
}

/// What the database has in place of the missing table.
async fn missing(connection: &Connection) -> Result<Defect, tokio_postgres::Error> {
    const TABLES: &str = "
        SELECT current_database()::text, ARRAY(
            SELECT n.nspname || '.' || c.relname
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attname = 'learning_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') ORDER BY 1 LIMIT $1)";
    let limit = i64::try_from(MAX_NAMES).unwrap_or(i64::MAX);
    let rows = connection.query_once(TABLES, &[(&limit, Type::INT8)]).await?;
    let Some(row) = rows.first() else { return Ok(Defect::Missing { database: String::new(), tables: Vec::new() }) };
    Ok(Defect::Missing { database: row.try_get(0)?, tables: row.try_get(1)? })
}

/// Inspects the table; `None` if it does not exist.
async fn inspect(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<Option<Result<Usable, Defect>>, tokio_postgres::Error> {
    // The catalogs contain columns without privileges too; the information schema does not.
    const TABLE: &str = "
        SELECT c.relkind IN ('r', 'p'),
               EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = c.oid AND ev_type = '4'),
               ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
               EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                       WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                       AND i.indnkeyatts = 1 AND a.attname = 'learning_id'),
               c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
    let rows = connection.query_once(TABLE, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let columns: Vec<String> = row.try_get(2)?;
    let missing = COLUMNS.iter().find(|(name, ..)| !columns.iter().any(|column| column == name));
    let defect = if !row.try_get::<_, bool>(0)? {
        Defect::NotATable
    } else if row.try_get(1)? {
        Defect::DeleteRule
    } else if let Some((column, ..)) = missing {
        Defect::MissingColumn(column)
    } else if !row.try_get::<_, bool>(3)? {
        Defect::NotUnique
    } else if row.try_get(4)? {
        Defect::Inherited
    } else {
        return match mistyped_column(connection, schema, table).await? {
            Some(defect) => Ok(Some(Err(defect))),
            None => check_privileges(connection, schema, table).await.map(Some),
        };
    };
    Ok(Some(Err(defect)))
}

/// Finds a column that cannot be compared byte for byte, or be read as a time.
async fn mistyped_column(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<Option<Defect>, tokio_postgres::Error> {
    const MISTYPED: &str = "
        SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attname = ANY ($3)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE n.nspname = $1 AND c.relname = $2 AND CASE
            WHEN a.attname = ANY ($3) THEN CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
                                           NOT IN ('text'::regtype, 'varchar'::regtype)
            WHEN a.attname = ANY ($4) THEN t.oid NOT IN ('bigint'::regtype, 'integer'::regtype)
        END";
    let timestamps: Vec<&str> =
        COLUMNS.iter().filter(|column| column.1 == ColumnType::Timestamp).map(|(name, ..)| *name).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&schema, Type::TEXT),
        (&table, Type::TEXT),
        (&&COMPARED[..], Type::TEXT_ARRAY),
        (&timestamps, Type::TEXT_ARRAY),
    ];
    let rows = connection.query_once(MISTYPED, &parameters).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let expected = if row.try_get(2)? { "text or varchar" } else { "bigint or integer" };
    Ok(Some(Defect::ColumnType { column: row.try_get(0)?, column_type: row.try_get(1)?, expected }))
}

/// Checks the privileges that deleting needs.
async fn check_privileges(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> Result<Result<Usable, Defect>, tokio_postgres::Error> {
    const PRIVILEGES: &str = "
        SELECT current_user::text, has_table_privilege(c.oid, 'SELECT'),
               has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'DELETE'),
               has_column_privilege(c.oid, 'learning_id', 'SELECT'), has_column_privilege(c.oid, 'user_id', 'SELECT'),
               has_any_column_privilege(c.oid, 'UPDATE'), current_setting('server_encoding', true) = 'UTF8',
               has_column_privilege(c.oid, 'learning_type', 'SELECT')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
    const NEEDED: [&str; 4] = ["USAGE on its schema", "DELETE", "SELECT (learning_id)", "SELECT (user_id)"];
    let row = connection.query_once(PRIVILEGES, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    let Some(row) = row.first() else { return Ok(Ok(Usable::default())) };
    for (index, privilege) in NEEDED.into_iter().enumerate() {
        if !row.try_get::<_, bool>(index + 2)? {
            return Ok(Err(Defect::MissingPrivilege { user: row.try_get(0)?, privilege }));
        }
    }
    let [can_lock, is_utf8, can_read_type] = [6, 7, 8].map(|index| row.try_get::<_, Option<bool>>(index));
    Ok(Ok(Usable {
        can_read_xmin: row.try_get(1)?,
        can_lock: can_lock?.unwrap_or_default(),
        is_utf8: is_utf8?.unwrap_or_default(),
        can_read_type: can_read_type?.unwrap_or_default(),
    }))
}

fn create_statements(schema: &str, table: &str) -> String {
    let type_name = |column_type| match column_type {
        ColumnType::Text => "VARCHAR",
        ColumnType::Json => "JSONB",
        ColumnType::Timestamp => "BIGINT",
    };
    let statements = columns::create_statements(&statements::qualify(schema, table), table, type_name);
    format!("CREATE SCHEMA IF NOT EXISTS {}; {statements}", quote(schema))
}
