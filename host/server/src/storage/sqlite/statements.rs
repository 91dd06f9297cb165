//! The SQL statements on the table.

use crate::hex::hex;
use crate::storage::columns::{COLUMNS, quote};
use aws_lc_rs::digest::{Context, SHA256};
use delete_learning::storage::{DeletedRecord, Deletion};
use delete_learning::{Condition, Learning, Outcome};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

/// The statements on one table. Each connection prepares them once.
pub(super) struct Statements {
    delete: String,
    delete_owned: String,
    owner: String,
    recorded: String,
    find: String,
}

/// The result of a delete.
pub(super) enum DeleteResult {
    Deletion(Deletion),
    /// The condition holds, and a trigger retained the record.
    Vetoed,
}

impl Statements {
    pub(super) fn new(table: &str) -> Self {
        let table = quote(table);
        let columns = COLUMNS.map(|(name, ..)| name).join(", ");
        // The first comparison uses the index, with the collation of the column. The second compares byte for byte.
        let has_id = "learning_id = ?1 AND learning_id = ?1 COLLATE BINARY";
        Self {
            delete: format!("DELETE FROM {table} WHERE {has_id}"),
            delete_owned: format!("DELETE FROM {table} WHERE {has_id} AND user_id = ?2 COLLATE BINARY"),
            owner: format!("SELECT user_id FROM {table} WHERE {has_id}"),
            recorded: format!("SELECT user_id, learning_type FROM {table} WHERE {has_id}"),
            find: format!("SELECT {columns} FROM {table} WHERE {has_id}"),
        }
    }

    /// Checks that SQLite can compile the statements: it must know the collations and functions that the table, its
    /// indexes and its triggers use.
    pub(super) fn check(&self, connection: &Connection) -> rusqlite::Result<()> {
        for sql in self.all() {
            connection.prepare(sql)?;
        }
        Ok(())
    }

    fn all(&self) -> [&str; 5] {
        [&self.delete, &self.delete_owned, &self.owner, &self.recorded, &self.find]
    }

    /// Whether the database has triggers, which can retain a record that a statement deleted.
    pub(super) fn has_triggers(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut statement = connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' LIMIT 1")?;
        statement.exists([])
    }

    /// Deletes the record if the condition holds, and reports what is true afterwards, with what is recorded of the record if
    /// that is wanted. It is atomic only in a transaction that holds the write lock.
    pub(super) fn delete(
        &self,
        connection: &Connection,
        id: &str,
        condition: &Condition,
        is_recorded: bool,
        has_triggers: bool,
    ) -> rusqlite::Result<DeleteResult> {
        let outcome = |outcome: Outcome| DeleteResult::Deletion(outcome.into());
        // Read before, because RETURNING takes more time, and because a trigger can change the record first.
        let record = if is_recorded { query(connection, &self.recorded, id, recorded)? } else { None };
        let is_deleted = match condition {
            Condition::Any => execute(connection, &self.delete, &[&id])?,
            Condition::OwnedBy(user) => execute(connection, &self.delete_owned, &[&id, user])?,
            Condition::Unchanged(expected) => match query(connection, &self.find, id, revision)? {
                Some(found) if found == *expected => execute(connection, &self.delete, &[&id])?,
                Some(_) => return Ok(outcome(Outcome::Changed)),
                None => return Ok(outcome(Outcome::Absent)),
            },
        };
        let record = record.filter(|_| is_deleted);
        if is_deleted && !has_triggers {
            return Ok(DeleteResult::Deletion(Deletion { outcome: Outcome::Deleted, record }));
        }
        // The transaction still sees the state that the delete left.
        let mut statement = connection.prepare_cached(&self.owner)?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else {
            let outcome = if is_deleted { Outcome::Deleted } else { Outcome::Absent };
            return Ok(DeleteResult::Deletion(Deletion { outcome, record }));
        };
        Ok(match (condition, row.get_ref(0)?) {
            _ if is_deleted => DeleteResult::Vetoed,
            (Condition::OwnedBy(_), ValueRef::Null) => outcome(Outcome::Unowned),
            (Condition::OwnedBy(user), owner) if owner != ValueRef::Text(user.as_bytes()) => {
                outcome(Outcome::OwnedByAnother)
            }
            _ => DeleteResult::Vetoed,
        })
    }

    pub(super) fn find(&self, connection: &Connection, id: &str) -> rusqlite::Result<Option<Learning>> {
        query(connection, &self.find, id, learning)
    }
}

/// Executes a delete. Returns whether it deleted the record.
fn execute(connection: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)? > 0)
}

/// Reads the record with this id.
fn query<T>(
    connection: &Connection,
    sql: &str,
    id: &str,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row([id], read).optional()
}

/// Reads what is recorded of a record.
fn recorded(row: &Row<'_>) -> rusqlite::Result<DeletedRecord> {
    Ok(DeletedRecord { owner: text(row, 0)?, learning_type: text(row, 1)? })
}

/// Reads a row of [`COLUMNS`].
fn learning(row: &Row<'_>) -> rusqlite::Result<Learning> {
    Ok(Learning {
        learning_type: text(row, 1)?.unwrap_or_default(),
        namespace: text(row, 2)?,
        user_id: text(row, 3)?,
        agent_id: text(row, 4)?,
        team_id: text(row, 5)?,
        workflow_id: text(row, 6)?,
        session_id: text(row, 7)?,
        entity_id: text(row, 8)?,
        entity_type: text(row, 9)?,
        content: text(row, 10)?.unwrap_or_default(),
        metadata: text(row, 11)?,
        created_at: row.get::<_, Option<i64>>(12)?.unwrap_or_default(),
        updated_at: row.get(13)?,
        revision: revision(row)?,
    })
}

/// Reads a text column. SQLite can store another type than the column declares; such a value is converted to text.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

/// The SHA-256 of every column with its type and length, so that two states of a row never have the same revision.
fn revision(row: &Row<'_>) -> rusqlite::Result<String> {
    let mut context = Context::new(&SHA256);
    for index in 0..COLUMNS.len() {
        let (kind, bytes) = match row.get_ref(index)? {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(number) => (1, &number.to_be_bytes()[..]),
            ValueRef::Real(number) => (2, &number.to_bits().to_be_bytes()[..]),
            ValueRef::Text(bytes) => (3, bytes),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        context.update(&[kind]);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    }
    Ok(hex(context.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::Statements;
    use crate::storage::sqlite::{DatabaseFile, SqliteOptions, schema};

    /// A statement that scans the table would take minutes on millions of records.
    #[test]
    fn every_statement_finds_the_record_by_the_index() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = DatabaseFile::new(&directory.path().join("a.db"), "t", &SqliteOptions::default());
        let connection = schema::Schema::new(true).open(&file).unwrap();
        let statements = Statements::new("t");
        for sql in statements.all() {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = vec!["a"; plan.parameter_count()];
            let step: String = plan.query_row(rusqlite::params_from_iter(parameters), |row| row.get(3)).unwrap();
            assert!(step.starts_with("SEARCH t USING INDEX sqlite_autoindex_t_1 (learning_id=?)"), "{sql}: {step}");
        }
    }
}
