//! Deletes while another program changes the owners of the records, deletes them and inserts them again.
//!
//! Each record is changed by one mover only, so the mover knows the owner after each of its steps. If the record does not
//! exist at the next step, it was deleted while that user owned it. So for each user, the number of records that were
//! deleted while the user owned them must equal the number of the user's requests that were answered 204. A higher number
//! means that a record was deleted without a request of its owner. An implementation that reads the owner and then deletes
//! by id alone fails this test within a few hundred requests.

use super::store::{Records, Store};
use super::{StopOnDrop, shortened_or_full, token};
use crate::support::load::{HttpClient, median_and_max};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The number of requests on each kind of database, shortened and in full.
const REQUESTS: [usize; 2] = [1_200, 40_000];

/// Users who request the deletion of every record all the time.
const REQUESTERS: [&str; 2] = ["alice", "bob"];

/// The owners that the movers choose from. Only the first two send requests, so no record of the others can be deleted,
/// although some names differ only in case or white space.
const OWNERS: [Option<&str>; 7] =
    [Some("alice"), Some("bob"), Some("carol"), None, Some("Alice"), Some("alice "), Some("")];

/// Few records, so that requests and movers often use the same one.
const RECORDS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

/// Pseudorandom random that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// The number of deleted records by the owner at the time of the deletion.
type DeletionsByOwner = BTreeMap<Option<&'static str>, usize>;

/// Changes the owners of these records until stopped. Returns the deletions that it noticed, and the number of changes.
fn move_records(
    mut records: Box<dyn Records>,
    ids: &[&'static str],
    seed: u64,
    stop: &AtomicBool,
) -> (DeletionsByOwner, usize) {
    let (mut deletions, mut moves, mut random) = (DeletionsByOwner::new(), 0, Random(seed));
    let mut owners: BTreeMap<&str, Option<&'static str>> = ids.iter().map(|id| (*id, Some("alice"))).collect();
    let _stop = StopOnDrop(stop);
    while !stop.load(Ordering::Relaxed) {
        // A pause between two transactions, as of other programs.
        thread::sleep(Duration::from_micros(u64::try_from(random.below(1_000)).expect("small")));
        let id = ids[random.below(ids.len())];
        // Half of the time to a user who sends requests, so that some deletes succeed.
        let candidates = if random.below(2) == 0 { REQUESTERS.len() } else { OWNERS.len() };
        let owner = OWNERS[random.below(candidates)];
        let before = owners[id];
        let existed = match random.below(4) {
            0 | 1 => {
                let existed = records.set_owner(id, owner);
                if !existed {
                    records.insert(&[(id.to_owned(), owner)]);
                }
                existed
            }
            // In two transactions, between which the record does not exist.
            2 => {
                let existed = records.remove(id);
                records.insert(&[(id.to_owned(), owner)]);
                existed
            }
            _ => records.recreate(id, owner),
        };
        if !existed {
            *deletions.entry(before).or_default() += 1;
        }
        owners.insert(id, owner);
        moves += 1;
    }
    for id in ids {
        if !records.has(id) {
            *deletions.entry(owners[id]).or_default() += 1;
        }
    }
    (deletions, moves)
}

fn run_race(store: &Store, requests: usize) {
    let host = store.setup().start();
    let all: Vec<_> = RECORDS.iter().map(|id| ((*id).to_owned(), Some("alice"))).collect();
    store.connect().insert(&all);
    let stop = AtomicBool::new(false);
    let (mut deletions, moves, statuses, times) = thread::scope(|scope| {
        let movers = RECORDS.chunks(RECORDS.len() / 2).zip(1..).map(|(ids, seed)| {
            let (records, stop) = (store.connect(), &stop);
            scope.spawn(move || move_records(records, ids, seed, stop))
        });
        let movers: Vec<_> = movers.collect();
        let requests_per_client = requests / REQUESTERS.len() / 2;
        let clients = REQUESTERS.iter().chain(&REQUESTERS).zip(7..).map(|(name, seed)| {
            let mut client = HttpClient::new(&host, &token(name));
            let stop = &stop;
            scope.spawn(move || {
                let stop = StopOnDrop(stop);
                let (mut random, mut statuses, mut times) = (Random(seed), BTreeMap::new(), Vec::new());
                for _ in 0..requests_per_client {
                    let id = RECORDS[random.below(RECORDS.len())];
                    let reply = client.delete(&format!("/learnings/{id}")).expect("an answer");
                    *statuses.entry((*name, reply.status)).or_insert(0) += 1;
                    times.push(reply.elapsed);
                }
                std::mem::forget(stop);
                (statuses, times)
            })
        });
        let clients: Vec<_> = clients.collect();
        let (mut statuses, mut times) = (BTreeMap::new(), Vec::new());
        for client in clients {
            let (client_statuses, client_times) = client.join().expect("every request is answered");
            for (key, count) in client_statuses {
                *statuses.entry(key).or_insert(0) += count;
            }
            times.extend(client_times);
        }
        stop.store(true, Ordering::Relaxed);
        let (mut deletions, mut moves) = (DeletionsByOwner::new(), 0);
        for mover in movers {
            let (mover_deletions, mover_moves) = mover.join().expect("every change succeeds");
            for (owner, count) in mover_deletions {
                *deletions.entry(owner).or_default() += count;
            }
            moves += mover_moves;
        }
        (deletions, moves, statuses, times)
    });
    let with = |status: u16| -> usize {
        statuses.iter().filter(|((_, other), _)| *other == status).map(|(_, count)| *count).sum()
    };
    let (median, longest) = median_and_max(times);
    println!(
        "{}: {requests} requests against {moves} moves of {} records: {} answered 204, {} 404, {} 403, {} 503; median \
         {median:.1?}, longest {longest:.1?}",
        store.name(),
        RECORDS.len(),
        with(204),
        with(404),
        with(403),
        with(503),
    );
    for name in REQUESTERS {
        let deleted = statuses.get(&(name, 204)).copied().unwrap_or_default();
        let deleted_while_owner = deletions.remove_entry(&Some(name)).map_or(0, |(_, count)| count);
        println!("  {name}: {deleted} answered 204, {deleted_while_owner} deleted while {name} owned them");
        assert_eq!(deleted, deleted_while_owner, "{name}");
        assert!(deleted > 0, "some requests of {name} succeed");
    }
    assert!(deletions.is_empty(), "records were deleted without a request of their owner: {deletions:?}");
    assert_eq!(with(204) + with(404) + with(403), requests, "{statuses:?}\n{}", host.log());
}

#[test]
fn record_is_deleted_only_by_its_owner_at_that_moment() {
    for store in Store::all("races for records on PostgreSQL") {
        run_race(&store, shortened_or_full(REQUESTS[0], REQUESTS[1]));
    }
}
