//! Deletes while another program gives the records to others, deletes them and makes them anew.
//!
//! For each record one mover alone changes it, one step after another, and so knows after every step whose it is. Where
//! it finds the record gone at its next step, the record was deleted while that owner had it. So for each user the
//! number of records that went while they were the user's must be the number of 204s that the user was answered: one
//! more of the former is a record deleted that its owner of that moment did not give up. An implementation that looks
//! first and deletes by the id alone afterwards fails this within a few hundred requests.

use super::store::{Records, Store};
use super::{StopAtEnd, number, token};
use crate::support::load::{Client, middle_and_longest};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Requests on each kind of database, shortened and in full.
const REQUESTS: [usize; 2] = [3_000, 40_000];

/// Users who ask for the deletion of every record all the time.
const ASKING: [&str; 2] = ["alice", "bob"];

/// Owners that the records get in turn. The last ones ask for nothing, so nothing of theirs may go, although their names
/// are one of those who ask but for case and space.
const OWNERS: [Option<&str>; 7] =
    [Some("alice"), Some("bob"), Some("carol"), None, Some("Alice"), Some("alice "), Some("")];

/// Few records, so that requests and movers meet.
const RECORDS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// How many records went while they were whose.
type Gone = BTreeMap<Option<&'static str>, usize>;

/// Moves these records from owner to owner until told to stop, and tells what went meanwhile.
fn mover(mut records: Box<dyn Records>, mine: &[&'static str], seed: u64, stop: &AtomicBool) -> (Gone, usize) {
    let (mut gone, mut moves, mut numbers) = (Gone::new(), 0, Numbers(seed));
    let mut owners: BTreeMap<&str, Option<&'static str>> = mine.iter().map(|id| (*id, Some("alice"))).collect();
    let _stop = StopAtEnd(stop);
    while !stop.load(Ordering::Relaxed) {
        // Other programs do something between two transactions.
        thread::sleep(Duration::from_micros(u64::try_from(numbers.below(1_000)).expect("small")));
        let id = mine[numbers.below(mine.len())];
        // Every other time to somebody who asks, so that there is something to delete.
        let among = if numbers.below(2) == 0 { ASKING.len() } else { OWNERS.len() };
        let owner = OWNERS[numbers.below(among)];
        let before = owners[id];
        let was_there = match numbers.below(4) {
            0 | 1 => {
                let was_there = records.give(id, owner);
                if !was_there {
                    records.insert(&[(id.to_owned(), owner)]);
                }
                was_there
            }
            // In two transactions, between which there is no such record.
            2 => {
                let was_there = records.remove(id);
                records.insert(&[(id.to_owned(), owner)]);
                was_there
            }
            _ => records.recreate(id, owner),
        };
        if !was_there {
            *gone.entry(before).or_default() += 1;
        }
        owners.insert(id, owner);
        moves += 1;
    }
    for id in mine {
        if !records.has(id) {
            *gone.entry(owners[id]).or_default() += 1;
        }
    }
    (gone, moves)
}

fn race(store: &Store, requests: usize) {
    let host = store.setup().start();
    let all: Vec<_> = RECORDS.iter().map(|id| ((*id).to_owned(), Some("alice"))).collect();
    store.connect().insert(&all);
    let stop = AtomicBool::new(false);
    let (mut gone, moves, statuses, times) = thread::scope(|scope| {
        let movers = RECORDS.chunks(RECORDS.len() / 2).zip(1..).map(|(mine, seed)| {
            let (records, stop) = (store.connect(), &stop);
            scope.spawn(move || mover(records, mine, seed, stop))
        });
        let movers: Vec<_> = movers.collect();
        let each = requests / ASKING.len() / 2;
        let asking = ASKING.iter().chain(&ASKING).zip(7..).map(|(name, seed)| {
            let mut client = Client::of(&host, &token(name));
            let stop = &stop;
            scope.spawn(move || {
                let stop = StopAtEnd(stop);
                let (mut numbers, mut statuses, mut times) = (Numbers(seed), BTreeMap::new(), Vec::new());
                for _ in 0..each {
                    let id = RECORDS[numbers.below(RECORDS.len())];
                    let reply = client.delete(&format!("/learnings/{id}")).expect("an answer");
                    *statuses.entry((*name, reply.status)).or_insert(0) += 1;
                    times.push(reply.after);
                }
                std::mem::forget(stop);
                (statuses, times)
            })
        });
        let asking: Vec<_> = asking.collect();
        let (mut statuses, mut times) = (BTreeMap::new(), Vec::new());
        for asked in asking {
            let (its, took) = asked.join().expect("every request is answered");
            for (key, count) in its {
                *statuses.entry(key).or_insert(0) += count;
            }
            times.extend(took);
        }
        stop.store(true, Ordering::Relaxed);
        let (mut gone, mut moves) = (Gone::new(), 0);
        for mover in movers {
            let (its, made) = mover.join().expect("every move is made");
            for (owner, count) in its {
                *gone.entry(owner).or_default() += count;
            }
            moves += made;
        }
        (gone, moves, statuses, times)
    });
    let with = |status: u16| -> usize {
        statuses.iter().filter(|((_, its), _)| *its == status).map(|(_, count)| *count).sum()
    };
    let (middle, longest) = middle_and_longest(times);
    println!(
        "{}: {requests} requests against {moves} moves of {} records: {} answered 204, {} 404, {} 403, {} 503; middle \
         {middle:.1?}, longest {longest:.1?}",
        store.name(),
        RECORDS.len(),
        with(204),
        with(404),
        with(403),
        with(503),
    );
    for name in ASKING {
        let deleted = statuses.get(&(name, 204)).copied().unwrap_or_default();
        let went = gone.remove_entry(&Some(name)).map_or(0, |(_, count)| count);
        println!("  {name}: {deleted} answered 204, {went} gone while {name}'s");
        assert_eq!(deleted, went, "{name}");
        assert!(deleted > 0, "{name} had something to delete");
    }
    assert!(gone.is_empty(), "records went that their owners did not give up: {gone:?}");
    assert_eq!(with(204) + with(404) + with(403), requests, "{statuses:?}\n{}", host.log());
}

#[test]
fn a_record_goes_only_if_its_owner_of_that_moment_asked() {
    for store in Store::each("races for records on PostgreSQL") {
        race(&store, number(REQUESTS[0], REQUESTS[1]));
    }
}
