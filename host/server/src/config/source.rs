//! What the errors and the paths of a configuration refer to.

use super::error::ConfigError;
use super::origin::{Origin, Origins};
use super::secret::Secret;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The environment variables of an AgentOS, and the keys that they stand for.
const AGENT_OS_VARIABLES: [(&str, &str); 4] = [
    ("OS_SECURITY_KEY", "auth.security_key"),
    ("JWT_VERIFICATION_KEY", "auth.jwt.verification_keys"),
    ("JWT_JWKS_FILE", "auth.jwt.jwks_file"),
    ("JWT_JWKS", "auth.jwt"),
];

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// The file, if there is one.
    pub(super) file: Option<Arc<Path>>,
    /// The directory that relative paths are relative to.
    pub(super) directory: PathBuf,
    /// Where each key is set.
    pub(super) origins: Arc<Origins>,
}

impl Source {
    /// Creates an error about a key, or about one of the variables of an AgentOS.
    pub(super) fn error(&self, key: impl Into<String>, reason: impl Into<String>) -> ConfigError {
        let key = key.into();
        if let Some((variable, key)) = AGENT_OS_VARIABLES.iter().find(|(variable, _)| *variable == key) {
            let origin = Origin::Variable((*variable).to_owned());
            return ConfigError { origin, key: (*key).to_owned(), reason: reason.into() };
        }
        ConfigError { origin: self.origin(&key), key, reason: reason.into() }
    }

    /// Where a key is set, or, if it is not set, the file.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let file = || self.file.clone().map(|path| Origin::File { path, line: None });
        self.origins.nearest(key).cloned().or_else(file).unwrap_or(Origin::Default)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The secret of a key, or of the file that another key, `KEY_file`, names. The first text is the key that has it.
    pub(super) fn secret(
        &self,
        key: &str,
        secret: Option<&Secret>,
        path: Option<&str>,
    ) -> Result<Option<(String, String)>, ConfigError> {
        let file_key = format!("{key}_file");
        match (secret, path) {
            (Some(_), Some(_)) => {
                let other = self.origin(&file_key);
                Err(self.error(key, format!("is set twice: {file_key} is set too ({other}); remove one of them")))
            }
            (Some(secret), None) => Ok(Some((key.to_owned(), secret.expose().to_owned()))),
            (None, Some(path)) => {
                let secret = self.read_secret(&file_key, path)?;
                Ok(Some((file_key, secret)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Reads a secret from a file. A line feed at its end does not belong to it. The error does not contain it.
    pub(super) fn read_secret(&self, key: &str, path: &str) -> Result<String, ConfigError> {
        let path = self.path(path);
        let bytes =
            fs::read(&path).map_err(|error| self.error(key, format!("{} cannot be read: {error}", path.display())))?;
        let text =
            String::from_utf8(bytes).map_err(|_| self.error(key, format!("{} is not UTF-8 text", path.display())))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}
