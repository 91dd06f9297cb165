//! The SQL statements on the table. A statement tests the condition of one delete, or of each delete of a batch, deletes the
//! rows, and returns the reason for each that it did not delete.
//!
//! A statement sees the table as it was when it began. If its delete waits for another transaction, it acts on the row
//! that this transaction left. A delete that changed no row although its condition held is either such a conflict, which
//! is retried, or a veto by a trigger, a rule or row-level security. The row's `xmin` (the transaction that wrote it) tells
//! them apart: after a veto it is unchanged, or the delete's own transaction.
//!
//! The statement of a batch never waits for a row. It locks the rows whose conditions hold, skips those that another
//! transaction has locked, and deletes what it locked. A lock is taken on the newest version of a row, and the condition is
//! tested again on that version, so a row that changed since the statement began is deleted only if its condition still
//! holds. Everything that the statement deleted, or whose condition did not hold when it began, is final. A row whose
//! condition held and which was not deleted is left to the statement of one delete, which waits and knows vetoes: it was
//! locked or changed, row-level security retained it, or the table has triggers for deletes. Foreign keys that refer to the
//! table are such triggers too: their actions can fail, and wait for other rows. With triggers the statement locks nothing.
//!
//! Every statement that deletes returns the owner and the type of what it deleted, for the audit log. It reads them only in
//! UTF-8 databases: of others, PostgreSQL cannot convert every text, and the delete would fail.

use super::connection::Query;
use super::schema::Usable;
use crate::storage::columns::{COLUMNS, ColumnType, quote};
use delete_learning::storage::{DeletedRecord, Deletion};
use delete_learning::{Condition, Learning, Outcome};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The statements on one table.
pub(super) struct Statements {
    batched: Batched,
    delete: Delete,
    delete_owned: Delete,
    delete_unchanged: Delete,
    pub(super) find: Query,
    pub(super) check: Query,
}

/// The deletes that can be part of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batched {
    None,
    /// Those with ASCII text only, which every encoding of a database contains.
    Ascii,
    All,
}

/// A delete with a condition.
pub(super) struct Delete {
    pub(super) delete: Query,
    /// Deletes the records of a batch, each with its own operand.
    pub(super) batch: Query,
    /// The state of the record after a delete.
    pub(super) state: Query,
}

/// The result of a batch.
pub(super) struct BatchResult {
    /// The result of each delete in the order of the batch; `None` if the statement of one delete must determine it.
    pub(super) deletions: Vec<Option<Deletion>>,
    /// Whether the table has triggers for deletes. Then nothing was deleted.
    pub(super) has_triggers: bool,
}

