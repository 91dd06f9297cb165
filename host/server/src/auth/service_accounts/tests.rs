//! What the account store is asked, and how often. Answers to callers are tested through HTTP.

use super::failure_limiter::network;
use super::{Account, AccountStore, ServiceAccounts, TIMING, Timing, now, token_hash};
use delete_learning::{BoxFuture, IdentityErrorKind};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A store that counts its calls and responds after a delay.
#[derive(Default)]
struct CountingStore {
    accounts: Mutex<HashMap<String, Account>>,
    delay: Duration,
    lookups: AtomicUsize,
    concurrent: AtomicUsize,
    max_concurrent: AtomicUsize,
    uses: AtomicUsize,
    last_used_at: AtomicI64,
}

impl AccountStore for CountingStore {
    fn find_by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async move {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            let concurrent = self.concurrent.fetch_add(1, Ordering::SeqCst) + 1;
            self.max_concurrent.fetch_max(concurrent, Ordering::SeqCst);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            self.concurrent.fetch_sub(1, Ordering::SeqCst);
            Ok(self.accounts.lock().expect("no panic").get(&token_hash).cloned())
        })
    }

    fn record_use(&self, _: String, now: i64) {
        self.uses.fetch_add(1, Ordering::SeqCst);
        self.last_used_at.store(now, Ordering::SeqCst);
    }
}

const GOOD: &str = "agno_pat_good";
const CACHE: Duration = Duration::from_secs(30);

fn store(delay: Duration) -> Arc<CountingStore> {
    let account = Account { id: "1".into(), name: "bot".into(), scopes: vec![], expires_at: None, revoked_at: None };
    let accounts = Mutex::new(HashMap::from([(token_hash(GOOD), account)]));
    Arc::new(CountingStore { accounts, delay, ..CountingStore::default() })
}

