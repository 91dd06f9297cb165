//! A key set in a file that is read again when it changes, so that keys are rotated without a restart.

use super::algorithm::Algorithm;
use super::keys::{JwkSet, KeyError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use std::{fs, io, thread};

/// The keys of a file as it was last read well.
pub struct JwksFile {
    path: PathBuf,
    algorithm: Algorithm,
    keys: RwLock<Arc<JwkSet>>,
}

/// Why a key set's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwksFileError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What is in it cannot be used.
    #[error("{}: {source}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        source: KeyError,
    },
}

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What changes when a file is written anew or replaced.
type Stamp = Option<(SystemTime, u64)>;

impl JwksFile {
    /// Reads the file, and again whenever it changes, for as long as the keys are in use. A change that cannot be used
    /// is said in the log, and the keys that were there stay.
    ///
    /// # Errors
    /// Where the file cannot be used now.
    pub fn watch(path: &Path, algorithm: Algorithm) -> Result<Arc<Self>, JwksFileError> {
        let stamp = stamp(path);
        let keys = RwLock::new(Arc::new(read(path, algorithm)?));
        let file = Arc::new(Self { path: path.to_owned(), algorithm, keys });
        let weak = Arc::downgrade(&file);
        let watcher = thread::Builder::new().name("jwks-watch".to_owned()).spawn(move || {
            let mut seen = stamp;
            loop {
                thread::sleep(INTERVAL);
                let Some(file) = weak.upgrade() else { return };
                seen = file.refresh(seen);
            }
        });
        watcher.map_err(|source| JwksFileError::Read { path: path.to_owned(), source })?;
        Ok(file)
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> Arc<JwkSet> {
        // A panic elsewhere leaves them whole: they are replaced in one step.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file if it is not as it was seen last, and returns how it is seen now.
    fn refresh(&self, seen: Stamp) -> Stamp {
        let stamp = stamp(&self.path);
        if stamp != seen {
            match read(&self.path, self.algorithm) {
                Ok(keys) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                    tracing::info!(file = %self.path.display(), "the key set has changed and is in use");
                }
                Err(error) => {
                    tracing::error!(%error, "the key set has changed and cannot be used; the last good one stays")
                }
            }
        }
        stamp
    }
}

fn read(path: &Path, algorithm: Algorithm) -> Result<JwkSet, JwksFileError> {
    let document = fs::read(path).map_err(|source| JwksFileError::Read { path: path.to_owned(), source })?;
    JwkSet::from_json(algorithm, &document).map_err(|source| JwksFileError::Keys { path: path.to_owned(), source })
}

/// None where the file is not there.
fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
