//! A guard: nobody deletes a record under legal hold, the security key included.
//!
//! A record is held if its metadata has `"legal_hold": true` at the top level, or if the settings list its user
//! (`held_users`) or its session (`held_sessions`), each a JSON array of strings. What cannot be read counts as held:
//! metadata or a setting that is not valid JSON, or a value of `legal_hold` other than `true`, `false` and `null`.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod metadata;

use alloc::string::String;
use alloc::vec::Vec;
use delete_learning_sdk::{Caller, Environment, Learning, export_guard};

export_guard!(legal_hold);

/// Denies the deletion of a held record.
///
/// # Errors
/// Returns a sentence for the caller.
pub fn legal_hold(learning: &Learning, _: &Caller, environment: &impl Environment) -> Result<(), String> {
    let metadata = learning.metadata.as_deref().unwrap_or("null");
    match metadata::has_legal_hold(metadata) {
        Ok(true) => return Err("This learning is under legal hold".into()),
        Ok(false) => {}
        Err(_) => return Err("This learning is retained because its metadata cannot be read".into()),
    }
    for (setting, held_by, id) in [
        ("held_users", "This learning belongs to a user under legal hold", &learning.user_id),
        ("held_sessions", "This learning belongs to a session under legal hold", &learning.session_id),
    ] {
        let list = environment.setting(setting).ok().and_then(|text| parse_list(text.as_deref().unwrap_or("[]")));
        let Some(list) = list else {
            return Err("All learnings are retained because the settings of the legal hold cannot be read".into());
        };
        if id.as_ref().is_some_and(|id| list.contains(id)) {
            return Err(held_by.into());
        }
    }
    Ok(())
}

fn parse_list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests;
