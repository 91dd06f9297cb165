//! The configuration as the file has it. Every key that there is stands here.

use super::Log;
use super::secret::{Secret, Secrets};
use crate::limits::Limits;
use crate::plugin::Wasi;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default = "default_listen")]
    pub(super) listen: SocketAddr,
    pub(super) plugin: Option<String>,
    #[serde(default)]
    pub(super) wasi: Wasi,
    #[serde(default)]
    pub(super) databases: Vec<Database>,
    pub(super) auth: Auth,
    #[serde(default)]
    pub(super) authorization: Authorization,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) cache: Cache,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    pub(super) enabled: bool,
    pub(super) folder: Option<String>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: true, folder: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) id: String,
    pub(super) url: Secret,
    pub(super) table: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) transaction_pooling: Option<bool>,
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

#[derive(Clone, Copy, Debug, Deserialize)]
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
    pub(super) audience: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) leeway_seconds: u64,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithm: "RS256".to_owned(),
            verification_keys: Secrets::default(),
            verification_key_files: Vec::new(),
            jwks_file: None,
            audience: None,
            issuer: None,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Authorization {
    pub(super) enforce_scopes: bool,
    pub(super) user_isolation: bool,
    pub(super) admin_scope: String,
}

impl Default for Authorization {
    /// The strict side of each: an operator says so where less is wanted.
    fn default() -> Self {
        Self { enforce_scopes: true, user_isolation: true, admin_scope: "agent_os:admin".to_owned() }
    }
}

fn default_accounts_table() -> String {
    "agno_service_accounts".to_owned()
}

const fn default_cache_seconds() -> u64 {
    30
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 7777).into()
}

/// Reads the text. The error is the key and the reason; it holds no line of the text, which may be a secret.
pub(super) fn parse(text: &str) -> Result<File, (String, String)> {
    let at = |error: &toml::de::Error| match error.span() {
        Some(span) => format!("line {}", text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1),
        None => "file".to_owned(),
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| (at(&error), error.message().to_owned()))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let key = if path == "." { at(&error) } else { format!("{path} ({})", at(&error)) };
        (key, error.message().to_owned())
    })
}
