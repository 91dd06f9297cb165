//! The server is killed under load, repeatedly.

use super::shortened_or_full;
use super::store::Store;
use crate::support::kill::{CLIENTS, Kill, add_records};
use std::collections::BTreeSet;
use std::time::Duration;

/// The number of kills on SQLite, shortened and in full. A quarter of them on PostgreSQL, where the server stores nothing.
const KILLS: [usize; 2] = [8, 120];

/// Records at each start of the server: more than it can delete before it is killed.
const RECORDS: usize = 6_000;

const KILL: Kill = Kill { warm_up_answers: 100, max_delay: Duration::from_millis(100) };

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
        add_records(&mut *records, &mut ids, RECORDS, kill);
        let mut setup = store.setup();
        if kill % 2 == 1 {
            // Checkpoints the WAL all the time, so that some kills interrupt a checkpoint.
            setup.settings.push_str("sqlite.wal_checkpoint_bytes = 65536\n");
        }
        let outcomes = KILL.run(setup.start(), &ids, kill);
        store.check_after_crash();
        let remaining = records.ids();
        let answered_204: BTreeSet<String> = outcomes.deleted.into_keys().collect();
        let unanswered = outcomes.unknown;
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
