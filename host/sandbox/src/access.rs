//! What a component gets beyond the contract.

use crate::description::Description;
use crate::error::LoadError;
use crate::wasi;
use std::collections::{BTreeMap, BTreeSet};

/// The interfaces that every component can import.
const CONTRACT_IMPORTS: [&str; 3] =
    ["learnings:plugin/types@0.1.0", "learnings:plugin/identity@0.1.0", "learnings:plugin/storage@0.1.0"];

/// The interface of the settings. It needs no grant, because it contains only what was configured for the component.
const SETTINGS_IMPORT: &str = "wasi:config/store@0.2.0-rc.1";

/// What a component gets beyond the contract. The default is nothing: a component that imports more is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The interfaces of WASI 0.2 that it can import, by the exact names that it imports, such as
    /// `wasi:clocks/wall-clock@0.2.0`. Files, environment variables, arguments and sockets stay empty even if their
    /// interfaces are granted.
    pub grants: BTreeSet<String>,
    /// Its settings by key, which it reads through `wasi:config/store`.
    pub settings: BTreeMap<String, String>,
}

impl Access {
    /// Checks that every import of the component belongs to the contract or is granted. Returns whether it imports more
    /// than the contract.
    pub(crate) fn check(&self, description: &Description) -> Result<bool, LoadError> {
        let further = |name: &&String| !CONTRACT_IMPORTS.contains(&name.as_str());
        let further: Vec<&String> = description.imports.iter().filter(further).collect();
        let is_known = |name: &&String| name.as_str() == SETTINGS_IMPORT || wasi::is_wasi(name);
        let (known, unknown): (Vec<&String>, Vec<&String>) = further.into_iter().partition(is_known);
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown.into_iter().cloned().collect()));
        }
        if let Some(grant) = self.grants.iter().find(|grant| !is_known(grant)) {
            return Err(LoadError::UnknownGrant(grant.clone()));
        }
        let needed: Vec<String> =
            known.iter().filter(|name| name.as_str() != SETTINGS_IMPORT).map(|name| (*name).clone()).collect();
        let missing: Vec<String> = needed.iter().filter(|name| !self.grants.contains(*name)).cloned().collect();
        if missing.is_empty() { Ok(!known.is_empty()) } else { Err(LoadError::NotGranted { missing, needed }) }
    }
}
