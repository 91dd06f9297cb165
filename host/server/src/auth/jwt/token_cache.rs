//! A cache of verified tokens, so that only a token's first request costs a signature verification.

use super::claims::{TimeClaims, VerifiedClaims};
use super::jwks::JwkSet;
use crate::auth::digest::TokenDigest;
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The maximum number of tokens. A further token evicts the least recently used one. Only verified tokens are inserted,
/// so that invalid tokens cannot evict valid ones.
const MAX_TOKENS: usize = 4096;

/// Claims of verified tokens, by the SHA-256 of the token. The tokens themselves are not stored.
///
/// The caller must check the times of a cached token at each request. The cache is cleared when the key set changes.
pub struct TokenCache(Mutex<Entries>);

struct Entries {
    /// The key set that verified these tokens. Holding the reference prevents reuse of its address.
    keys: Option<Arc<JwkSet>>,
    tokens: LruCache<TokenDigest, (VerifiedClaims, TimeClaims)>,
}

impl TokenCache {
    /// Returns the claims of a token that this key set verified before.
    pub(super) fn get(&self, token: &TokenDigest, keys: Option<&Arc<JwkSet>>) -> Option<(VerifiedClaims, TimeClaims)> {
        let mut entries = self.lock();
        if !entries.are_verified_by(keys) {
            entries.tokens.clear();
            entries.keys = keys.cloned();
        }
        entries.tokens.get(token).cloned()
    }

    /// Inserts a token that this key set verified, unless the key set has changed since.
    pub(super) fn insert(
        &self,
        token: TokenDigest,
        keys: Option<&Arc<JwkSet>>,
        claims: VerifiedClaims,
        times: TimeClaims,
    ) {
        let mut entries = self.lock();
        if entries.are_verified_by(keys) {
            entries.tokens.insert(token, (claims, times));
        }
    }

    /// Poisoning is ignored: each entry is inserted or removed in one step, so a panic cannot leave one incomplete.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Returns whether this key set verified the entries.
    fn are_verified_by(&self, keys: Option<&Arc<JwkSet>>) -> bool {
        match (&self.keys, keys) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self(Mutex::new(Entries { keys: None, tokens: LruCache::new(MAX_TOKENS) }))
    }
}
