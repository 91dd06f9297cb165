//! `[policy]` and `[[guards]]`.

use super::error::ConfigError;
use super::origin::Origin;
use super::{Source, file};
use delete_learning::{Access, Digest, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The policy to run, and its guards.
#[derive(Clone, Debug)]
pub struct PolicyConfig {
    /// The file of its component; `None` for the default policy.
    pub component: Option<PathBuf>,
    /// The digest that the component must have.
    pub sha256: Option<Digest>,
    /// When the policy and its guards are loaded again.
    pub reload: ReloadTrigger,
    /// What it gets beyond the contract.
    pub access: Access,
    /// The guards between the policy and the storage, outermost first.
    pub guards: Vec<GuardConfig>,
    pub(super) source: Source,
}

impl PolicyConfig {
    /// Creates an error about a key of this configuration.
    pub(crate) fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        self.source.error(key, reason)
    }

    /// Where a key is set.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.source.origin(key)
    }

    /// The name of the policy in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.component.as_ref().map_or_else(|| "the default policy".to_owned(), |path| path.display().to_string())
    }
}

/// A guard between the policy and the storage.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Its name in audit events and errors, unique among the guards.
    pub name: String,
    /// The file of its component.
    pub component: PathBuf,
    /// The digest that the component must have.
    pub sha256: Option<Digest>,
    /// What it gets beyond the contract.
    pub access: Access,
}

/// When policy and guards are loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// When the process receives SIGHUP.
    Signal,
    /// When the process receives SIGHUP, or when the file of a component changes.
    Watch,
}

/// Maximum bytes of the name of a guard.
const MAX_NAME_BYTES: usize = 64;

pub(super) fn validate(
    policy: file::Policy,
    guards: Vec<file::Guard>,
    limits: &Limits,
    source: &Source,
) -> Result<PolicyConfig, ConfigError> {
    if policy.component.is_none() {
        let needless = [("grants", !policy.grants.is_empty()), ("settings", !policy.settings.is_empty())];
        if let Some((key, _)) = needless.iter().find(|(_, is_set)| *is_set) {
            let reason = "has no effect without policy.component: the default policy uses neither grants nor settings";
            return Err(source.error(format!("policy.{key}"), reason));
        }
    }
    if guards.len() > usize::try_from(limits.max_guards).unwrap_or(usize::MAX) {
        return Err(source.error("guards", format!("has more entries than sandbox.max_guards ({})", limits.max_guards)));
    }
    let mut names = BTreeSet::new();
    let mut validated = Vec::with_capacity(guards.len());
    for (index, guard) in guards.into_iter().enumerate() {
        let key = |key: &str| format!("guards[{index}].{key}");
        let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if guard.name.is_empty() || guard.name.len() > MAX_NAME_BYTES || !guard.name.bytes().all(is_name_byte) {
            let reason = format!("must have 1 to {MAX_NAME_BYTES} characters of a-z, 0-9 and '-'");
            return Err(source.error(key("name"), reason));
        }
        if !names.insert(guard.name.clone()) {
            return Err(source.error(key("name"), format!("{:?} is the name of another guard too", guard.name)));
        }
        validated.push(GuardConfig {
            component: source.path(&guard.component),
            sha256: digest(guard.sha256.as_deref(), &key("sha256"), source)?,
            access: Access { grants: guard.grants, settings: settings(guard.settings) },
            name: guard.name,
        });
    }
    Ok(PolicyConfig {
        component: policy.component.map(|path| source.path(&path)),
        sha256: digest(policy.sha256.as_deref(), "policy.sha256", source)?,
        reload: match policy.reload {
            file::Reload::Signal => ReloadTrigger::Signal,
            file::Reload::Watch => ReloadTrigger::Watch,
        },
        access: Access { grants: policy.grants, settings: settings(policy.settings) },
        guards: validated,
        source: source.clone(),
    })
}

fn digest(text: Option<&str>, key: &str, source: &Source) -> Result<Option<Digest>, ConfigError> {
    text.map(str::parse)
        .transpose()
        .map_err(|error: delete_learning::InvalidDigest| source.error(key, error.to_string()))
}

/// The settings as a component reads them: a string as it is, and any other value as JSON text. The keys of a nested table
/// are joined by dots.
fn settings(table: toml::Table) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut tables = vec![(String::new(), table)];
    while let Some((prefix, table)) = tables.pop() {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                toml::Value::Table(table) => tables.push((format!("{key}."), table)),
                toml::Value::String(text) => drop(settings.insert(key, text)),
                toml::Value::Datetime(time) => drop(settings.insert(key, time.to_string())),
                value => drop(settings.insert(key, json(value).to_string())),
            }
        }
    }
    settings
}

fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn settings_are_text_or_json_text_under_dotted_keys() {
        let table = r#"
            region = "eu"
            held_users = ["alice", "a \"b\""]
            limit = 30
            ratio = 0.5
            strict = true
            from = 2026-01-01
            empty = ""
            pairs = [{ a = 1 }, [2, 2026-01-01]]
            [minimum_age_days]
            user_profile = 30
            nested.deeper = "x"
        "#;
        let settings = settings(table.parse().unwrap());
        let expected = [
            ("empty", ""),
            ("from", "2026-01-01"),
            ("held_users", r#"["alice","a \"b\""]"#),
            ("limit", "30"),
            ("minimum_age_days.nested.deeper", "x"),
            ("minimum_age_days.user_profile", "30"),
            ("pairs", r#"[{"a":1},[2,"2026-01-01"]]"#),
            ("ratio", "0.5"),
            ("region", "eu"),
            ("strict", "true"),
        ];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(settings, expected);
    }
}
