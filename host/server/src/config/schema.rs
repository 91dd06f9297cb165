//! The keys that a configuration can have, and the types of their values. They are found by deserializing the types of the
//! configuration from nothing: each type requests what it is made of, its fields by name, from [`Probe`]. So a key needs no
//! more than a field.

use super::secret;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a key can have as its value.
#[derive(Debug)]
pub(super) enum Schema {
    /// A table with these keys, in the order of their declaration.
    Section(Vec<(&'static str, Schema)>),
    /// An array.
    List(Box<Schema>),
    /// A table with any keys.
    Map,
    Boolean,
    Integer,
    Float,
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A text, or an array of texts.
    TextOrTexts,
}

impl Schema {
    /// The keys of a type.
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        find::<T>(&mut Vec::new())
    }

    /// The keys of the elements if this is an array of tables.
    pub(super) fn element_keys(&self) -> Option<&[(&'static str, Self)]> {
        match self {
            Self::List(element) => match element.as_ref() {
                Self::Section(keys) => Some(keys),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A step from a type to a part of it.
#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Element,
}

/// What is at the end of a path.
enum Found {
    Struct(&'static [&'static str]),
    Sequence,
    Value(Schema),
}

fn find<T: DeserializeOwned>(path: &mut Vec<Step>) -> Schema {
    let mut found = None;
    // It always fails, so that no value is needed.
    let _ = T::deserialize(Probe { path: path.as_slice(), found: &mut found });
    match found {
        Some(Found::Value(schema)) => schema,
        Some(Found::Sequence) => Schema::List(Box::new(find_at::<T>(path, Step::Element))),
        Some(Found::Struct(fields)) => {
            Schema::Section(fields.iter().map(|field| (*field, find_at::<T>(path, Step::Field(field)))).collect())
        }
        None => Schema::TextOrTexts,
    }
}

fn find_at<T: DeserializeOwned>(path: &mut Vec<Step>, step: Step) -> Schema {
    path.push(step);
    let schema = find::<T>(path);
    path.pop();
    schema
}

/// A deserializer that follows a path and then records what is requested.
struct Probe<'a> {
    path: &'a [Step],
    found: &'a mut Option<Found>,
}

impl<'a> Probe<'a> {
    fn end<T>(self, found: Found) -> Result<T, Probed> {
        *self.found = Some(found);
        Err(Probed)
    }

    fn value<T>(self, schema: Schema) -> Result<T, Probed> {
        self.end(Found::Value(schema))
    }

    fn follow(self) -> Option<(Step, Self)> {
        let (step, path) = self.path.split_first()?;
        Some((*step, Self { path, found: self.found }))
    }
}

/// The error at the end of the path.
#[derive(Debug)]
struct Probed;

impl fmt::Display for Probed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("probed")
    }
}

impl std::error::Error for Probed {}

impl Error for Probed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! values {
    ($($schema:ident: $($method:ident)+,)+) => {$($(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Probed> {
            self.value(Schema::$schema)
        }
    )+)+};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Probed;

    values! {
        Boolean: deserialize_bool,
        Integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128,
        Float: deserialize_f32 deserialize_f64,
        Text: deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
            deserialize_identifier deserialize_unit,
        Map: deserialize_map,
        TextOrTexts: deserialize_any deserialize_ignored_any,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Probed> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Probed> {
        self.value(Schema::Text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Probed> {
        match name {
            secret::ONE => self.value(Schema::Text),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Probed> {
        if self.path.is_empty() {
            return self.end(Found::Sequence);
        }
        visitor.visit_seq(Part(self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Probed> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Probed> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Probed> {
        if self.path.is_empty() {
            return self.end(Found::Struct(fields));
        }
        visitor.visit_map(Part(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Probed> {
        self.value(Schema::Choice(variants))
    }
}

/// A table or an array with the one part that the path continues with.
struct Part<'a>(Probe<'a>);

impl<'de> MapAccess<'de> for Part<'_> {
    type Error = Probed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Probed> {
        match self.0.path.first() {
            Some(Step::Field(name)) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            _ => Err(Probed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Probed> {
        let probe = Probe { path: self.0.path, found: &mut *self.0.found };
        let (_, probe) = probe.follow().ok_or(Probed)?;
        seed.deserialize(probe)
    }
}

impl<'de> SeqAccess<'de> for Part<'_> {
    type Error = Probed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Probed> {
        self.next_value_seed(seed).map(Some)
    }
}
