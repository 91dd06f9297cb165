//! Every key with the value that applies and where it comes from, in a form that can be shown: secrets are masked.

use super::document::join;
use super::origin::{Origin, Origins};
use super::schema::Schema;
use serde_json::Value;
use std::collections::BTreeMap;

/// A section with its keys.
#[derive(Clone, Debug)]
pub struct EffectiveSection {
    /// Its name, such as `auth.jwt`.
    pub name: String,
    /// Whether it can be repeated, as `[[databases]]`.
    pub is_repeated: bool,
    /// Whether it is there. A section that is not has its keys too, without values.
    pub is_set: bool,
    /// Its keys, in the order of the documentation.
    pub keys: Vec<EffectiveKey>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct EffectiveKey {
    /// The path of the key, such as `databases[0].url`.
    pub path: String,
    /// Its name in its section.
    pub name: &'static str,
    /// The value. `None` if the key is not set and has no default.
    pub value: Option<Value>,
    /// Where the value comes from. There are several origins if elements of an array or a table have their own.
    pub origins: Vec<Origin>,
}

/// Values that come from somewhere else than their own key: the path of the key, the value, and the origin.
pub(super) type Derived = BTreeMap<String, (Value, Origin)>;

/// Lists every key of the schema. `values` are the values with their types.
pub(super) fn list(schema: &Schema, values: &Value, origins: &Origins, derived: &Derived) -> Vec<EffectiveSection> {
    let mut list = List { origins, derived, sections: Vec::new() };
    if let Schema::Section(sections) = schema {
        for (name, schema) in sections {
            list.add(name, name, schema, values.get(name));
        }
    }
    list.sections
}

struct List<'a> {
    origins: &'a Origins,
    derived: &'a Derived,
    sections: Vec<EffectiveSection>,
}

impl List<'_> {
    /// Adds the sections at this path, if there are any.
    fn add(&mut self, name: &str, path: &str, schema: &Schema, value: Option<&Value>) {
        if let Schema::Section(keys) = schema {
            self.add_section(name, path, false, keys, value.filter(|value| value.is_object()));
        } else if let Some(keys) = schema.element_keys() {
            let elements = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for (index, element) in elements.iter().enumerate() {
                self.add_section(name, &format!("{path}[{index}]"), true, keys, Some(element));
            }
            if elements.is_empty() {
                self.add_section(name, path, true, keys, None);
            }
        }
    }

    fn add_section(
        &mut self,
        name: &str,
        path: &str,
        is_repeated: bool,
        keys: &[(&'static str, Schema)],
        value: Option<&Value>,
    ) {
        let is_section = |schema: &Schema| matches!(schema, Schema::Section(_)) || schema.element_keys().is_some();
        let get = |key: &str| value.and_then(|value| value.get(key));
        let values = keys.iter().filter(|(_, schema)| !is_section(schema));
        let values = values.map(|(key, _)| self.key(join(path, key), key, get(key))).collect();
        self.sections.push(EffectiveSection {
            name: name.to_owned(),
            is_repeated,
            is_set: value.is_some(),
            keys: values,
        });
        for (key, schema) in keys.iter().filter(|(_, schema)| is_section(schema)) {
            self.add(&join(name, key), &join(path, key), schema, get(key));
        }
    }

    fn key(&self, path: String, name: &'static str, value: Option<&Value>) -> EffectiveKey {
        if let Some((value, origin)) = self.derived.get(&path) {
            return EffectiveKey { path, name, value: Some(value.clone()), origins: vec![origin.clone()] };
        }
        let value = value.filter(|value| !value.is_null()).cloned();
        let mut origins: Vec<Origin> = self.origins.of_value(&path).into_iter().cloned().collect();
        if origins.is_empty() && value.is_some() {
            origins.push(Origin::Default);
        }
        EffectiveKey { path, name, value, origins }
    }
}
