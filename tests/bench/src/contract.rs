//! The contract's bindings for a bare instance: the same results, without limits and without records of calls.

use std::sync::Arc;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

pub use bindings::learnings::plugin::types::Request;
use bindings::learnings::plugin::{identity, storage, types};
pub use bindings::{Policy, PolicyPre};

/// A host with one caller, who owns every record.
#[derive(Clone)]
pub struct Host {
    pub owner: Arc<str>,
}

impl types::Host for Host {}

impl identity::Host for Host {
    async fn current(&mut self) -> wasmtime::Result<Result<identity::Caller, identity::IdentityError>> {
        Ok(Ok(identity::Caller {
            credential: identity::Credential::Jwt,
            subject: Some(self.owner.to_string()),
            scopes: vec!["learnings:delete".to_owned()],
            scopes_optional: false,
            all_owners: false,
            admin_scope: "agent_os:admin".to_owned(),
        }))
    }
}

impl storage::Host for Host {
    async fn locate(&mut self) -> wasmtime::Result<Result<storage::Target, storage::StorageError>> {
        Ok(Ok(storage::Target { database: "main".to_owned(), table: "learnings".to_owned() }))
    }

    async fn find(&mut self) -> wasmtime::Result<Result<storage::Lookup, storage::StorageError>> {
        Ok(Ok(storage::Lookup { learning: None }))
    }

    async fn delete(&mut self) -> wasmtime::Result<Result<storage::Outcome, storage::StorageError>> {
        Ok(Ok(storage::Outcome::Deleted))
    }

    async fn delete_if_owned_by(
        &mut self,
        user_id: String,
    ) -> wasmtime::Result<Result<storage::Outcome, storage::StorageError>> {
        Ok(Ok(if *user_id == *self.owner { storage::Outcome::Deleted } else { storage::Outcome::OwnedByAnother }))
    }

    async fn delete_if_unchanged(
        &mut self,
        _: String,
    ) -> wasmtime::Result<Result<storage::Outcome, storage::StorageError>> {
        Ok(Ok(storage::Outcome::Changed))
    }
}
