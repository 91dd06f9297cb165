//! Kills the server while clients delete.

use super::load::{HttpClient, RequestError};
use super::server::TestServer;
use crate::storage::store::Records;
use crate::storage::token;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// The number of clients that delete until the server is killed.
pub const CLIENTS: usize = 16;

/// The outcomes of the requests before a kill.
#[derive(Default)]
pub struct Outcomes {
    /// The records whose deletes were answered 204, with the ids of the requests.
    pub deleted: BTreeMap<String, String>,
    /// The records whose deletes were sent and not answered.
    pub unknown: BTreeSet<String>,
}

/// When the server is killed.
pub struct Kill {
    /// The number of answers after which the server is under load from every client.
    pub warm_up_answers: usize,
    /// The longest time after that.
    pub max_delay: Duration,
}

impl Kill {
    /// Deletes these records of alice, one after another, until the server is killed. Each kill is after a different time.
    pub fn run(&self, mut host: TestServer, ids: &[String], number: usize) -> Outcomes {
        let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let outcomes = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|_| {
                let (client, next, answered) = (HttpClient::new(&host, &token("alice")), &next, &answered);
                scope.spawn(move || delete_until_killed(client, ids, next, answered))
            });
            let clients: Vec<_> = clients.collect();
            while answered.load(Ordering::Relaxed) < self.warm_up_answers
                && !clients.iter().any(ScopedJoinHandle::is_finished)
            {
                thread::sleep(Duration::from_micros(200));
            }
            let delay = 7_919 * u64::try_from(number).expect("small");
            let max_delay = u64::try_from(self.max_delay.as_micros()).expect("small");
            thread::sleep(Duration::from_micros(10_000 + delay % max_delay));
            host.signal("KILL");
            host.wait();
            let outcomes = clients.into_iter().map(|client| client.join().expect("every answer is right"));
            outcomes.fold(Outcomes::default(), |mut all, outcomes| {
                all.deleted.extend(outcomes.deleted);
                all.unknown.extend(outcomes.unknown);
                all
            })
        });
        assert!(outcomes.deleted.len() < ids.len(), "the server was killed under load");
        outcomes
    }
}

/// Deletes one record after another until the server no longer answers.
fn delete_until_killed(mut client: HttpClient, ids: &[String], next: &AtomicUsize, answered: &AtomicUsize) -> Outcomes {
    let mut outcomes = Outcomes::default();
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        match client.delete(&format!("/learnings/{id}")) {
            Ok(reply) => {
                assert_eq!(reply.status, 204, "{id}: {reply:?}");
                let request_id = reply.head.lines().find_map(|line| line.strip_prefix("x-request-id: "));
                outcomes.deleted.insert(id.clone(), request_id.expect("a request id").to_owned());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(RequestError::OutcomeUnknown) => {
                outcomes.unknown.insert(id.clone());
                return outcomes;
            }
            Err(RequestError::NotSent) => return outcomes,
        }
    }
    outcomes
}

/// Adds records of alice until there are `count`. Returns those that were added.
pub fn add_records(records: &mut dyn Records, ids: &mut Vec<String>, count: usize, kill: usize) -> Vec<String> {
    let added: Vec<String> = (ids.len()..count).map(|index| format!("record_{kill}_{index}")).collect();
    records.insert(&added.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
    ids.extend(added.iter().cloned());
    added
}
