//! The host killed in the middle of its work, again and again.

use super::store::Store;
use super::{number, token};
use crate::support::load::{Client, Unanswered};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// Kills on SQLite, shortened and in full; on PostgreSQL, where the host keeps nothing itself, a quarter of them.
const KILLS: [usize; 2] = [12, 120];

const CLIENTS: usize = 16;

/// Records at the start of each life of the host: more than it can delete in that life.
const RECORDS: usize = 6_000;

/// Answers after which the host is at work with every client.
const WARM: usize = 100;

/// What became of the requests of one life.
#[derive(Default)]
struct Asked {
    deleted: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Asks for one record after another until nobody answers any more.
fn ask(mut client: Client, ids: &[String], next: &AtomicUsize, deleted: &AtomicUsize) -> Asked {
    let mut asked = Asked::default();
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        match client.delete(&format!("/learnings/{id}")) {
            Ok(reply) => {
                assert_eq!(reply.status, 204, "{id}: {reply:?}");
                deleted.fetch_add(1, Ordering::Relaxed);
                asked.deleted.insert(id.clone());
            }
            Err(Unanswered::OutcomeUnknown) => {
                asked.unknown.insert(id.clone());
                return asked;
            }
            Err(Unanswered::NotSent) => return asked,
        }
    }
    asked
}

#[test]
fn what_was_answered_204_stays_deleted_when_the_host_is_killed_and_nothing_else_goes() {
    crash(&Store::sqlite(), number(KILLS[0], KILLS[1]));
}

#[test]
fn what_was_answered_204_stays_deleted_on_postgresql_too() {
    let Some(store) = Store::postgres("the host killed while it works on PostgreSQL") else { return };
    crash(&store, number(KILLS[0], KILLS[1]).div_ceil(4));
}

fn crash(store: &Store, kills: usize) {
    let mut records = store.connect();
    let bystanders: BTreeSet<String> = (0..500).map(|index| format!("bystander_{index}")).collect();
    records.insert(&bystanders.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());

    let (mut deleted, mut unknown, mut unknown_and_gone) = (0, 0, 0);
    let mut ids: Vec<String> = Vec::new();
    for kill in 0..kills {
        let further: Vec<_> = (ids.len()..RECORDS).map(|index| format!("record_{kill}_{index}")).collect();
        records.insert(&further.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        ids.extend(further);
        let mut setup = store.setup();
        if kill % 2 == 1 {
            // SQLite's log is carried over into the file all the time, so that it is killed in the middle of that as well.
            setup.settings.push_str("sqlite.wal_checkpoint_bytes = 65536\n");
        }
        let mut host = setup.start();
        let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let asked: Vec<Asked> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|_| {
                let (client, ids, next, answered) = (Client::of(&host, &token("alice")), &ids, &next, &answered);
                scope.spawn(move || ask(client, ids, next, answered))
            });
            let clients: Vec<_> = clients.collect();
            while answered.load(Ordering::Relaxed) < WARM && !clients.iter().any(ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_micros(200));
            }
            // At another point of the work each time.
            thread::sleep(Duration::from_micros(10_000 + 7_919 * u64::try_from(kill).expect("small") % 100_000));
            host.signal("KILL");
            host.wait();
            clients.into_iter().map(|client| client.join().expect("every answer is right")).collect()
        });
        store.check_after_crash();
        let left = records.ids();
        let (mut gone, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for asked in asked {
            gone.extend(asked.deleted);
            lost.extend(asked.unknown);
        }
        assert!(gone.len() < RECORDS, "it was killed under load");
        let back: Vec<_> = gone.intersection(&left).collect();
        assert!(back.is_empty(), "answered 204 and there again after kill {kill}: {back:?}");
        let missing: Vec<_> =
            ids.iter().filter(|id| !left.contains(*id) && !gone.contains(*id) && !lost.contains(*id)).collect();
        assert!(missing.is_empty(), "never asked for and gone after kill {kill}: {missing:?}");
        assert!(bystanders.is_subset(&left), "a record that nobody ever asks for is gone after kill {kill}");
        deleted += gone.len();
        unknown += lost.len();
        unknown_and_gone += lost.difference(&left).count();
        // What is left of this life is asked for in the next.
        ids.retain(|id| left.contains(id));
    }
    println!(
        "{}: {kills} kills under load of {CLIENTS} clients: {deleted} answered 204, all of them gone; {unknown} without an \
         answer, {unknown_and_gone} of them gone; nothing else missing",
        store.name()
    );
}
