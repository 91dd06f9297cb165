//! The JSON Web Key Set of a deployment: where it comes from, and the keys in it.
//!
//! A set in a file or at a URL can change while the server runs. A change that cannot be used is logged, and the previous
//! keys stay in use.

mod file;
mod jwk_set;
mod url;

pub(super) use jwk_set::JwkSet;
pub use url::JwksUrl;

use super::algorithm::Algorithm;
use super::error::JwksError;
use jwk_set::SkippedKey;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// A key set, as of the last successful load.
pub struct Jwks {
    current: Arc<Current>,
    /// Fetches the set, if it is at a URL.
    fetcher: Option<url::Fetcher>,
}

impl Jwks {
    /// Reads a set that does not change.
    ///
    /// # Errors
    /// The document contains no usable key.
    pub fn from_document(document: &str, algorithm: Algorithm) -> Result<Self, JwksError> {
        let current = Current::new("JWT_JWKS".to_owned(), algorithm);
        current.replace(document.as_bytes())?;
        Ok(Self { current: Arc::new(current), fetcher: None })
    }

    /// Reads a file once.
    ///
    /// # Errors
    /// The file cannot be read, or contains no usable key.
    pub fn read_file(path: &Path, algorithm: Algorithm) -> Result<Self, JwksError> {
        Ok(Self { current: file::load(path, algorithm)?.0, fetcher: None })
    }

    /// Reads a file and starts a thread that reads it again until the returned value is dropped.
    ///
    /// # Errors
    /// The file cannot be read, or contains no usable key.
    pub fn watch_file(path: &Path, algorithm: Algorithm) -> Result<Self, JwksError> {
        Ok(Self { current: file::watch(path, algorithm)?, fetcher: None })
    }

    /// Fetches the set at a URL and starts a thread that fetches it again until the returned value is dropped. If the
    /// first fetch fails, the error is logged, and the set is empty until another one succeeds.
    ///
    /// # Errors
    /// The fetches cannot be set up.
    pub async fn fetch(url: JwksUrl, algorithm: Algorithm) -> Result<Self, JwksError> {
        let current = Arc::new(Current::new(url.to_string(), algorithm));
        let fetcher = url::Fetcher::start(url, &current)?;
        fetcher.finish_one().await;
        Ok(Self { current, fetcher: Some(fetcher) })
    }

    /// Returns the current keys.
    pub(super) fn keys(&self) -> Arc<JwkSet> {
        self.current.keys()
    }

    /// Fetches the set again, if it is at a URL, because it has no key with the `kid` of a token. It does nothing if the
    /// last fetch was a moment ago.
    pub(super) async fn refresh(&self) {
        if let Some(fetcher) = &self.fetcher {
            fetcher.refresh().await;
        }
    }
}

/// The keys in use.
struct Current {
    /// Where they are from, for the log.
    origin: String,
    algorithm: Algorithm,
    keys: RwLock<Arc<JwkSet>>,
}

impl Current {
    fn new(origin: String, algorithm: Algorithm) -> Self {
        Self { origin, algorithm, keys: RwLock::default() }
    }

    fn keys(&self) -> Arc<JwkSet> {
        // Poisoning is ignored: the keys are replaced in one step, so a panic cannot leave them incomplete.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses the keys of this document from now on, and logs those that it cannot use.
    fn replace(&self, document: &[u8]) -> Result<(), JwksError> {
        let keys = JwkSet::from_json(self.algorithm, document)
            .map_err(|source| JwksError::Keys { origin: self.origin.clone(), source })?;
        for SkippedKey { index, kid, reason } in keys.skipped() {
            tracing::warn!(origin = self.origin, index, kid, %reason, "skipped a key of the key set");
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Like [`replace`](Self::replace), for a set that is loaded again.
    fn reload(&self, document: &[u8]) {
        match self.replace(document) {
            Ok(()) => tracing::info!(origin = self.origin, "the key set has changed and is in use"),
            Err(error) => {
                tracing::error!(%error, "the key set has changed and cannot be used; the last good one stays")
            }
        }
    }
}

/// Maximum size of a key set in bytes. A set of ten RSA keys with certificates has about 30 kB.
const MAX_BYTES: u64 = 1 << 20;
