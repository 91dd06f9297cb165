//! How a deployment weighs scopes and ownership.

use serde::{Deserialize, Serialize};

/// What authenticated callers can do. The keys of `[authorization]` in the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// Whether a token needs a scope.
    pub enforce_scopes: bool,
    /// Whether the bearer of a token can delete only its own records.
    pub user_isolation: bool,
    /// The scope of administrators. Must not be empty.
    pub admin_scope: String,
}

impl Default for Authorization {
    /// The strict value of each; an operator asks for less explicitly.
    fn default() -> Self {
        Self { enforce_scopes: true, user_isolation: true, admin_scope: "agent_os:admin".to_owned() }
    }
}
