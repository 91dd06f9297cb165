//! Service accounts: the identities of machines. The account store contains only the digests of their tokens.

mod concurrency_limiter;
mod failure_limiter;

use super::digest::token_hash;
use crate::telemetry::metrics::CacheMetrics;
use concurrency_limiter::ConcurrencyLimiter;
use delete_learning::{BoxFuture, Credential, IdentityError, IdentityErrorKind};
use failure_limiter::FailureLimiter;
use hashlink::LruCache;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The prefix of every service account token.
pub(super) const TOKEN_PREFIX: &str = "agno_pat_";

/// An account of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its name. The subject of the caller is `sa:` and this name.
    pub name: String,
    /// The scopes of its token. See [`Account::parse_scopes`].
    pub scopes: Vec<String>,
    /// When its token expires, in seconds since 1970-01-01T00:00:00Z; `None` for never.
    pub expires_at: Option<i64>,
    /// When it was revoked, in the same unit; `None` if it is not revoked.
    pub revoked_at: Option<i64>,
}

impl Account {
    /// Parses the JSON of the `scopes` column. Anything but a list of strings grants nothing, as in a token.
    #[must_use]
    pub fn parse_scopes(json: Option<&str>) -> Vec<String> {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// A store of accounts.
///
/// [`ServiceAccounts`] limits the calls: 64 concurrent lookups, in 16 queues of 4. A client always uses the same queue.
/// Each lookup is abandoned after 5 seconds, including the wait for its permit, by dropping its future. A store can stop working on an abandoned lookup.
pub trait AccountStore: Send + Sync + 'static {
    /// Returns the account whose token has this SHA-256 in lower-case hexadecimal, also if it is revoked or expired.
    ///
    /// An error means that the store is unavailable. Its text is for the log.
    fn find_by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>>;

    /// Records that an account was used at this time, in seconds since 1970-01-01T00:00:00Z. Returns at once; an
    /// overloaded store can skip it. Each server normally calls it at most once a minute for
    /// an account.
    fn record_use(&self, account_id: String, now: i64);
}

/// Verifies the tokens of service accounts.
pub struct ServiceAccounts {
    store: Arc<dyn AccountStore>,
    cache_ttl: Duration,
    timing: Timing,
    cache: Mutex<Cache>,
    failures: FailureLimiter,
    lookups: ConcurrencyLimiter,
    metrics: Arc<CacheMetrics>,
}

/// Cached accounts. Both caches are bounded and evict the least recently used entry. Only a valid token adds an
/// entry, so nobody else can evict one. Invalid tokens are not cached: a flood uses a new token every time, and a token
/// that was created a moment ago must work.
struct Cache {
    /// Valid accounts by the digests of their tokens, with the time of the lookup.
    accounts: LruCache<String, (Account, Instant)>,
    /// When the use of an account was last recorded.
    recorded_uses: LruCache<String, Instant>,
}

const CACHE_CAPACITY: usize = 4096;

/// Durations that only tests change.
struct Timing {
    /// The use of an account is recorded at most once in this time.
    use_interval: Duration,
    /// The time in which the failures of a client are counted.
    failure_window: Duration,
    /// Timeout of a lookup, waiting for a permit included.
    lookup_timeout: Duration,
}

const TIMING: Timing = Timing {
    use_interval: Duration::from_mins(1),
    failure_window: failure_limiter::WINDOW,
    lookup_timeout: Duration::from_secs(5),
};

impl ServiceAccounts {
    /// Creates a verifier for this store. A valid token is cached for `cache_ttl`, so a revocation takes effect after at
    /// most that time; zero looks up every token. Expiry takes effect at once.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, cache_ttl: Duration) -> Self {
        Self::with_timing(store, cache_ttl, TIMING)
    }

    fn with_timing(store: Arc<dyn AccountStore>, cache_ttl: Duration, timing: Timing) -> Self {
        let cache = Cache { accounts: LruCache::new(CACHE_CAPACITY), recorded_uses: LruCache::new(CACHE_CAPACITY) };
        let failures = FailureLimiter::new(timing.failure_window);
        let (lookups, metrics) = (ConcurrencyLimiter::new(), Arc::default());
        Self { store, cache_ttl, timing, cache: Mutex::new(cache), failures, lookups, metrics }
    }

