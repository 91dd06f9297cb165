//! The configuration file as TOML. Every key of it is defined here or in a section's own type.

use super::secret::{Secret, Secrets};
use crate::auth::{Authorization, ClaimPath, ClaimRules};
use crate::http::HttpConfig;
use crate::storage::postgres::PostgresOptions;
use crate::storage::sqlite::SqliteOptions;
use crate::telemetry::LogConfig;
use delete_learning::Limits;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The whole file.
#[derive(Debug, Deserialize)]
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
    pub(super) auth: Auth,
    #[serde(default)]
    pub(super) authorization: Authorization,
    #[serde(default)]
    pub(super) cache: Cache,
    pub(super) audit: Option<Audit>,
    #[serde(default)]
    pub(super) log: LogConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) component: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) reload: Reload,
    pub(super) grants: BTreeSet<String>,
    pub(super) settings: toml::Table,
}

/// When policy and guards are loaded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reload {
    #[default]
    Signal,
    Watch,
}

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) id: String,
    pub(super) url: Secret,
    pub(super) password_file: Option<String>,
    pub(super) table: Option<String>,
    pub(super) schema: Option<String>,
    #[serde(default)]
    pub(super) create: bool,
    pub(super) transaction_pooling: Option<bool>,
    #[serde(default = "default_max_in_flight")]
    pub(super) max_in_flight: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) mode: Mode,
    pub(super) security_key: Option<Secret>,
    pub(super) security_key_file: Option<String>,
    #[serde(default)]
    pub(super) jwt: Jwt,
    pub(super) service_accounts: Option<ServiceAccounts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    Jwt,
    SecurityKey,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Jwt {
    pub(super) algorithm: String,
    pub(super) verification_keys: Secrets,
    pub(super) verification_key_files: Vec<String>,
    pub(super) jwks_file: Option<String>,
    pub(super) jwks_url: Option<Secret>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccounts {
    pub(super) database: String,
    #[serde(default = "default_accounts_table")]
    pub(super) table: String,
    #[serde(default = "default_cache_seconds")]
    pub(super) cache_seconds: u64,
}

/// A name, or an array of names.
#[derive(Clone, Debug, Deserialize)]
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

fn default_accounts_table() -> String {
    "agno_service_accounts".to_owned()
}

const fn default_cache_seconds() -> u64 {
    30
}

/// Parses the file. The error is the key and the reason; it contains no line of the file, which can contain a secret.
pub(super) fn parse(text: &str) -> Result<File, (String, String)> {
    let line = |error: &toml::de::Error| match error.span() {
        Some(span) => format!("line {}", text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1),
        None => "file".to_owned(),
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| (line(&error), error.message().to_owned()))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let key = if path == "." { line(&error) } else { format!("{path} ({})", line(&error)) };
        (key, error.message().to_owned())
    })
}
