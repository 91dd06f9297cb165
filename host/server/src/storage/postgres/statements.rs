//! The SQL statements on the table. Every delete is one statement that tests its condition, deletes the row, and returns
//! the reason if it did not.
//!
//! A statement sees the table as it was when it began. If its delete waits for another transaction, it acts on the row
//! that this transaction left. A delete that changed no row although its condition held is either such a conflict, which
//! is retried, or a veto by a trigger, a rule or row-level security. The row's `xmin` (the transaction that wrote it) tells
//! them apart: after a veto it is unchanged, or the delete's own transaction.

use super::connection::Query;
use crate::storage::columns::{COLUMNS, ColumnType, quote};
use delete_learning::{Condition, Learning, Outcome};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The first comparison uses the index, with the collation of the column. The second compares byte for byte: with a
/// nondeterministic collation, different ids are equal in the first.
const HAS_ID: &str = "learning_id = $1 AND learning_id = $1 COLLATE \"C\"";

/// The statements on one table.
pub(super) struct Statements {
    delete: Delete,
    delete_owned: Delete,
    delete_unchanged: Delete,
    pub(super) find: Query,
    pub(super) check: Query,
}

/// A delete with a condition, and the query for the state of the record afterwards.
pub(super) struct Delete {
    pub(super) delete: Query,
    pub(super) state: Query,
}

/// The result of a delete.
pub(super) struct DeleteResult {
    pub(super) state: State,
    /// The transaction that wrote the row that the statement saw.
    pub(super) xmin: Option<String>,
    /// The transaction of the statement, if it wrote something.
    pub(super) transaction: Option<String>,
    /// Whether the table has triggers, which can retain a record that the statement deleted.
    pub(super) has_triggers: bool,
}

/// The state of a record in relation to a condition.
pub(super) enum State {
    /// The condition does not hold, or the statement deleted the record.
    Outcome(Outcome),
    /// The condition holds.
    ConditionHolds,
}

/// The qualified name of a table, quoted.
pub(super) fn qualify(schema: &str, table: &str) -> String {
    format!("{}.{}", quote(schema), quote(table))
}

impl Statements {
    /// `can_read_xmin` is false for a user without `SELECT` on the whole table. Then a conflict counts as a veto.
    pub(super) fn new(schema: &str, table: &str, can_read_xmin: bool) -> Self {
        let table = qualify(schema, table);
        let xmin = if can_read_xmin { "xmin::text" } else { "NULL::text" };
        let revision = revision();
        // Owners compare byte for byte, whatever the collation of the database is.
        let owned = "user_id COLLATE \"C\" = $2";
        let unchanged = format!("{revision} = $2");
        Self {
            delete: Delete::new(["delete", "state"], &table, xmin, "true", "WHEN true THEN 'holds'", &[Type::TEXT]),
            delete_owned: Delete::new(
                ["delete-owned", "state-owned"],
                &table,
                xmin,
                owned,
                &format!("WHEN user_id IS NULL THEN 'unowned' WHEN {owned} THEN 'holds' ELSE 'owned-by-another'"),
                &[Type::TEXT, Type::TEXT],
            ),
            delete_unchanged: Delete::new(
                ["delete-unchanged", "state-unchanged"],
                &table,
                xmin,
                &unchanged,
                &format!("WHEN {unchanged} THEN 'holds' ELSE 'changed'"),
                &[Type::TEXT, Type::TEXT],
            ),
            find: Query {
                name: "find",
                sql: format!(
                    "SELECT {}, {revision} FROM {table} WHERE {HAS_ID}",
                    COLUMNS.map(|(name, column_type, _)| as_text(name, column_type)).join(", ")
                ),
                types: &[Type::TEXT],
            },
            check: Query {
                name: "check",
                sql: format!(
                    "SELECT current_setting('transaction_read_only'), has_table_privilege('{}', 'DELETE'),
                            (SELECT 1 FROM {table} WHERE learning_id = '')",
                    table.replace('\'', "''")
                ),
                types: &[],
            },
        }
    }

    /// The statements of a delete with this condition.
    pub(super) const fn for_condition(&self, condition: &Condition) -> &Delete {
        match condition {
            Condition::Any => &self.delete,
            Condition::OwnedBy(_) => &self.delete_owned,
            Condition::Unchanged(_) => &self.delete_unchanged,
        }
    }
}

impl Delete {
    /// `cases` returns the state of a row in relation to the condition.
    fn new(
        names: [&'static str; 2],
        table: &str,
        xmin: &str,
        condition: &str,
        cases: &str,
        types: &'static [Type],
    ) -> Self {
        let [delete, state] = names;
        Self {
            delete: Query {
                name: delete,
                sql: format!(
                    "WITH deleted AS (DELETE FROM {table} WHERE {HAS_ID} AND {condition} RETURNING learning_id)
                     SELECT CASE WHEN EXISTS (SELECT 1 FROM deleted) THEN 'deleted'
                                 ELSE (SELECT CASE {cases} END FROM {table} WHERE {HAS_ID}) END,
                            (SELECT {xmin} FROM {table} WHERE {HAS_ID}),
                            (txid_current_if_assigned() % 4294967296)::text,
                            EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = '{}'::regclass AND NOT tgisinternal)",
                    table.replace('\'', "''")
                ),
                types,
            },
            state: Query {
                name: state,
                sql: format!("SELECT CASE {cases} END, {xmin} FROM {table} WHERE {HAS_ID}"),
                types,
            },
        }
    }
}

/// The SHA-256 of all columns as a JSON array, so that two states of a row never have the same revision.
fn revision() -> String {
    let columns = COLUMNS.map(|(name, column_type, _)| as_text(name, column_type)).join(", ");
    format!("sha256(convert_to(jsonb_build_array({columns})::text, 'UTF8'))::text")
}

fn as_text(name: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Text | ColumnType::Json => format!("{name}::text"),
        ColumnType::Timestamp => format!("{name}::bigint"),
    }
}

/// Reads the result of a delete; `None` if no delete returns it.
pub(super) fn delete_result(rows: &[Row]) -> Option<DeleteResult> {
    let row = rows.first()?;
    Some(DeleteResult {
        state: state(row.try_get(0).ok()?)?,
        xmin: row.try_get(1).ok()?,
        transaction: row.try_get(2).ok()?,
        has_triggers: row.try_get(3).ok()?,
    })
}

/// Reads the state of a record after a delete, and the transaction that wrote it; `None` if no query returns it.
pub(super) fn state_after(rows: &[Row]) -> Option<(State, Option<String>)> {
    match rows.first() {
        None => Some((State::Outcome(Outcome::Absent), None)),
        Some(row) => Some((state(row.try_get(0).ok()?)?, row.try_get(1).ok()?)),
    }
}

fn state(name: Option<&str>) -> Option<State> {
    Some(match name {
        None => State::Outcome(Outcome::Absent),
        Some("deleted") => State::Outcome(Outcome::Deleted),
        Some("unowned") => State::Outcome(Outcome::Unowned),
        Some("owned-by-another") => State::Outcome(Outcome::OwnedByAnother),
        Some("changed") => State::Outcome(Outcome::Changed),
        Some("holds") => State::ConditionHolds,
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