    /// Returns the account of a token.
    ///
    /// # Errors
    /// `invalid` if the token is unknown, revoked or expired; `rate-limited` in place of it if the client has sent too
    /// many such tokens; `unavailable` if the store is unavailable or does not respond within 5 seconds. A valid token is
    /// never rate limited; one that is not cached can be `unavailable` if the queue of its client is full.
    pub async fn verify(&self, token: &str, client: IpAddr) -> Result<Account, IdentityError> {
        let token_hash = token_hash(token);
        let cached = self.cached(&token_hash);
        self.metrics.record(cached.is_some());
        let account = match cached {
            Some(account) => account,
            None => self.verify_at_store(token_hash, client).await?,
        };
        self.record_use(&account);
        Ok(account)
    }

    /// The requests to the cache of accounts.
    #[must_use]
    pub fn metrics(&self) -> Arc<CacheMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Every token is looked up, even if its client is rate limited, so that a valid token is never refused. The lookups
    /// of one client are limited instead.
    async fn verify_at_store(&self, token_hash: String, client: IpAddr) -> Result<Account, IdentityError> {
        let lookup = tokio::time::timeout(self.timing.lookup_timeout, self.look_up(&token_hash, client)).await;
        let found = lookup.unwrap_or_else(|_| Err("lookup timed out".to_owned())).map_err(|reason| {
            tracing::error!(reason, "account store unavailable");
            error(IdentityErrorKind::Unavailable, "the account store is unavailable")
        })?;
        let refusal = match found {
            Some(account) if account.revoked_at.is_some() => "the account is revoked",
            Some(account) if is_expired(&account) => "the account has expired",
            Some(account) => return Ok(account),
            None => "no account has this token",
        };
        if self.failures.record_failure(client) {
            return Err(error(IdentityErrorKind::RateLimited, "too many tokens of this client failed to verify"));
        }
        Err(error(IdentityErrorKind::Invalid, refusal))
    }

    async fn look_up(&self, token_hash: &str, client: IpAddr) -> Result<Option<Account>, String> {
        let _permit = self.lookups.acquire(client).await;
        // A request with the same token can have finished its lookup meanwhile.
        if let Some(account) = self.cached(token_hash) {
            return Ok(Some(account));
        }
        let found = self.store.find_by_token_hash(token_hash.to_owned()).await?;
        if let Some(account) = found.as_ref().filter(|account| account.revoked_at.is_none() && !is_expired(account)) {
            self.cache().accounts.insert(token_hash.to_owned(), (account.clone(), Instant::now()));
        }
        Ok(found)
    }

    fn cached(&self, token_hash: &str) -> Option<Account> {
        let mut cache = self.cache();
        let (account, since) = cache.accounts.get(token_hash)?;
        if since.elapsed() < self.cache_ttl && !is_expired(account) {
            return Some(account.clone());
        }
        cache.accounts.remove(token_hash);
        None
    }

    fn record_use(&self, account: &Account) {
        let is_due = {
            let mut cache = self.cache();
            let last = cache.recorded_uses.get(&account.id);
            let is_due = last.is_none_or(|last| last.elapsed() >= self.timing.use_interval);
            if is_due {
                cache.recorded_uses.insert(account.id.clone(), Instant::now());
            }
            is_due
        };
        if is_due {
            self.store.record_use(account.id.clone(), now());
        }
    }

    /// A panic cannot leave the caches inconsistent, because every change is one call.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account expires at the start of the second in `expires_at`, as in Agno.
fn is_expired(account: &Account) -> bool {
    account.expires_at.is_some_and(|expires_at| expires_at <= now())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn error(kind: IdentityErrorKind, message: &str) -> IdentityError {
    IdentityError::new(kind, Credential::ServiceAccount, message)
}

#[cfg(test)]
mod tests;
