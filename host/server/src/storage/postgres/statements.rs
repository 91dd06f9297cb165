//! The SQL statements on the table. Every delete is one statement that tests its condition, deletes the row, and returns
//! the reason if it did not.
//!
//! A statement sees the table as it was when it began. If its delete waits for another transaction, it acts on the row
//! that this transaction left. If the two differ, the statement returns `conflict`: nothing was deleted, and the caller
//! retries. CockroachDB and YugabyteDB accept the same statements.

use super::connection::Query;
use crate::storage::columns::{COLUMNS, ColumnType, quote};
use delete_learning::{Learning, Outcome};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The statements on one table.
pub(super) struct Statements {
    pub(super) delete: Query,
    pub(super) delete_owned: Query,
    pub(super) delete_unchanged: Query,
    pub(super) find: Query,
    pub(super) check: Query,
}

/// The result of a delete.
pub(super) enum DeleteResult {
    Outcome(Outcome),
    /// The record changed while the statement ran. Nothing was deleted.
    Conflict,
}

/// The qualified name of a table, quoted.
pub(super) fn qualify(schema: &str, table: &str) -> String {
    format!("{}.{}", quote(schema), quote(table))
}

impl Statements {
    pub(super) fn new(schema: &str, table: &str) -> Self {
        let table = qualify(schema, table);
        let revision = revision();
        // Owners compare byte for byte, whatever the collation of the database is.
        let owned = "user_id COLLATE \"C\" = $2";
        Self {
            delete: Query {
                name: "delete",
                sql: delete(&table, "true", "WHEN true THEN 'conflict'"),
                types: &[Type::TEXT],
            },
            delete_owned: Query {
                name: "delete-owned",
                sql: delete(
                    &table,
                    owned,
                    &format!(
                        "WHEN user_id IS NULL THEN 'unowned' WHEN {owned} THEN 'conflict' ELSE 'owned-by-another'"
                    ),
                ),
                types: &[Type::TEXT, Type::TEXT],
            },
            delete_unchanged: Query {
                name: "delete-unchanged",
                sql: delete(
                    &table,
                    &format!("{revision} = $2"),
                    &format!("WHEN {revision} = $2 THEN 'conflict' ELSE 'changed'"),
                ),
                types: &[Type::TEXT, Type::TEXT],
            },
            find: Query {
                name: "find",
                sql: format!(
                    "SELECT {}, {revision} FROM {table} WHERE learning_id = $1",
                    COLUMNS.map(|(name, column_type, _)| as_text(name, column_type)).join(", ")
                ),
                types: &[Type::TEXT],
            },
            check: Query {
                name: "check",
                sql: format!(
                    "SELECT current_setting('transaction_read_only'), (SELECT 1 FROM {table} WHERE learning_id = '')"
                ),
                types: &[],
            },
        }
    }
}

/// A delete with a condition. `cases` return the reason if the row was not deleted.
fn delete(table: &str, condition: &str, cases: &str) -> String {
    format!(
        "WITH deleted AS (DELETE FROM {table} WHERE learning_id = $1 AND {condition} RETURNING learning_id)
         SELECT CASE WHEN EXISTS (SELECT 1 FROM deleted) THEN 'deleted'
                     ELSE (SELECT CASE {cases} END FROM {table} WHERE learning_id = $1) END"
    )
}

/// The SHA-256 of all columns as a JSON array, so that two states of a row never have the same revision.
fn revision() -> String {
    let columns = COLUMNS.map(|(name, column_type, _)| as_text(name, column_type)).join(", ");
    format!("sha256(convert_to(jsonb_build_array({columns})::text, 'UTF8'))::text")
}

fn as_text(name: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Text | ColumnType::Timestamp => name.to_owned(),
        ColumnType::Json => format!("{name}::text"),
    }
}

/// Reads the result of a delete; `None` if no delete returns it.
pub(super) fn delete_result(rows: &[Row]) -> Option<DeleteResult> {
    let result: Option<&str> = rows.first()?.try_get(0).ok()?;
    Some(match result {
        None => DeleteResult::Outcome(Outcome::Absent),
        Some("deleted") => DeleteResult::Outcome(Outcome::Deleted),
        Some("unowned") => DeleteResult::Outcome(Outcome::Unowned),
        Some("owned-by-another") => DeleteResult::Outcome(Outcome::OwnedByAnother),
        Some("changed") => DeleteResult::Outcome(Outcome::Changed),
        Some("conflict") => DeleteResult::Conflict,
        Some(_) => return None,
    })
}

/// Reads a row of `find`.
pub(super) fn learning(row: &Row) -> Result<Learning, tokio_postgres::Error> {
    let text = |index: usize| row.try_get::<_, Option<String>>(index);
    Ok(Learning {
        learning_type: text(1)?.unwrap_or_default(),
        namespace: text(2)?,
        user_id: text(3)?,
        agent_id: text(4)?,
        team_id: text(5)?,
        workflow_id: text(6)?,
        session_id: text(7)?,
        entity_id: text(8)?,
        entity_type: text(9)?,
        content: text(10)?.unwrap_or_default(),
        metadata: text(11)?,
        created_at: row.try_get::<_, Option<i64>>(12)?.unwrap_or_default(),
        updated_at: row.try_get(13)?,
        revision: text(14)?.unwrap_or_default(),
    })
}
