//! The values of the environment: `DELETE_LEARNING_SERVER__LISTEN` is the key `server.listen`, and
//! `DELETE_LEARNING_DATABASES__0__URL` the key `url` of the first database.
//!
//! The crates `config` and `figment` do this too. They guess the type of a value from its text, so that a key for a text does not
//! take the text `true`; they pass over the variables of no key; and their errors have no line of the file.

use super::document::{Document, join};
use super::environment::{Environment, PREFIX};
use super::error::ConfigError;
use super::nearest::{nearest_variable, variables};
use super::origin::Origin;
use super::schema::Schema;

/// A step to a value.
enum Step {
    Key(String),
    Index(usize),
}

/// Sets the values of the environment, which replace those of the file.
pub(super) fn merge(document: &mut Document, schema: &Schema, environment: &Environment) -> Result<(), ConfigError> {
    let mut all: Vec<_> = environment.keys().collect();
    // A whole array comes before its elements, and the elements come in their order.
    all.sort_by_cached_key(|(name, _)| {
        let order = |segment: &str| (segment.parse().unwrap_or(usize::MAX), segment.to_owned());
        (name.split("__").count(), name.split("__").map(order).collect::<Vec<_>>())
    });
    for (name, text) in all {
        let variable = format!("{PREFIX}{name}");
        let origin = Origin::Variable(variable.clone());
        let error =
            |key: String, reason: String| ConfigError { origin: Origin::Variable(variable.clone()), key, reason };
        let segments: Vec<&str> = name.split("__").collect();
        let mut steps = Vec::new();
        let Some(schema) = resolve(schema, &segments, &mut steps) else {
            let hint = nearest_variable(&name, &variables(schema, &segments))
                .map(|nearest| format!("did you mean {PREFIX}{nearest}?"));
            let hint = hint.unwrap_or_else(|| "`delete-learning example-config` prints every key".to_owned());
            return Err(error(name.to_ascii_lowercase().replace("__", "."), format!("unknown key; {hint}")));
        };
        let path = path(&steps);
        let text = text.ok_or_else(|| error(path.clone(), "is not UTF-8 text".to_owned()))?;
        let value = parse(schema, text).ok_or_else(|| error(path.clone(), expected(schema, &variable)))?;
        let table = std::mem::take(&mut document.table);
        let mut root = toml::Value::Table(table);
        insert(&mut root, &steps, value).map_err(|reason| error(path.clone(), reason))?;
        if let toml::Value::Table(table) = root {
            document.table = table;
        }
        document.origins.replace(&path, origin.clone());
        let mut around = path.as_str();
        while let Some(section) = around.rfind(['.', '[']).and_then(|end| around.get(..end)) {
            document.origins.add(section, origin.clone());
            around = section;
        }
    }
    Ok(())
}

/// Finds the value that a variable sets. Returns `None` if it is not one value.
fn resolve<'a>(schema: &'a Schema, segments: &[&str], steps: &mut Vec<Step>) -> Option<&'a Schema> {
    let Some((first, rest)) = segments.split_first() else {
        let is_one = !matches!(schema, Schema::Section(_)) && schema.element_keys().is_none();
        return is_one.then_some(schema);
    };
    let index = || first.parse().ok().filter(|index: &usize| index.to_string() == **first).map(Step::Index);
    match schema {
        Schema::Section(keys) => {
            let (key, schema) = keys.iter().find(|(key, _)| key.to_ascii_uppercase() == **first)?;
            steps.push(Step::Key((*key).to_owned()));
            resolve(schema, rest, steps)
        }
        Schema::List(element) => {
            steps.push(index()?);
            resolve(element, rest, steps)
        }
        Schema::TextOrTexts => {
            steps.push(index()?);
            rest.is_empty().then_some(&Schema::Text)
        }
        // The names in it are not known; each name is in lower case.
        Schema::Map => {
            steps.extend(segments.iter().map(|segment| Step::Key(segment.to_ascii_lowercase())));
            segments.iter().all(|segment| !segment.is_empty()).then_some(&Schema::Text)
        }
        _ => None,
    }
}

fn path(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) => join(&path, key),
        Step::Index(index) => format!("{path}[{index}]"),
    })
}

/// Parses a value as its key requires. A text is taken as it is.
fn parse(schema: &Schema, text: &str) -> Option<toml::Value> {
    match schema {
        Schema::Text | Schema::Choice(_) => Some(text.into()),
        Schema::TextOrTexts if !text.trim_start().starts_with('[') => Some(text.into()),
        Schema::Boolean => text.trim().parse::<bool>().ok().map(Into::into),
        Schema::Integer => text.trim().parse::<i64>().ok().map(Into::into),
        Schema::Float => text.trim().parse::<f64>().ok().map(Into::into),
        Schema::List(_) | Schema::TextOrTexts => text.trim().parse().ok().filter(toml::Value::is_array),
        Schema::Map | Schema::Section(_) => text.trim().parse().ok().filter(toml::Value::is_table),
    }
}

fn expected(schema: &Schema, variable: &str) -> String {
    match schema {
        Schema::Boolean => "must be true or false".to_owned(),
        Schema::Integer => "must be an integer".to_owned(),
        Schema::Float => "must be a number".to_owned(),
        Schema::Map | Schema::Section(_) => "must be a table such as { name = \"value\" }".to_owned(),
        _ => format!("must be an array such as [\"a\", \"b\"]; or set its elements, {variable}__0 and so on"),
    }
}

/// Sets the value at the end of the steps.
fn insert(place: &mut toml::Value, steps: &[Step], value: toml::Value) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *place = value;
        return Ok(());
    };
    let new = match rest.first() {
        Some(Step::Key(_)) => toml::Value::Table(toml::Table::new()),
        Some(Step::Index(_)) => toml::Value::Array(Vec::new()),
        None => toml::Value::Boolean(false),
    };
    match step {
        Step::Key(key) => {
            let table =
                place.as_table_mut().ok_or("cannot be set, because the file has a value in place of the section")?;
            insert(table.entry(key.as_str()).or_insert(new), rest, value)
        }
        Step::Index(index) => {
            // A single text can be written without brackets.
            if place.is_str() {
                *place = toml::Value::Array(vec![place.clone()]);
            }
            let array =
                place.as_array_mut().ok_or("cannot be set, because the file has a value in place of the array")?;
            if *index == array.len() {
                array.push(new);
            }
            let length = array.len();
            let place = array.get_mut(*index);
            let place =
                place.ok_or_else(|| format!("cannot be set, because the array has {length} elements before it"))?;
            insert(place, rest, value)
        }
    }
}