fn client(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

/// Sends invalid tokens of these clients concurrently, each in its own task, which continues when this returns.
fn flood(accounts: &Arc<ServiceAccounts>, clients: impl Iterator<Item = IpAddr>) {
    for (index, client) in clients.enumerate() {
        let accounts = Arc::clone(accounts);
        tokio::spawn(async move { accounts.verify(&format!("agno_pat_bad{index}"), client).await });
    }
}

#[test]
fn concurrent_requests_with_one_token_share_lookups() {
    run(async {
        let store = store(Duration::from_millis(20));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<CountingStore>::clone(&store), CACHE));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let accounts = Arc::clone(&accounts);
                tokio::spawn(async move { accounts.verify(GOOD, client(1)).await.is_ok() })
            })
            .collect();
        for one in all {
            assert!(one.await.expect("no panic"));
        }
        assert_eq!(store.lookups.load(Ordering::SeqCst), 4);
        assert_eq!(store.uses.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn flooding_client_has_four_lookups_and_delays_its_queue_only() {
    run(async {
        let store = store(Duration::from_millis(100));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<CountingStore>::clone(&store), Duration::ZERO));
        // They take 4 seconds.
        flood(&accounts, (0..160).map(|_| client(1)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(store.concurrent.load(Ordering::SeqCst), 4);
        // With any seed most of these sixty are in another queue, where they wait only for each other.
        let mut others = JoinSet::new();
        for last in 100..160 {
            let accounts = Arc::clone(&accounts);
            others.spawn(async move { accounts.verify(GOOD, client(last)).await.map(|_| ()) });
        }
        let mut accepted = 0;
        let _ = timeout(Duration::from_secs(2), async {
            while accepted <= 40 {
                others.join_next().await.expect("another").expect("no panic").expect("a valid token is accepted");
                accepted += 1;
            }
        })
        .await;
        assert!(accepted > 40, "only {accepted} are not delayed");
    });
}

#[test]
fn all_clients_together_have_64_concurrent_lookups() {
    run(async {
        let store = store(Duration::from_millis(100));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<CountingStore>::clone(&store), CACHE));
        flood(&accounts, (0..20_000_u16).map(|index| Ipv4Addr::from_bits(u32::from(index) * 257).into()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(store.max_concurrent.load(Ordering::SeqCst), 64);
    });
}

#[test]
fn lookup_timeout_releases_its_permit() {
    run(async {
        let store = store(Duration::from_secs(3600));
        let timing = Timing { lookup_timeout: Duration::from_millis(50), ..TIMING };
        let accounts = ServiceAccounts::with_timing(Arc::<CountingStore>::clone(&store) as _, CACHE, timing);
        for lookups in 1..10 {
            let error = accounts.verify(GOOD, client(1)).await.expect_err("no answer");
            assert_eq!(error.kind, IdentityErrorKind::Unavailable);
            assert_eq!(store.lookups.load(Ordering::SeqCst), lookups, "the permit of an abandoned lookup is free");
        }
    });
}

#[test]
fn failures_expire_and_never_limit_a_valid_token() {
    run(async {
        let timing = Timing { failure_window: Duration::from_millis(500), ..TIMING };
        let accounts = ServiceAccounts::with_timing(store(Duration::ZERO) as _, Duration::ZERO, timing);
        let fail = async |client| accounts.verify("agno_pat_bad", client).await.expect_err("unknown").kind;
        for _ in 0..20 {
            assert_eq!(fail(client(1)).await, IdentityErrorKind::Invalid);
        }
        assert_eq!(fail(client(1)).await, IdentityErrorKind::RateLimited);
        assert_eq!(fail(client(2)).await, IdentityErrorKind::Invalid);
        assert!(accounts.verify(GOOD, client(1)).await.is_ok());
        tokio::time::sleep(Duration::from_millis(550)).await;
        assert_eq!(fail(client(1)).await, IdentityErrorKind::Invalid);
    });
}

#[test]
fn invalid_tokens_do_not_evict_a_valid_one() {
    run(async {
        let store = store(Duration::ZERO);
        let accounts = ServiceAccounts::new(Arc::<CountingStore>::clone(&store) as _, CACHE);
        accounts.verify(GOOD, client(1)).await.expect("valid");
        for index in 0..10_000 {
            let kind = accounts.verify(&format!("agno_pat_{index}"), Ipv4Addr::from_bits(index).into()).await;
            assert_eq!(kind.expect_err("unknown").kind, IdentityErrorKind::Invalid);
        }
        let lookups = store.lookups.load(Ordering::SeqCst);
        accounts.verify(GOOD, client(1)).await.expect("valid");
        assert_eq!(store.lookups.load(Ordering::SeqCst), lookups, "it was cached");
    });
}

#[test]
fn ipv6_network_and_mapped_ipv4_address_are_one_client() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), network(address("2001:db8:1:2::1")));
    assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
    assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
}

#[test]
fn use_is_recorded_again_after_the_interval() {
    run(async {
        let store = store(Duration::ZERO);
        let timing = Timing { use_interval: Duration::from_millis(300), ..TIMING };
        let accounts = ServiceAccounts::with_timing(Arc::<CountingStore>::clone(&store) as _, CACHE, timing);
        for expected in [1, 1, 1] {
            accounts.verify(GOOD, client(1)).await.expect("valid");
            assert_eq!(store.uses.load(Ordering::SeqCst), expected);
        }
        tokio::time::sleep(Duration::from_millis(320)).await;
        accounts.verify(GOOD, client(1)).await.expect("valid");
        assert_eq!(store.uses.load(Ordering::SeqCst), 2);
        assert!((now() - store.last_used_at.load(Ordering::SeqCst)).abs() <= 1, "in seconds since 1970");
    });
}

#[test]
fn scopes_other_than_a_list_of_strings_grant_nothing() {
    assert_eq!(Account::parse_scopes(Some("[\"learnings:delete\", \"agent_os:admin\"]")).len(), 2);
    for json in ["[]", "null", "{}", "\"learnings:delete\"", "[7, \"learnings:delete\"]", "[null]", "", "[", "7"] {
        assert!(Account::parse_scopes(Some(json)).is_empty(), "{json}");
    }
    assert!(Account::parse_scopes(None).is_empty());
}
