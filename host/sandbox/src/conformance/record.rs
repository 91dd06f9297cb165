//! A record of a case: an owner, or an object with any of the columns.

use crate::contract::Learning;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

/// A record of a case. Columns that it does not give have the values of [`Learning::owned_by`].
#[derive(Clone, Debug)]
pub(super) struct Record(pub(super) Learning);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Columns {
    owner: Option<String>,
    learning_type: Option<String>,
    namespace: Option<String>,
    agent_id: Option<String>,
    team_id: Option<String>,
    workflow_id: Option<String>,
    session_id: Option<String>,
    entity_id: Option<String>,
    entity_type: Option<String>,
    content: Option<String>,
    metadata: Option<String>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    revision: Option<String>,
}

impl From<Columns> for Record {
    fn from(columns: Columns) -> Self {
        let default = Learning::owned_by(columns.owner.as_deref());
        Self(Learning {
            learning_type: columns.learning_type.unwrap_or(default.learning_type),
            namespace: columns.namespace,
            user_id: columns.owner,
            agent_id: columns.agent_id,
            team_id: columns.team_id,
            workflow_id: columns.workflow_id,
            session_id: columns.session_id,
            entity_id: columns.entity_id,
            entity_type: columns.entity_type,
            content: columns.content.unwrap_or(default.content),
            metadata: columns.metadata,
            created_at: columns.created_at.unwrap_or(default.created_at),
            updated_at: columns.updated_at,
            revision: columns.revision.unwrap_or(default.revision),
        })
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an owner, null, or an object with columns")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Record, E> {
        Ok(Record(Learning::owned_by(None)))
    }

    fn visit_str<E: de::Error>(self, owner: &str) -> Result<Record, E> {
        Ok(Record(Learning::owned_by(Some(owner))))
    }

    fn visit_map<A: MapAccess<'de>>(self, columns: A) -> Result<Record, A::Error> {
        Columns::deserialize(MapAccessDeserializer::new(columns)).map(Record::from)
    }
}
