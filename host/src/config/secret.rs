//! Text that must not be shown. Errors about it, and the debug form, do not hold it.

use serde::de::{Deserialize, Deserializer, Error};
use std::fmt;

/// A secret, or a text that may hold one, such as a database's address with a password in it.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// Several secrets; one may be written without the brackets of a list.
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

// Both go through `toml::Value`, which takes anything: serde's own error about a wrong type would show the value.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
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
