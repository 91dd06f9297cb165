//! A cache of verified tokens, so that only a token's first request costs a signature verification.

use super::claims::{TimeClaims, VerifiedClaims};
use super::jwks::JwkSet;
use crate::auth::digest::TokenDigest;
use crate::telemetry::metrics::CacheMetrics;
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The maximum number of tokens. A further token evicts the least recently used one. Only verified tokens are inserted,
/// so that invalid tokens cannot evict valid ones.
const MAX_TOKENS: usize = 4096;

/// Claims of verified tokens, by the SHA-256 of the token. The tokens themselves are not stored.
///
/// The caller must check the times of a cached token at each request. The cache is cleared when the key set changes.
#[derive(Default)]
pub struct TokenCache {
    entries: Mutex<Entries>,
    metrics: Arc<CacheMetrics>,
}

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
        let found = entries.tokens.get(token).cloned();
        drop(entries);
        self.metrics.record(found.is_some());
        found
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

    /// The requests to the cache.
    #[must_use]
    pub fn metrics(&self) -> Arc<CacheMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Poisoning is ignored: each entry is inserted or removed in one step, so a panic cannot leave one incomplete.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Default for Entries {
    fn default() -> Self {
        Self { keys: None, tokens: LruCache::new(MAX_TOKENS) }
    }
}

#[cfg(test)]
mod tests {
    use super::{JwkSet, TimeClaims, TokenCache, TokenDigest, VerifiedClaims};
    use crate::auth::jwt::claims::ClaimsSet;
    use std::sync::Arc;

    fn insert(cache: &TokenCache, token: &str, keys: Option<&Arc<JwkSet>>) {
        let claims = VerifiedClaims { subject: Some(token.to_owned()), scopes: Vec::new() };
        let times = TimeClaims::read(&ClaimsSet::default()).expect("no times");
        cache.insert(TokenDigest::new(token), keys, claims, times);
    }

    fn subject(cache: &TokenCache, token: &str, keys: Option<&Arc<JwkSet>>) -> Option<String> {
        cache.get(&TokenDigest::new(token), keys).and_then(|(claims, _)| claims.subject)
    }

    #[test]
    fn token_is_found_as_long_as_the_key_set_is_the_one_that_verified_it() {
        let cache = TokenCache::default();
        insert(&cache, "a", None);
        assert_eq!(subject(&cache, "a", None).as_deref(), Some("a"));
        assert_eq!(subject(&cache, "b", None), None);
        let [old, new] = [(); 2].map(|()| Arc::new(JwkSet::default()));
        assert_eq!(subject(&cache, "a", Some(&old)), None, "no key set verified it");
        insert(&cache, "a", Some(&old));
        assert_eq!(subject(&cache, "a", Some(&old)).as_deref(), Some("a"));
        // The set changes while a request verifies a token.
        assert_eq!(subject(&cache, "a", Some(&new)), None);
        insert(&cache, "a", Some(&old));
        assert_eq!(subject(&cache, "a", Some(&new)), None, "a key of the old set verified it");
        assert_eq!(subject(&cache, "a", Some(&old)), None);
    }
}
