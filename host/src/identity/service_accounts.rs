//! Service accounts: the identities of machines, by tokens that the account store knows by their digests alone.

use crate::BoxFuture;
use crate::contract::{Credential, IdentityError, IdentityErrorKind};
use aws_lc_rs::digest::{SHA256, digest};
use hashlink::LruCache;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What every token of a service account begins with.
pub(super) const TOKEN_PREFIX: &str = "agno_pat_";

/// An account, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its name; the subject is `sa:` and the name.
    pub name: String,
    /// The scopes that its token carries.
    pub scopes: Vec<String>,
    /// When its token ceases to be valid, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// When it was revoked, in the same unit; none where it was not.
    pub revoked_at: Option<i64>,
}

/// Where accounts are kept.
pub trait AccountStore: Send + Sync + 'static {
    /// The account whose token has this SHA-256, in lower-case hexadecimal digits.
    ///
    /// An error is that the store could not be asked; its text is for the log.
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>>;

    /// Notes that an account was used at this time, in seconds since 1970. Nobody waits for it.
    fn touch(&self, account_id: String, now: i64);
}

/// Verifies the tokens of service accounts.
pub struct ServiceAccounts {
    store: Arc<dyn AccountStore>,
    cache: Duration,
    memory: Mutex<Memory>,
}

/// What is remembered between requests; each part is bounded, and forgets what was used longest ago.
struct Memory {
    /// Accounts that were found valid, by the digests of their tokens.
    valid: LruCache<String, (Account, Instant)>,
    /// When an account's use was last noted.
    touched: LruCache<String, Instant>,
    /// Clients whose tokens did not verify: how many, since when.
    failures: LruCache<IpAddr, (u32, Instant)>,
}

const REMEMBERED: usize = 4096;

/// An account's use is noted at most once in this time.
const TOUCH_INTERVAL: Duration = Duration::from_mins(1);

/// Tokens that may fail to verify for one client in this time, before it is told to slow down.
const FAILURES: u32 = 20;
/// See [`FAILURES`].
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

impl ServiceAccounts {
    /// Verifies against this store. A token that was found valid is believed for the time of `cache`, so a revocation
    /// takes that long at most to be heeded; zero asks the store every time. Its expiry is heeded at once.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, cache: Duration) -> Self {
        let memory = Memory {
            valid: LruCache::new(REMEMBERED),
            touched: LruCache::new(REMEMBERED),
            failures: LruCache::new(REMEMBERED),
        };
        Self { store, cache, memory: Mutex::new(memory) }
    }

    /// The account of a token.
    ///
    /// # Errors
    /// `invalid` for a token that is unknown, revoked or expired; `rate-limited` for such a one from a client that has
    /// sent too many of them; `unavailable` where the store cannot be asked. A valid token is never held up by others.
    pub async fn verify(&self, token: &str, client: IpAddr) -> Result<Account, IdentityError> {
        let token_hash = hexadecimal(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(account) = self.remembered(&token_hash) {
            self.note_use(&account);
            return Ok(account);
        }
        // Every token is looked up, also where the client is over its limit: only so is a valid one never refused.
        let found = self.store.by_token_hash(token_hash.clone()).await.map_err(|reason| {
            tracing::error!(reason, "the account store cannot be asked");
            error(IdentityErrorKind::Unavailable, "the account store cannot be asked")
        })?;
        let refusal = match found {
            None => "no account has this token",
            Some(account) if account.revoked_at.is_some() => "the account is revoked",
            Some(account) if is_expired(&account) => "the account has expired",
            Some(account) => {
                self.memory().valid.insert(token_hash, (account.clone(), Instant::now()));
                self.note_use(&account);
                return Ok(account);
            }
        };
        if self.is_over_limit(client) {
            return Err(error(IdentityErrorKind::RateLimited, "too many tokens of this client did not verify"));
        }
        Err(error(IdentityErrorKind::Invalid, refusal))
    }

    fn remembered(&self, token_hash: &str) -> Option<Account> {
        let mut memory = self.memory();
        let (account, since) = memory.valid.get(token_hash)?;
        if since.elapsed() < self.cache && !is_expired(account) {
            return Some(account.clone());
        }
        memory.valid.remove(token_hash);
        None
    }

    fn note_use(&self, account: &Account) {
        let is_due = {
            let mut memory = self.memory();
            let is_due = memory.touched.get(&account.id).is_none_or(|last| last.elapsed() >= TOUCH_INTERVAL);
            if is_due {
                memory.touched.insert(account.id.clone(), Instant::now());
            }
            is_due
        };
        if is_due {
            self.store.touch(account.id.clone(), now());
        }
    }

    /// Counts a failure of this client, and says whether it has had too many.
    fn is_over_limit(&self, client: IpAddr) -> bool {
        let mut memory = self.memory();
        match memory.failures.get_mut(&client) {
            Some((count, since)) if since.elapsed() < FAILURE_WINDOW => {
                *count = count.saturating_add(1);
                *count > FAILURES
            }
            _ => {
                memory.failures.insert(client, (1, Instant::now()));
                false
            }
        }
    }

    /// A panic elsewhere leaves it whole: every change to it is one call.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_expired(account: &Account) -> bool {
    account.expires_at.is_some_and(|expires_at| expires_at <= now())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn error(kind: IdentityErrorKind, message: &str) -> IdentityError {
    IdentityError::new(kind, Credential::ServiceAccount, message)
}
