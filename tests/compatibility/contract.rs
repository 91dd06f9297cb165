//! Compares two texts of the contract without comments and layout.

use std::collections::{BTreeMap, BTreeSet};

/// The interfaces and worlds of a WIT package.
pub struct Contract {
    /// The name of the package with its version, for example `learnings:plugin@0.1.0`.
    pub package: String,
    /// The types, functions, imports and exports of each interface and world, by its `interface NAME` or `world NAME`.
    items: BTreeMap<String, BTreeSet<String>>,
}

/// The differences between two contracts.
#[derive(Debug, Default)]
pub struct Changes {
    /// Changes of existing interfaces and worlds. They need a new version.
    pub breaking: Vec<String>,
    /// New interfaces and worlds.
    pub additions: Vec<String>,
}

impl Contract {
    /// Parses the text of one package.
    pub fn parse(wit: &str) -> Self {
        let (mut package, mut items) = (String::new(), BTreeMap::new());
        let wit = without_comments(wit);
        for statement in statements(&wit) {
            if let Some(name) = statement.strip_prefix("package ") {
                package = name.trim_end_matches(';').to_owned();
                continue;
            }
            let (name, members) = statement.split_once('{').expect("an interface or a world");
            let members = statements(members.trim_end_matches('}')).into_iter().map(without_layout).collect();
            assert!(items.insert(name.trim().to_owned(), members).is_none(), "{name} is defined twice");
        }
        Self { package, items }
    }

    /// Returns what is different in `new`.
    pub fn changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for (name, members) in &self.items {
            let Some(new) = new.items.get(name) else {
                changes.breaking.push(format!("- {name}"));
                continue;
            };
            changes.breaking.extend(members.difference(new).map(|member| format!("- {name}: {member}")));
            changes.breaking.extend(new.difference(members).map(|member| format!("+ {name}: {member}")));
        }
        let added = new.items.keys().filter(|name| !self.items.contains_key(*name));
        changes.additions.extend(added.map(|name| format!("+ {name}")));
        changes
    }
}

/// Removes comments and empty lines.
pub fn without_comments(wit: &str) -> String {
    assert!(!wit.contains("/*"), "block comments are not supported; use `//` or `///`");
    let lines = wit.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// Splits a text into its statements. A statement ends with `;` or a block, outside of all other blocks.
fn statements(text: &str) -> Vec<&str> {
    let (mut statements, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            statements.push(text[start..=at].trim());
            start = at + 1;
        }
    }
    assert!(depth == 0 && text[start..].trim().is_empty(), "incomplete: {}", &text[start..]);
    // The end of `use types.{request};` after its block.
    statements.retain(|statement| *statement != ";");
    statements
}

/// Removes white space, except between two words, and a comma after the last case or field.
fn without_layout(statement: &str) -> String {
    let is_word = |character: char| character.is_alphanumeric() || character == '-';
    let mut text = String::new();
    for part in statement.split_whitespace() {
        if text.ends_with(is_word) && part.starts_with(is_word) {
            text.push(' ');
        }
        text.push_str(part);
    }
    text.replace(",}", "}")
}