/// The result of a delete.
pub(super) struct DeleteResult {
    pub(super) state: State,
    /// What the record had, if the statement deleted it.
    pub(super) record: Option<DeletedRecord>,
    /// The transaction that wrote the row that the statement saw and did not delete.
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
    pub(super) fn new(schema: &str, table: &str, usable: Usable) -> Self {
        let table = qualify(schema, table);
        let xmin = if usable.can_read_xmin { "xmin::text" } else { "NULL::text" };
        let revision = revision();
        // Owners compare byte for byte, whatever the collation of the database is.
        let owned = |operand: &str| format!("user_id COLLATE \"C\" = {operand}");
        let owner = |operand: &str| {
            let owned = owned(operand);
            format!("WHEN user_id IS NULL THEN 'unowned' WHEN {owned} THEN 'holds' ELSE 'owned-by-another'")
        };
        let unchanged = |operand: &str| format!("{revision} = {operand}");
        let change = |operand: &str| format!("WHEN {} THEN 'holds' ELSE 'changed'", unchanged(operand));
        let recorded = Recorded::new(usable);
        let (always, holds) = (|_: &str| "true".to_owned(), |_: &str| "WHEN true THEN 'holds'".to_owned());
        let has_id = has_id("$1");
        Self {
            batched: match (usable.can_lock, usable.is_utf8) {
                (false, _) => Batched::None,
                (true, false) => Batched::Ascii,
                (true, true) => Batched::All,
            },
            delete: Delete::new(["delete", "delete-batch", "state"], &table, xmin, &recorded, always, holds, 1),
            delete_owned: Delete::new(
                ["delete-owned", "delete-owned-batch", "state-owned"],
                &table,
                xmin,
                &recorded,
                owned,
                owner,
                2,
            ),
            delete_unchanged: Delete::new(
                ["delete-unchanged", "delete-unchanged-batch", "state-unchanged"],
                &table,
                xmin,
                &recorded,
                unchanged,
                change,
                2,
            ),
            find: Query {
                name: "find",
                sql: format!(
                    "SELECT {}, {revision} FROM {table} WHERE {has_id}",
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

    /// Whether any delete can be part of a batch.
    pub(super) fn has_batches(&self) -> bool {
        self.batched != Batched::None
    }

    /// Whether a delete can be part of a batch. One with text that the database cannot store would make its batch fail.
    pub(super) fn can_batch(&self, id: &str, condition: &Condition) -> bool {
        let is_storable = |text: &str| !text.contains('\0') && (self.batched == Batched::All || text.is_ascii());
        self.has_batches() && is_storable(id) && operand(condition).is_none_or(is_storable)
    }
}

/// The text with which a condition compares.
pub(super) const fn operand(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::Any => None,
        Condition::OwnedBy(text) | Condition::Unchanged(text) => Some(text.as_str()),
    }
}

/// The first comparison uses the index, with the collation of the column. The second compares byte for byte: with a
/// nondeterministic collation, different ids are equal in the first.
fn has_id(id: &str) -> String {
    format!("learning_id = {id} AND learning_id = {id} COLLATE \"C\"")
}

/// The expressions of what is recorded of a deleted record: the owner and the type.
struct Recorded {
    owner: &'static str,
    learning_type: &'static str,
}

impl Recorded {
    const fn new(usable: Usable) -> Self {
        const NOTHING: &str = "NULL::text";
        Self {
            owner: if usable.is_utf8 { "user_id::text" } else { NOTHING },
            learning_type: if usable.is_utf8 && usable.can_read_type { "learning_type::text" } else { NOTHING },
        }
    }
}

impl Delete {
    /// `condition` returns the condition with an operand, `cases` the state of a row in relation to it. The statements have
    /// this number of parameters: the id, and the operand if there is one.
    fn new(
        names: [&'static str; 3],
        table: &str,
        xmin: &str,
        recorded: &Recorded,
        condition: impl Fn(&str) -> String,
        cases: impl Fn(&str) -> String,
        parameters: usize,
    ) -> Self {
        let [delete, batch, state] = names;
        let (types, arrays): (&[Type], &[Type]) = match parameters {
            1 => (&[Type::TEXT], &[Type::TEXT_ARRAY]),
            _ => (&[Type::TEXT, Type::TEXT], &[Type::TEXT_ARRAY, Type::TEXT_ARRAY]),
        };
        let (has_id, holds, state_cases) = (has_id("$1"), condition("$2"), cases("$2"));
        let Recorded { owner, learning_type } = recorded;
        let triggers = format!("pg_trigger WHERE tgrelid = '{}'::regclass", table.replace('\'', "''"));
        Self {
            delete: Query {
                name: delete,
                sql: format!(
                    "WITH deleted AS (DELETE FROM {table} WHERE {has_id} AND {holds}
                                      RETURNING {owner} AS owner, {learning_type} AS learning_type)
                     SELECT CASE WHEN EXISTS (SELECT 1 FROM deleted) THEN 'deleted'
                                 ELSE (SELECT CASE {state_cases} END FROM {table} WHERE {has_id}) END,
                            CASE WHEN NOT EXISTS (SELECT 1 FROM deleted)
                                 THEN (SELECT {xmin} FROM {table} WHERE {has_id}) END,
                            (txid_current_if_assigned() % 4294967296)::text,
                            EXISTS (SELECT 1 FROM {triggers} AND NOT tgisinternal),
                            (SELECT owner FROM deleted), (SELECT learning_type FROM deleted)"
                ),
                types,
            },
            batch: Query {
                name: batch,
                sql: batch_sql(
                    table,
                    recorded,
                    &triggers,
                    &condition("item.operand"),
                    &cases("item.operand"),
                    parameters,
                ),
                types: arrays,
            },
            state: Query {
                name: state,
                sql: format!("SELECT CASE {state_cases} END, {xmin} FROM {table} WHERE {has_id}"),
                types,
            },
        }
    }
}

/// The statement of a batch. Its parameters are arrays of the same length: ids, each at most once, and operands.
///
/// CockroachDB and YugabyteDB document `FOR UPDATE SKIP LOCKED`
/// (<https://www.cockroachlabs.com/docs/stable/select-for-update>,
/// <https://docs.yugabyte.com/stable/architecture/transactions/concurrency-control/>) and `unnest` of several arrays with
/// `WITH ORDINALITY` too (<https://www.cockroachlabs.com/docs/stable/functions-and-operators>,
/// <https://www.cockroachlabs.com/docs/stable/table-expressions>; YugabyteDB has PostgreSQL's own functions). It reads neither
/// `xmin` nor `ctid`. If a database refuses it, its deletes are executed one by one.
fn batch_sql(
    table: &str,
    recorded: &Recorded,
    triggers: &str,
    condition: &str,
    cases: &str,
    parameters: usize,
) -> String {
    let Recorded { owner, learning_type } = recorded;
    let (arrays, columns) = match parameters {
        1 => ("$1::text[]", "id, position"),
        _ => ("$1::text[], $2::text[]", "id, operand, position"),
    };
    // Bit 3 of the type is set for DELETE (`TRIGGER_TYPE_DELETE`).
    let has_triggers = format!("EXISTS (SELECT 1 FROM {triggers} AND (tgtype & 8) <> 0)");
    let has_id = has_id("item.id");
    // In the order of the ids, so that the actions of two statements follow one order too.
    format!(
        "WITH item AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS item ({columns})),
              locked AS (SELECT learning_id FROM item JOIN {table} AS learning ON {has_id}
                         WHERE {condition} AND NOT {has_triggers}
                         ORDER BY learning_id FOR UPDATE OF learning SKIP LOCKED),
              deleted AS (DELETE FROM {table} AS learning USING locked
                          WHERE learning.learning_id = locked.learning_id
                                AND learning.learning_id = locked.learning_id COLLATE \"C\"
                          RETURNING learning.learning_id, {owner} AS owner, {learning_type} AS learning_type)
         SELECT CASE WHEN deleted.learning_id IS NOT NULL THEN 'deleted'
                     ELSE (SELECT CASE {cases} END FROM {table} AS learning WHERE {has_id}) END,
                {has_triggers}, deleted.owner, deleted.learning_type
         FROM item LEFT JOIN deleted ON deleted.learning_id = item.id COLLATE \"C\"
         ORDER BY item.position"
    )
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
    let state = state(row.try_get(0).ok()?)?;
    Some(DeleteResult {
        record: deleted_record(&state, row, 4),
        state,
        xmin: row.try_get(1).ok()?,
        transaction: row.try_get(2).ok()?,
        has_triggers: row.try_get(3).ok()?,
    })
}

/// Reads the result of a batch of this length; `None` if no batch returns it.
pub(super) fn batch_result(rows: &[Row], length: usize) -> Option<BatchResult> {
    let deletion = |row: &Row| {
        let state = state(row.try_get(0).ok()?)?;
        let record = deleted_record(&state, row, 2);
        match state {
            State::Outcome(outcome) => Some(Some(Deletion { outcome, record })),
            State::ConditionHolds => Some(None),
        }
    };
    let deletions: Vec<Option<Deletion>> = rows.iter().map(deletion).collect::<Option<_>>()?;
    let has_triggers = rows.first()?.try_get(1).ok()?;
    (deletions.len() == length).then_some(BatchResult { deletions, has_triggers })
}

/// Reads what a deleted record had, from these columns on. A value that cannot be read changes nothing about the deletion.
fn deleted_record(state: &State, row: &Row, first: usize) -> Option<DeletedRecord> {
    let text = |index: usize| row.try_get::<_, Option<String>>(index).ok().flatten();
    matches!(state, State::Outcome(Outcome::Deleted))
        .then(|| DeletedRecord { owner: text(first), learning_type: text(first + 1) })
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
