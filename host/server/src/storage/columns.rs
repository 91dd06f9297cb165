//! The columns of Agno's table of learnings. Databases differ only in the names of the column types.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Json,
    /// Seconds since 1970-01-01T00:00:00Z.
    Timestamp,
}

/// A column: its name, its type, and whether it is `NOT NULL`.
pub(super) type Column = (&'static str, ColumnType, bool);

/// The columns in the order in which they are read. The first is the primary key.
pub(super) const COLUMNS: [Column; 14] = [
    ("learning_id", ColumnType::Text, true),
    ("learning_type", ColumnType::Text, true),
    ("namespace", ColumnType::Text, false),
    ("user_id", ColumnType::Text, false),
    ("agent_id", ColumnType::Text, false),
    ("team_id", ColumnType::Text, false),
    ("workflow_id", ColumnType::Text, false),
    ("session_id", ColumnType::Text, false),
    ("entity_id", ColumnType::Text, false),
    ("entity_type", ColumnType::Text, false),
    ("content", ColumnType::Json, true),
    ("metadata", ColumnType::Json, false),
    ("created_at", ColumnType::Timestamp, true),
    ("updated_at", ColumnType::Timestamp, false),
];

/// The columns that conditions compare, byte for byte.
pub(super) const COMPARED: [&str; 2] = ["learning_id", "user_id"];

/// Columns that Agno does not index. The primary key has its own index.
const NOT_INDEXED: [&str; 4] = ["learning_id", "content", "metadata", "updated_at"];

/// Quotes a name as an SQL identifier. Only names from the configuration are ever quoted.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statements that create the table and its indexes as Agno does, if they do not exist. `qualified` is the table as
/// SQL refers to it, `table` its bare name, and `type_name` the database's name of a column type.
pub(super) fn create_statements(
    qualified: &str,
    table: &str,
    type_name: impl Fn(ColumnType) -> &'static str,
) -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, column_type, not_null)| {
            format!("{name} {}{}", type_name(*column_type), if *not_null { " NOT NULL" } else { "" })
        })
        .collect();
    let mut sql =
        format!("CREATE TABLE IF NOT EXISTS {qualified} ({}, PRIMARY KEY (learning_id));", columns.join(", "));
    for (name, ..) in COLUMNS.iter().filter(|(name, ..)| !NOT_INDEXED.contains(name)) {
        let index = quote(&format!("idx_{table}_{name}"));
        sql += &format!(" CREATE INDEX IF NOT EXISTS {index} ON {qualified} ({name});");
    }
    sql
}
