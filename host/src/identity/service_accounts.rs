//! Service accounts: the identities of machines, by tokens that the account store knows by their digests alone.

mod clients;
mod turns;

use super::digest::token_hash;
use crate::BoxFuture;
use crate::contract::{Credential, IdentityError, IdentityErrorKind};
use clients::Clients;
use hashlink::LruCache;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use turns::Turns;

/// What every token of a service account begins with.
pub(super) const TOKEN_PREFIX: &str = "agno_pat_";

/// An account, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its name; the subject is `sa:` and the name.
    pub name: String,
    /// The scopes that its token carries; see [`Account::scopes_of`].
    pub scopes: Vec<String>,
    /// When its token ceases to be valid, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// When it was revoked, in the same unit; none where it was not.
    pub revoked_at: Option<i64>,
}

impl Account {
    /// The scopes of an account from the JSON that its row has. Anything but a list of texts grants nothing, as it does
    /// in a token: whoever wrote it made a mistake.
    #[must_use]
    pub fn scopes_of(json: Option<&str>) -> Vec<String> {
        json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// Where accounts are kept.
///
/// How often it is asked is bounded by [`ServiceAccounts`]: 64 questions at once, 4 of them a client's, and each is given
/// up after 5 seconds by dropping its future; a store need not go on with one that was.
pub trait AccountStore: Send + Sync + 'static {
    /// The account whose token has this SHA-256, in lower-case hexadecimal digits; also one that is revoked or expired.
    ///
    /// An error is that the store could not be asked; its text is for the log.
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>>;

    /// Notes that an account was used at this time, in seconds since 1970. Returns at once, and nobody waits for it: a
    /// store that has more to do than it can may leave it, and says in the log what failed. Called at most once a
    /// minute for an account.
    fn touch(&self, account_id: String, now: i64);
}

/// Verifies the tokens of service accounts.
pub struct ServiceAccounts {
    store: Arc<dyn AccountStore>,
    cache: Duration,
    times: Times,
    memory: Mutex<Memory>,
    clients: Clients,
    turns: Turns,
}

/// What is remembered of accounts between requests; each part is bounded, and forgets what was used longest ago. Only a
/// token that is valid puts anything in, so that nobody else can make the host forget it. What does not verify is not
/// remembered: whoever floods sends another token every time, and a token that was made just now must be taken.
struct Memory {
    /// Accounts that were found valid, by the digests of their tokens.
    valid: LruCache<String, (Account, Instant)>,
    /// When an account's use was last noted.
    touched: LruCache<String, Instant>,
}

const REMEMBERED: usize = 4096;

/// How long things take; only tests are in more of a hurry.
struct Times {
    /// An account's use is noted at most once in this time.
    touch: Duration,
    /// In which a client's failures are counted.
    failures: Duration,
    /// That a look-up may take, waiting for its turn included.
    patience: Duration,
}

const TIMES: Times =
    Times { touch: Duration::from_mins(1), failures: clients::WINDOW, patience: Duration::from_secs(5) };

impl ServiceAccounts {
    /// Verifies against this store. A token that was found valid is believed for the time of `cache`, so a revocation
    /// takes that long at most to be heeded; zero asks the store every time. Its expiry is heeded at once.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, cache: Duration) -> Self {
        Self::with_times(store, cache, TIMES)
    }

    fn with_times(store: Arc<dyn AccountStore>, cache: Duration, times: Times) -> Self {
        let memory = Memory { valid: LruCache::new(REMEMBERED), touched: LruCache::new(REMEMBERED) };
        let clients = Clients::new(times.failures);
        Self { store, cache, times, memory: Mutex::new(memory), clients, turns: Turns::new() }
    }

    /// The account of a token.
    ///
    /// # Errors
    /// `invalid` for a token that is unknown, revoked or expired; `rate-limited` for such a one from a client that has
    /// sent too many of them; `unavailable` where the store cannot be asked, or is so slow that the token's turn and its
    /// answer do not come in 5 seconds. A valid token is never rate-limited, whatever else its client sends.
    pub async fn verify(&self, token: &str, client: IpAddr) -> Result<Account, IdentityError> {
        let token_hash = token_hash(token);
        let account = match self.remembered(&token_hash) {
            Some(account) => account,
            None => self.verify_at_store(token_hash, client).await?,
        };
        self.note_use(&account);
        Ok(account)
    }

    /// Every token is looked up, also where its client is over its limit: only so is a valid one never refused. What a
    /// client can ask of the store meanwhile is bounded by taking turns.
    async fn verify_at_store(&self, token_hash: String, client: IpAddr) -> Result<Account, IdentityError> {
        let looked_up = tokio::time::timeout(self.times.patience, self.look_up(&token_hash, client)).await;
        let found = looked_up.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(|reason| {
            tracing::error!(reason, "the account store cannot be asked");
            error(IdentityErrorKind::Unavailable, "the account store cannot be asked")
        })?;
        let refusal = match found {
            Some(account) if account.revoked_at.is_some() => "the account is revoked",
            Some(account) if is_expired(&account) => "the account has expired",
            Some(account) => return Ok(account),
            None => "no account has this token",
        };
        if self.clients.count_failure(client) {
            return Err(error(IdentityErrorKind::RateLimited, "too many tokens of this client did not verify"));
        }
        Err(error(IdentityErrorKind::Invalid, refusal))
    }

    async fn look_up(&self, token_hash: &str, client: IpAddr) -> Result<Option<Account>, String> {
        let _turn = self.turns.take(client).await;
        // A request with the same token may have been asking meanwhile.
        if let Some(account) = self.remembered(token_hash) {
            return Ok(Some(account));
        }
        let found = self.store.by_token_hash(token_hash.to_owned()).await?;
        if let Some(account) = found.as_ref().filter(|account| account.revoked_at.is_none() && !is_expired(account)) {
            self.memory().valid.insert(token_hash.to_owned(), (account.clone(), Instant::now()));
        }
        Ok(found)
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
            let is_due = memory.touched.get(&account.id).is_none_or(|last| last.elapsed() >= self.times.touch);
            if is_due {
                memory.touched.insert(account.id.clone(), Instant::now());
            }
            is_due
        };
        if is_due {
            self.store.touch(account.id.clone(), now());
        }
    }

    /// A panic elsewhere leaves it whole: every change to it is one call.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account ceases to be valid in the second that it names, as it does in Agno.
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
