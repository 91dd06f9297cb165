//! Values of the host's own code, read from the dataclasses of the Python package, which validated them.

use crate::names::FromContractName;
use delete_learning::{Caller, DeleteRequest, IdentityError, Learning, StorageError, Target};
use pyo3::prelude::*;

/// A `Request`.
#[derive(FromPyObject)]
pub(crate) struct RequestValue {
    learning_id: String,
    db_id: Option<String>,
    table: Option<String>,
}

impl From<RequestValue> for DeleteRequest {
    fn from(value: RequestValue) -> Self {
        Self { learning_id: value.learning_id, db_id: value.db_id, table: value.table }
    }
}

/// A `Caller`.
#[derive(FromPyObject)]
pub(crate) struct CallerValue {
    credential: String,
    subject: Option<String>,
    scopes: Vec<String>,
    scopes_optional: bool,
    all_owners: bool,
    admin_scope: String,
}

impl TryFrom<CallerValue> for Caller {
    type Error = PyErr;

    fn try_from(value: CallerValue) -> PyResult<Self> {
        Ok(Self {
            credential: FromContractName::from_name(&value.credential)?,
            subject: value.subject,
            scopes: value.scopes,
            scopes_optional: value.scopes_optional,
            all_owners: value.all_owners,
            admin_scope: value.admin_scope,
        })
    }
}

/// An `IdentityError`.
#[derive(FromPyObject)]
pub(crate) struct IdentityErrorValue {
    kind: String,
    credential: String,
    message: String,
}

impl TryFrom<IdentityErrorValue> for IdentityError {
    type Error = PyErr;

    fn try_from(value: IdentityErrorValue) -> PyResult<Self> {
        Ok(Self::new(
            FromContractName::from_name(&value.kind)?,
            FromContractName::from_name(&value.credential)?,
            value.message,
        ))
    }
}

/// A `StorageError`.
#[derive(FromPyObject)]
pub(crate) struct StorageErrorValue {
    kind: String,
    message: String,
}

impl TryFrom<StorageErrorValue> for StorageError {
    type Error = PyErr;

    fn try_from(value: StorageErrorValue) -> PyResult<Self> {
        Ok(Self::new(FromContractName::from_name(&value.kind)?, value.message))
    }
}

/// A `Target`.
#[derive(FromPyObject)]
pub(crate) struct TargetValue {
    database: String,
    table: String,
}

impl From<TargetValue> for Target {
    fn from(value: TargetValue) -> Self {
        Self { database: value.database, table: value.table }
    }
}

/// A `Learning`.
#[derive(FromPyObject)]
pub(crate) struct LearningValue {
    learning_type: String,
    namespace: Option<String>,
    user_id: Option<String>,
    agent_id: Option<String>,
    team_id: Option<String>,
    workflow_id: Option<String>,
    session_id: Option<String>,
    entity_id: Option<String>,
    entity_type: Option<String>,
    content: String,
    metadata: Option<String>,
    created_at: i64,
    updated_at: Option<i64>,
    revision: String,
}

impl From<LearningValue> for Learning {
    fn from(value: LearningValue) -> Self {
        Self {
            learning_type: value.learning_type,
            namespace: value.namespace,
            user_id: value.user_id,
            agent_id: value.agent_id,
            team_id: value.team_id,
            workflow_id: value.workflow_id,
            session_id: value.session_id,
            entity_id: value.entity_id,
            entity_type: value.entity_type,
            content: value.content,
            metadata: value.metadata,
            created_at: value.created_at,
            updated_at: value.updated_at,
            revision: value.revision,
        }
    }
}
