//! The values of a configuration before they have their types: those of the file, with those of the environment.

use super::error::ConfigError;
use super::origin::{Origin, Origins};
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// The values, and where each comes from.
#[derive(Default)]
pub(super) struct Document {
    pub(super) table: toml::Table,
    pub(super) origins: Origins,
}

impl Document {
    /// Parses a file. The error contains no line of the file, which can contain a secret.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path: Arc<Path> = path.into();
        let syntax_error = |error: toml::de::Error| {
            let key = error.span().map_or_else(|| "file".to_owned(), |span| format!("line {}", line(text, span.start)));
            let origin = Origin::File { path: Arc::clone(&path), line: None };
            ConfigError { origin, key, reason: error.message().to_owned() }
        };
        let table = text.parse().map_err(syntax_error)?;
        let spans = DeTable::parse(text).map_err(syntax_error)?;
        let mut origins = Origins::default();
        add_table(spans.get_ref(), "", &mut |key, offset| {
            origins.add(key, Origin::File { path: Arc::clone(&path), line: Some(line(text, offset)) });
        });
        Ok(Self { table, origins })
    }
}

/// The number of the line with this byte.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn add_table(table: &DeTable<'_>, prefix: &str, add: &mut impl FnMut(&str, usize)) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        add(&path, key.span().start);
        match value.get_ref() {
            DeValue::Table(table) => add_table(table, &path, add),
            DeValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    if let DeValue::Table(table) = value.get_ref() {
                        let path = format!("{path}[{index}]");
                        add(&path, value.span().start);
                        add_table(table, &path, add);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The path of a key in a section. A key without a name is written as in TOML.
pub(super) fn join(section: &str, key: &str) -> String {
    let key = if key.is_empty() { "\"\"" } else { key };
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
