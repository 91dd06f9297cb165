//! The keys of the configuration and the types of their values. Every key is a field here or in a section's own type, and
//! nothing else is needed for it: `schema.rs` finds it, so it can be set in the file and in the environment,
//! and `serve --check` shows it. A type of a section implements `Serialize` therefore, and its secrets mask themselves.

use super::masked;
use super::secret::{Secret, Secrets};
use crate::auth::{Authorization, ClaimPath, ClaimRules};
use crate::http::HttpConfig;
use crate::storage::postgres::PostgresOptions;
use crate::storage::sqlite::SqliteOptions;
use crate::telemetry::{LogConfig, MetricsConfig};
use delete_learning::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The whole file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) server: HttpConfig,
    #[serde(default)]
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) guards: Vec<Guard>,
    #[serde(default)]
    pub(super) sandbox: Limits,
    #[serde(default)]
    pub(super) databases: Vec<Database>,
    #[serde(default)]
    pub(super) sqlite: SqliteOptions,
    #[serde(default)]
    pub(super) postgres: PostgresOptions,
    #[serde(default)]
    pub(super) auth: Auth,
    #[serde(default)]
    pub(super) authorization: Authorization,
    #[serde(default)]
    pub(super) cache: Cache,
    pub(super) audit: Option<Audit>,
    pub(super) metrics: Option<MetricsConfig>,
    pub(super) traces: Option<Traces>,
    #[serde(default)]
    pub(super) log: LogConfig,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) component: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) reload: Reload,
    pub(super) grants: BTreeSet<String>,
    pub(super) settings: toml::Table,
}

/// When policy and guards are loaded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reload {
    #[default]
    Signal,
    Watch,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guard {
    pub(super) name: String,
    pub(super) component: String,
    pub(super) sha256: Option<String>,
    #[serde(default)]
    pub(super) grants: BTreeSet<String>,
    #[serde(default)]
    pub(super) settings: toml::Table,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    pub(super) enabled: bool,
    pub(super) directory: Option<String>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: true, directory: None }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) directory: String,
    pub(super) signing_key_file: String,
    #[serde(default)]
    pub(super) previous_public_keys: Vec<String>,
    #[serde(default = "default_max_segment_bytes")]
    pub(super) max_segment_bytes: u64,
    #[serde(default = "default_max_segment_age_seconds")]
    pub(super) max_segment_age_seconds: u64,
    #[serde(default = "default_checkpoint_interval_seconds")]
    pub(super) checkpoint_interval_seconds: u64,
    #[serde(default = "default_max_refusal_bytes")]
    pub(super) max_refusal_bytes: u64,
    #[serde(default)]
    pub(super) publish_command: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Traces {
    pub(super) endpoint: String,
    pub(super) headers: Option<Secret>,
    pub(super) headers_file: Option<String>,
    #[serde(default = "default_sample_ratio")]
    pub(super) sample_ratio: f64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) id: String,
    #[serde(serialize_with = "masked::database_url")]
    pub(super) url: Option<Secret>,
    pub(super) url_file: Option<String>,
    pub(super) password_file: Option<String>,
    #[serde(default = "default_table")]
    pub(super) table: String,
    pub(super) schema: Option<String>,
    #[serde(default)]
    pub(super) create: bool,
    pub(super) transaction_pooling: Option<bool>,
    #[serde(default = "default_max_in_flight")]
    pub(super) max_in_flight: usize,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) mode: Option<Mode>,
    pub(super) security_key: Option<Secret>,
    pub(super) security_key_file: Option<String>,
    #[serde(default)]
    pub(super) jwt: Jwt,
    pub(super) service_accounts: Option<ServiceAccounts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    Jwt,
    SecurityKey,
    None,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Jwt {
    pub(super) algorithm: String,
    pub(super) verification_keys: Secrets,
    pub(super) verification_key_files: Vec<String>,
    pub(super) jwks_file: Option<String>,
    #[serde(serialize_with = "masked::jwks_url")]
    pub(super) jwks_url: Option<Secret>,
    pub(super) jwks_url_file: Option<String>,
    pub(super) audience: Option<Names>,
    pub(super) audience_claim: ClaimPath,
    pub(super) issuer: Option<String>,
    pub(super) user_id_claim: ClaimPath,
    pub(super) scopes_claim: ClaimPath,
    pub(super) scope_prefix: String,
    pub(super) leeway_seconds: u64,
}

impl Default for Jwt {
    fn default() -> Self {
        let claims = ClaimRules::default();
        Self {
            algorithm: "RS256".to_owned(),
            verification_keys: Secrets::default(),
            verification_key_files: Vec::new(),
            jwks_file: None,
            jwks_url: None,
            jwks_url_file: None,
            audience: None,
            audience_claim: claims.audience_claim,
            issuer: None,
            user_id_claim: claims.user_id_claim,
            scopes_claim: claims.scopes_claim,
            scope_prefix: claims.scope_prefix,
            leeway_seconds: 10,
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccounts {
    pub(super) database: String,
    #[serde(default = "default_accounts_table")]
    pub(super) table: String,
    #[serde(default = "default_cache_seconds")]
    pub(super) cache_seconds: u64,
}

/// A name, or an array of names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "must be a name, or an array of names")]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Many(names) => names,
        }
    }
}

fn default_table() -> String {
    "agno_learnings".to_owned()
}

const fn default_max_in_flight() -> usize {
    192
}

const fn default_max_segment_bytes() -> u64 {
    64 * 1024 * 1024
}

const fn default_max_segment_age_seconds() -> u64 {
    24 * 60 * 60
}

const fn default_checkpoint_interval_seconds() -> u64 {
    10
}

const fn default_max_refusal_bytes() -> u64 {
    16 * 1024 * 1024
}

const fn default_sample_ratio() -> f64 {
    1.0
}

fn default_accounts_table() -> String {
    "agno_service_accounts".to_owned()
}

const fn default_cache_seconds() -> u64 {
    30
}

/// Gives the values their types. The error is the path of the key and the reason.
pub(super) fn typed(table: toml::Table) -> Result<File, (String, String)> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let key = if path == "." { "file".to_owned() } else { path };
        (key, error.into_inner().message().to_owned())
    })
}
