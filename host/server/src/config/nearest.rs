//! Keys and values that the configuration does not have, and what was probably meant.

use super::document::join;
use super::schema::Schema;

/// A key or a value that does not exist: its path, and the reason.
pub(super) type Unknown = (String, String);

/// Finds the first unknown key, or unknown value of a key with a choice.
pub(super) fn find_unknown(table: &toml::Table, schema: &Schema) -> Option<Unknown> {
    in_table(table, schema, "", schema)
}

fn in_table(table: &toml::Table, schema: &Schema, path: &str, root: &Schema) -> Option<Unknown> {
    let Schema::Section(keys) = schema else { return None };
    table.iter().find_map(|(name, value)| {
        let path_of_key = join(path, name);
        match keys.iter().find(|(key, _)| key == name) {
            Some((_, schema)) => in_value(value, schema, &path_of_key, root),
            None => Some((path_of_key, format!("unknown key; {}", hint(name, keys, path, root)))),
        }
    })
}

fn in_value(value: &toml::Value, schema: &Schema, path: &str, root: &Schema) -> Option<Unknown> {
    match (schema, value) {
        (Schema::Section(_), toml::Value::Table(table)) => in_table(table, schema, path, root),
        (Schema::List(element), toml::Value::Array(values)) => values
            .iter()
            .enumerate()
            .find_map(|(index, value)| in_value(value, element, &format!("{path}[{index}]"), root)),
        (Schema::Choice(choices), toml::Value::String(text)) if !choices.contains(&text.as_str()) => {
            Some((path.to_owned(), not_a_choice(text, choices)))
        }
        _ => None,
    }
}

/// The reason for refusing a value that is not one of the choices.
pub(super) fn not_a_choice(text: &str, choices: &[&str]) -> String {
    let list = choices.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(", ");
    let meant = nearest(text, choices.iter().copied());
    meant.map_or_else(
        || format!("must be one of {list}"),
        |meant| format!("must be one of {list}; did you mean {meant:?}?"),
    )
}

fn hint(name: &str, keys: &[(&'static str, Schema)], section: &str, root: &Schema) -> String {
    if let Some(near) = nearest(name, keys.iter().map(|(key, _)| *key)) {
        return format!("did you mean {near:?}?");
    }
    let mut elsewhere = Vec::new();
    paths(root, "", &mut |path| elsewhere.push(path.to_owned()));
    if let Some(path) = elsewhere.iter().find(|path| path.rsplit('.').next() == Some(name)) {
        return format!("did you mean {path:?}?");
    }
    let place = if section.is_empty() { "there are the sections" } else { "there are" };
    format!("{place} {}", keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", "))
}

/// Calls `add` with the path of each key. The elements of arrays have no index.
fn paths(schema: &Schema, path: &str, add: &mut impl FnMut(&str)) {
    match (schema, schema.element_keys()) {
        (Schema::Section(keys), _) => keys.iter().for_each(|(key, schema)| paths(schema, &join(path, key), add)),
        (_, Some(keys)) => keys.iter().for_each(|(key, schema)| paths(schema, &join(path, key), add)),
        _ => add(path),
    }
}

/// The name that is most similar, if one is similar enough to be meant.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| {
        let is_start = name.len().min(other.len()) >= 3 && (other.starts_with(name) || name.starts_with(other));
        if is_start { 1 } else { strsim::osa_distance(name, other) }
    };
    let near = names.map(|other| (distance(other), other));
    let near = near.filter(|(distance, other)| *distance <= name.len().max(other.len()).div_ceil(3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

/// The names of all variables, without their prefix. The elements of arrays have the indexes of these segments.
pub(super) fn variables(schema: &Schema, segments: &[&str]) -> Vec<String> {
    let index = segments.iter().find_map(|segment| segment.parse::<usize>().ok()).unwrap_or_default();
    let mut names = Vec::new();
    add_variables(schema, "", &index.to_string(), &mut names);
    names
}

fn add_variables(schema: &Schema, name: &str, index: &str, names: &mut Vec<String>) {
    let within = |name: &str, key: &str| {
        if name.is_empty() { key.to_ascii_uppercase() } else { format!("{name}__{}", key.to_ascii_uppercase()) }
    };
    match (schema, schema.element_keys()) {
        (Schema::Section(keys), _) => {
            keys.iter().for_each(|(key, schema)| add_variables(schema, &within(name, key), index, names));
        }
        (_, Some(keys)) => {
            let name = format!("{name}__{index}");
            keys.iter().for_each(|(key, schema)| add_variables(schema, &within(&name, key), index, names));
        }
        _ => names.push(name.to_owned()),
    }
}

/// The variable that is most similar: the first of a section, one with the same last segment, or one with few other letters.
pub(super) fn nearest_variable<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let of_section = names.iter().find(|other| other.starts_with(&format!("{name}__")));
    let of_key = || names.iter().find(|other| other.ends_with(&format!("__{name}")));
    let near = || nearest(name, names.iter().map(String::as_str));
    of_section.or_else(of_key).map(String::as_str).or_else(near)
}
