//! The columns of Agno's table of learnings, the same in every database but for the names of their types.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Json,
    /// Seconds since 1970.
    Time,
}

/// A column: its name, what it holds, and whether a record must have it.
pub(super) type Column = (&'static str, Kind, bool);

/// The columns in the order in which they are read. The key is first.
pub(super) const COLUMNS: [Column; 14] = [
    ("learning_id", Kind::Text, true),
    ("learning_type", Kind::Text, true),
    ("namespace", Kind::Text, false),
    ("user_id", Kind::Text, false),
    ("agent_id", Kind::Text, false),
    ("team_id", Kind::Text, false),
    ("workflow_id", Kind::Text, false),
    ("session_id", Kind::Text, false),
    ("entity_id", Kind::Text, false),
    ("entity_type", Kind::Text, false),
    ("content", Kind::Json, true),
    ("metadata", Kind::Json, false),
    ("created_at", Kind::Time, true),
    ("updated_at", Kind::Time, false),
];

/// Columns that Agno does not index; the key has its own index.
const NOT_INDEXED: [&str; 4] = ["learning_id", "content", "metadata", "updated_at"];

/// A name as an SQL identifier. Only names from the configuration get here.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statements that make the table and its indexes as Agno does, where they are not there. `place` is the table as
/// SQL names it, `table` its bare name, and `type_name` what the database calls a kind of column.
pub(super) fn creation(place: &str, table: &str, type_name: impl Fn(Kind) -> &'static str) -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, kind, required)| {
            format!("{name} {}{}", type_name(*kind), if *required { " NOT NULL" } else { "" })
        })
        .collect();
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {place} ({}, PRIMARY KEY (learning_id));", columns.join(", "));
    for (name, ..) in COLUMNS.iter().filter(|(name, ..)| !NOT_INDEXED.contains(name)) {
        let index = quoted(&format!("idx_{table}_{name}"));
        sql += &format!(" CREATE INDEX IF NOT EXISTS {index} ON {place} ({name});");
    }
    sql
}
