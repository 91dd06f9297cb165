//! The server is killed under load, repeatedly.

use super::store::Store;
use super::{shortened_or_full, token};
use crate::support::load::{HttpClient, RequestError};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// The number of kills on SQLite, shortened and in full. A quarter of them on PostgreSQL, where the server stores nothing.
const KILLS: [usize; 2] = [12, 120];

const CLIENTS: usize = 16;

/// Records at each start of the server: more than it can delete before it is killed.
const RECORDS: usize = 6_000;

/// The number of answers after which the server is under load from every client.
const WARM_UP_ANSWERS: usize = 100;

/// The outcomes of the requests between two kills.
#[derive(Default)]
struct Outcomes {
    deleted: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Deletes one record after another until the server no longer answers.
fn delete_until_killed(mut client: HttpClient, ids: &[String], next: &AtomicUsize, deleted: &AtomicUsize) -> Outcomes {
    let mut outcomes = Outcomes::default();
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        match client.delete(&format!("/learnings/{id}")) {
            Ok(reply) => {
                assert_eq!(reply.status, 204, "{id}: {reply:?}");
                deleted.fetch_add(1, Ordering::Relaxed);
                outcomes.deleted.insert(id.clone());
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

#[test]
fn kill_on_sqlite_undoes_no_204_and_deletes_nothing_else() {
    kill_repeatedly(&Store::sqlite(), shortened_or_full(KILLS[0], KILLS[1]));
}

#[test]
fn kill_on_postgres_undoes_no_204_and_deletes_nothing_else() {
    let Some(store) = Store::postgres("killing the server while it deletes on PostgreSQL") else { return };
    kill_repeatedly(&store, shortened_or_full(KILLS[0], KILLS[1]).div_ceil(4));
}

fn kill_repeatedly(store: &Store, kills: usize) {
    let mut records = store.connect();
    let bystanders: BTreeSet<String> = (0..500).map(|index| format!("bystander_{index}")).collect();
    records.insert(&bystanders.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());

    let (mut deleted, mut unknown, mut unknown_and_deleted) = (0, 0, 0);
    let mut ids: Vec<String> = Vec::new();
    for kill in 0..kills {
        let added: Vec<_> = (ids.len()..RECORDS).map(|index| format!("record_{kill}_{index}")).collect();
        records.insert(&added.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        ids.extend(added);
        let mut setup = store.setup();
        if kill % 2 == 1 {
            // Checkpoints the WAL all the time, so that some kills interrupt a checkpoint.
            setup.settings.push_str("sqlite.wal_checkpoint_bytes = 65536\n");
        }
        let mut host = setup.start();
        let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let outcomes: Vec<Outcomes> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|_| {
                let (client, ids, next, answered) = (HttpClient::new(&host, &token("alice")), &ids, &next, &answered);
                scope.spawn(move || delete_until_killed(client, ids, next, answered))
            });
            let clients: Vec<_> = clients.collect();
            while answered.load(Ordering::Relaxed) < WARM_UP_ANSWERS
                && !clients.iter().any(ScopedJoinHandle::is_finished)
            {
                thread::sleep(Duration::from_micros(200));
            }
            // Kills after a different time in each iteration.
            thread::sleep(Duration::from_micros(10_000 + 7_919 * u64::try_from(kill).expect("small") % 100_000));
            host.signal("KILL");
            host.wait();
            clients.into_iter().map(|client| client.join().expect("every answer is right")).collect()
        });
        store.check_after_crash();
        let remaining = records.ids();
        let (mut answered_204, mut unanswered) = (BTreeSet::new(), BTreeSet::new());
        for outcomes in outcomes {
            answered_204.extend(outcomes.deleted);
            unanswered.extend(outcomes.unknown);
        }
        assert!(answered_204.len() < RECORDS, "the server was killed under load");
        let undone: Vec<_> = answered_204.intersection(&remaining).collect();
        assert!(undone.is_empty(), "answered 204 but not deleted after kill {kill}: {undone:?}");
        let is_requested = |id: &String| answered_204.contains(id) || unanswered.contains(id);
        let missing: Vec<_> = ids.iter().filter(|id| !remaining.contains(*id) && !is_requested(id)).collect();
        assert!(missing.is_empty(), "deleted without a request before kill {kill}: {missing:?}");
        assert!(bystanders.is_subset(&remaining), "a bystander was deleted before kill {kill}");
        deleted += answered_204.len();
        unknown += unanswered.len();
        unknown_and_deleted += unanswered.difference(&remaining).count();
        ids.retain(|id| remaining.contains(id));
    }
    println!(
        "{}: {kills} kills under load of {CLIENTS} clients: {deleted} answered 204, all of them deleted; {unknown} without \
         an answer, {unknown_and_deleted} of them deleted; no other record deleted",
        store.name()
    );
}
