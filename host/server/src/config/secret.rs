//! Secrets. Neither their errors nor their `Debug` output contain them, and serializing them masks them.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// What is shown in place of a secret.
pub(super) const MASK: &str = "***";
/// The name of the type [`Secret`] for `schema.rs`.
pub(super) const ONE: &str = "Secret";

/// A secret, or a string that can contain one, such as a database URL with a password.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// A list of secrets. A single one can be written without brackets.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(super) fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Secret::expose)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secrets)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl Serialize for Secrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

/// Deserializes a `toml::Value`, which accepts any type: serde's error about a wrong type contains the value.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = toml::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a secret")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<toml::Value, D::Error> {
        toml::Value::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_newtype_struct(ONE, AnyValue)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("must be text in quotes")),
        }
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("must be a list of texts in quotes");
        let values = match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(values) => values,
            one => vec![one],
        };
        let text = |value| match value {
            toml::Value::String(text) => Ok(Secret(text)),
            _ => Err(wrong()),
        };
        values.into_iter().map(text).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, Secrets};

    #[test]
    fn secret_is_not_printed() {
        let secret = || Secret("hunter2".to_owned());
        assert_eq!(format!("{:?} {:?}", secret(), Secrets(vec![secret()])), "(secret) (secrets)");
    }
}
