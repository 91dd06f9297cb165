//! What is asked of the table. Every delete is one statement that tests its condition, deletes, and says why it did not.
//!
//! The statement sees the table as it was when it began; its delete, where it had to wait for another transaction, acts on
//! the row as that left it. Where the two differ the statement says `raced`: nothing was deleted, and whoever asked asks
//! again. They keep to what CockroachDB and YugabyteDB take as well.

use super::session::Query;
use crate::contract::{Learning, Outcome};
use crate::storage::columns::{COLUMNS, Kind, quoted};
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

/// How a delete ended, if it did.
pub(super) enum Ending {
    Outcome(Outcome),
    /// The record changed while the statement ran; it deleted nothing.
    Raced,
}

/// The table as SQL names it.
pub(super) fn place(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

impl Statements {
    pub(super) fn on(schema: &str, table: &str) -> Self {
        let place = place(schema, table);
        let revision = revision();
        // Owners compare byte for byte, whatever the collation of the database.
        let owned = "user_id COLLATE \"C\" = $2";
        Self {
            delete: Query {
                name: "delete",
                sql: delete(&place, "true", "WHEN true THEN 'raced'"),
                types: &[Type::TEXT],
            },
            delete_owned: Query {
                name: "delete-owned",
                sql: delete(
                    &place,
                    owned,
                    &format!("WHEN user_id IS NULL THEN 'unowned' WHEN {owned} THEN 'raced' ELSE 'owned-by-another'"),
                ),
                types: &[Type::TEXT, Type::TEXT],
            },
            delete_unchanged: Query {
                name: "delete-unchanged",
                sql: delete(
                    &place,
                    &format!("{revision} = $2"),
                    &format!("WHEN {revision} = $2 THEN 'raced' ELSE 'changed'"),
                ),
                types: &[Type::TEXT, Type::TEXT],
            },
            find: Query {
                name: "find",
                sql: format!(
                    "SELECT {}, {revision} FROM {place} WHERE learning_id = $1",
                    COLUMNS.map(|(name, kind, _)| as_text(name, kind)).join(", ")
                ),
                types: &[Type::TEXT],
            },
            check: Query {
                name: "check",
                sql: format!(
                    "SELECT current_setting('transaction_read_only'), (SELECT 1 FROM {place} WHERE learning_id = '')"
                ),
                types: &[],
            },
        }
    }
}

/// A delete on a condition; `cases` say of a row that was not deleted why not.
fn delete(place: &str, condition: &str, cases: &str) -> String {
    format!(
        "WITH gone AS (DELETE FROM {place} WHERE learning_id = $1 AND {condition} RETURNING learning_id)
         SELECT CASE WHEN EXISTS (SELECT 1 FROM gone) THEN 'deleted'
                     ELSE (SELECT CASE {cases} END FROM {place} WHERE learning_id = $1) END"
    )
}

/// A digest of all columns, with what tells them apart, so that no two states of a row are called the same.
fn revision() -> String {
    let columns = COLUMNS.map(|(name, kind, _)| as_text(name, kind)).join(", ");
    format!("sha256(convert_to(jsonb_build_array({columns})::text, 'UTF8'))::text")
}

fn as_text(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Time => name.to_owned(),
        Kind::Json => format!("{name}::text"),
    }
}

/// What the row of a delete says; none where it says what no delete says.
pub(super) fn ending(rows: &[Row]) -> Option<Ending> {
    let said: Option<&str> = rows.first()?.try_get(0).ok()?;
    Some(match said {
        None => Ending::Outcome(Outcome::Absent),
        Some("deleted") => Ending::Outcome(Outcome::Deleted),
        Some("unowned") => Ending::Outcome(Outcome::Unowned),
        Some("owned-by-another") => Ending::Outcome(Outcome::OwnedByAnother),
        Some("changed") => Ending::Outcome(Outcome::Changed),
        Some("raced") => Ending::Raced,
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
