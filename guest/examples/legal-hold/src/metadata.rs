//! Reads `legal_hold` from JSON without storing the rest of it.

use alloc::string::String;
use core::fmt;
use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether a JSON text is an object with the member `"legal_hold": true`. If the object has several members with this name,
/// one of them is enough.
///
/// # Errors
/// Fails if the text is not valid JSON, or if a value of `legal_hold` is not `true`, `false` or `null`.
pub(crate) fn has_legal_hold(json: &str) -> Result<bool, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let is_held = deserializer.deserialize_any(TopLevel)?;
    deserializer.end()?;
    Ok(is_held)
}

/// The text as a whole.
struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut is_held = false;
        while let Some(name) = members.next_key::<String>()? {
            if name == "legal_hold" {
                is_held |= members.next_value::<Option<bool>>()?.unwrap_or(false);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(is_held)
    }

    // Everything else that is valid JSON has no members.
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }
}
