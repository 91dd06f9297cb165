//! Tokens that verified, remembered, so that a caller's second request costs no signature.

use super::keys::JwkSet;
use super::{Bearer, Times};
use crate::identity::digest::TokenDigest;
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many tokens are remembered; further ones take the places of those that were used longest ago. Only a token that
/// verified takes a place, so that nobody can push out others' by sending rubbish.
const REMEMBERED: usize = 4096;

/// Tokens whose signature was good and whose claims were in order, by their digests: no token is kept itself.
///
/// What may change meanwhile is looked at every time: the clock and the key set. Tokens that verified
/// under one set are forgotten as soon as there is another.
pub struct VerifiedTokens(Mutex<Memory>);

struct Memory {
    /// The key set in use when these verified. Held here, so that its address is no other set's.
    keys: Option<Arc<JwkSet>>,
    tokens: LruCache<TokenDigest, (Bearer, Times)>,
}

impl VerifiedTokens {
    /// The bearer of a token that verified before under this key set, and the times within which that holds.
    pub(super) fn get(&self, token: &TokenDigest, keys: Option<&Arc<JwkSet>>) -> Option<(Bearer, Times)> {
        let mut memory = self.memory();
        if !memory.is_of(keys) {
            memory.tokens.clear();
            memory.keys = keys.cloned();
        }
        memory.tokens.get(token).cloned()
    }

    /// Remembers a token that verified under this key set, unless there is another by now.
    pub(super) fn insert(&self, token: TokenDigest, keys: Option<&Arc<JwkSet>>, bearer: Bearer, times: Times) {
        let mut memory = self.memory();
        if memory.is_of(keys) {
            memory.tokens.insert(token, (bearer, times));
        }
    }

    /// A panic elsewhere leaves it whole: what is in it was verified, and is only ever added or removed.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Whether these verified under this key set.
    fn is_of(&self, keys: Option<&Arc<JwkSet>>) -> bool {
        match (&self.keys, keys) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Mutex::new(Memory { keys: None, tokens: LruCache::new(REMEMBERED) }))
    }
}
