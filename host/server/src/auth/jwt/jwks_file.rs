//! A JWKS file that is reloaded when it changes, so that keys are rotated without a restart.

use super::algorithm::Algorithm;
use super::error::JwksFileError;
use super::jwk_set::{JwkSet, SkippedKey};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

/// The keys of a JWKS file, as of the last successful load.
pub struct JwksFile {
    path: PathBuf,
    algorithm: Algorithm,
    keys: RwLock<Arc<JwkSet>>,
}

/// The time between two checks for a change.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The file's modification time and size. None if the file is missing.
type FileVersion = Option<(SystemTime, u64)>;

impl JwksFile {
    /// Loads the file and starts a thread that reloads it after each change, until the returned value is dropped. If a
    /// reload fails, the error is logged and the previous keys stay in use.
    ///
    /// # Errors
    /// The file cannot be read, or contains no usable key.
    pub fn watch(path: &Path, algorithm: Algorithm) -> Result<Arc<Self>, JwksFileError> {
        let version = file_version(path);
        let keys = Arc::new(load(path, algorithm)?);
        log_skipped(path, &keys);
        let file = Arc::new(Self { path: path.to_owned(), algorithm, keys: RwLock::new(keys) });
        let weak = Arc::downgrade(&file);
        let watcher = thread::Builder::new().name("jwks-watch".to_owned()).spawn(move || {
            let mut loaded = version;
            loop {
                thread::sleep(POLL_INTERVAL);
                let Some(file) = weak.upgrade() else { return };
                loaded = file.reload_if_changed(loaded);
            }
        });
        watcher.map_err(|source| JwksFileError::Read { path: path.to_owned(), source })?;
        Ok(file)
    }

    /// Returns the current keys.
    pub(super) fn keys(&self) -> Arc<JwkSet> {
        // Poisoning is ignored: the keys are replaced in one step, so a panic cannot leave them incomplete.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reloads the file if its version is not `loaded`, and returns its current version.
    fn reload_if_changed(&self, loaded: FileVersion) -> FileVersion {
        let version = file_version(&self.path);
        if version != loaded {
            match load(&self.path, self.algorithm) {
                Ok(keys) => {
                    let keys = Arc::new(keys);
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
                    tracing::info!(file = %self.path.display(), "the key set has changed and is in use");
                    log_skipped(&self.path, &keys);
                }
                Err(error) => {
                    tracing::error!(%error, "the key set has changed and cannot be used; the last good one stays")
                }
            }
        }
        version
    }
}

fn log_skipped(path: &Path, keys: &JwkSet) {
    for SkippedKey { index, kid, reason } in keys.skipped() {
        tracing::warn!(file = %path.display(), index, kid, %reason, "skipped a key of the key set");
    }
}

fn load(path: &Path, algorithm: Algorithm) -> Result<JwkSet, JwksFileError> {
    let document = fs::read(path).map_err(|source| JwksFileError::Read { path: path.to_owned(), source })?;
    JwkSet::from_json(algorithm, &document).map_err(|source| JwksFileError::Keys { path: path.to_owned(), source })
}

fn file_version(path: &Path) -> FileVersion {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
