//! What is asked of the account store, and how often. What callers are told is tested through HTTP.

use super::clients::network;
use super::{Account, AccountStore, ServiceAccounts, TIMES, Times, now, token_hash};
use crate::BoxFuture;
use crate::contract::IdentityErrorKind;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A store that counts what it is asked, and takes its time.
#[derive(Default)]
struct Counting {
    accounts: Mutex<HashMap<String, Account>>,
    time: Duration,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    touched: AtomicUsize,
    last_used_at: AtomicI64,
}

impl AccountStore for Counting {
    fn by_token_hash(&self, token_hash: String) -> BoxFuture<'_, Result<Option<Account>, String>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            if !self.time.is_zero() {
                tokio::time::sleep(self.time).await;
            }
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(self.accounts.lock().expect("no panic").get(&token_hash).cloned())
        })
    }

    fn touch(&self, _: String, now: i64) {
        self.touched.fetch_add(1, Ordering::SeqCst);
        self.last_used_at.store(now, Ordering::SeqCst);
    }
}

const GOOD: &str = "agno_pat_good";
const CACHE: Duration = Duration::from_secs(30);

fn store(time: Duration) -> Arc<Counting> {
    let account = Account { id: "1".into(), name: "bot".into(), scopes: vec![], expires_at: None, revoked_at: None };
    let accounts = Mutex::new(HashMap::from([(token_hash(GOOD), account)]));
    Arc::new(Counting { accounts, time, ..Counting::default() })
}

fn client(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

/// Bad tokens of these clients, many at once, each a task of its own; they go on when this returns.
fn flood(accounts: &Arc<ServiceAccounts>, clients: impl Iterator<Item = IpAddr>) {
    for (index, client) in clients.enumerate() {
        let accounts = Arc::clone(accounts);
        tokio::spawn(async move { accounts.verify(&format!("agno_pat_bad{index}"), client).await });
    }
}

#[test]
fn requests_that_bear_the_same_token_at_once_ask_the_store_once_for_each_place() {
    run(async {
        let store = store(Duration::from_millis(20));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<Counting>::clone(&store), CACHE));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let accounts = Arc::clone(&accounts);
                tokio::spawn(async move { accounts.verify(GOOD, client(1)).await.is_ok() })
            })
            .collect();
        for one in all {
            assert!(one.await.expect("no panic"));
        }
        assert_eq!(store.asked.load(Ordering::SeqCst), 4);
        assert_eq!(store.touched.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_client_that_floods_has_four_lookups_going_on_and_holds_up_nobody_but_its_queue() {
    run(async {
        let store = store(Duration::from_millis(100));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<Counting>::clone(&store), Duration::ZERO));
        // They take 4 seconds.
        flood(&accounts, (0..160).map(|_| client(1)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(store.at_once.load(Ordering::SeqCst), 4);
        // Of these sixty most are in another queue, whatever the seed; they wait for each other at most.
        let start = Instant::now();
        let mut others = JoinSet::new();
        for last in 100..160 {
            let accounts = Arc::clone(&accounts);
            others.spawn(async move { accounts.verify(GOOD, client(last)).await.map(|_| start.elapsed()) });
        }
        let times = others.join_all().await.into_iter().map(|time| time.expect("a valid token is taken"));
        let (soon, late): (Vec<_>, Vec<_>) = times.partition(|time| *time < Duration::from_secs(2));
        assert!(soon.len() > 40, "held up: {late:?}");
    });
}

#[test]
fn all_clients_together_have_sixty_four_lookups_going_on() {
    run(async {
        let store = store(Duration::from_millis(100));
        let accounts = Arc::new(ServiceAccounts::new(Arc::<Counting>::clone(&store), CACHE));
        flood(&accounts, (0..20_000_u16).map(|index| Ipv4Addr::from_bits(u32::from(index) * 257).into()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(store.most_at_once.load(Ordering::SeqCst), 64);
    });
}

#[test]
fn a_store_that_does_not_answer_is_given_up_and_its_turn_with_it() {
    run(async {
        let store = store(Duration::from_secs(3600));
        let times = Times { patience: Duration::from_millis(50), ..TIMES };
        let accounts = ServiceAccounts::with_times(Arc::<Counting>::clone(&store) as _, CACHE, times);
        for asked in 1..10 {
            let error = accounts.verify(GOOD, client(1)).await.expect_err("no answer");
            assert_eq!(error.kind, IdentityErrorKind::Unavailable);
            assert_eq!(store.asked.load(Ordering::SeqCst), asked, "a turn that was given up is free again");
        }
    });
}

#[test]
fn failures_are_counted_by_client_anew_after_the_window_and_never_refuse_a_valid_token() {
    run(async {
        let times = Times { failures: Duration::from_millis(500), ..TIMES };
        let accounts = ServiceAccounts::with_times(store(Duration::ZERO) as _, Duration::ZERO, times);
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
fn whoever_has_more_addresses_than_are_remembered_does_not_make_the_host_forget_a_valid_token() {
    run(async {
        let store = store(Duration::ZERO);
        let accounts = ServiceAccounts::new(Arc::<Counting>::clone(&store) as _, CACHE);
        accounts.verify(GOOD, client(1)).await.expect("valid");
        for index in 0..10_000 {
            let kind = accounts.verify(&format!("agno_pat_{index}"), Ipv4Addr::from_bits(index).into()).await;
            assert_eq!(kind.expect_err("unknown").kind, IdentityErrorKind::Invalid);
        }
        let asked = store.asked.load(Ordering::SeqCst);
        accounts.verify(GOOD, client(1)).await.expect("valid");
        assert_eq!(store.asked.load(Ordering::SeqCst), asked, "it was remembered");
    });
}

#[test]
fn a_network_of_ipv6_is_one_client_and_a_mapped_address_is_the_one_it_maps() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), network(address("2001:db8:1:2::1")));
    assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
    assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
}

#[test]
fn a_use_is_noted_again_once_its_time_has_passed() {
    run(async {
        let store = store(Duration::ZERO);
        let times = Times { touch: Duration::from_millis(300), ..TIMES };
        let accounts = ServiceAccounts::with_times(Arc::<Counting>::clone(&store) as _, CACHE, times);
        for expected in [1, 1, 1] {
            accounts.verify(GOOD, client(1)).await.expect("valid");
            assert_eq!(store.touched.load(Ordering::SeqCst), expected);
        }
        tokio::time::sleep(Duration::from_millis(320)).await;
        accounts.verify(GOOD, client(1)).await.expect("valid");
        assert_eq!(store.touched.load(Ordering::SeqCst), 2);
        assert!((now() - store.last_used_at.load(Ordering::SeqCst)).abs() <= 1, "in seconds since 1970");
    });
}

#[test]
fn scopes_that_are_no_list_of_texts_grant_nothing() {
    assert_eq!(Account::scopes_of(Some("[\"learnings:delete\", \"agent_os:admin\"]")).len(), 2);
    for json in ["[]", "null", "{}", "\"learnings:delete\"", "[7, \"learnings:delete\"]", "[null]", "", "[", "7"] {
        assert!(Account::scopes_of(Some(json)).is_empty(), "{json}");
    }
    assert!(Account::scopes_of(None).is_empty());
}
