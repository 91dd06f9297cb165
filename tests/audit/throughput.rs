//! The cost of the log.

use super::{Log, stop};
use crate::storage::store::Store;
use crate::storage::{shortened_or_full, token};
use crate::support::load::HttpClient;
use crate::support::server::Setup;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const CLIENTS: usize = 64;

/// Deletes this many records, and returns how many in a second.
fn deletes_per_second(store: &Store, log: Option<&Log>, count: usize, round: usize) -> f64 {
    let ids: Vec<String> = (0..count).map(|index| format!("record_{round}_{}_{index}", log.is_some())).collect();
    store.connect().insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
    let mut setup = store.setup();
    if let Some(log) = log {
        setup.settings += &log
            .settings()
            .replace("max_segment_bytes = 100000", "max_segment_bytes = 67108864")
            .replace("checkpoint_interval_seconds = 1", "checkpoint_interval_seconds = 10");
    }
    let server = setup.start();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (mut client, ids, next) = (HttpClient::new(&server, &token("alice")), &ids, &next);
            scope.spawn(move || {
                while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    assert_eq!(client.delete(&format!("/learnings/{id}")).expect("an answer").status, 204);
                }
            });
        }
    });
    let rate = f64::from(u32::try_from(count).expect("small")) / begin.elapsed().as_secs_f64();
    stop(server);
    rate
}

/// Prints the cost. It depends on the machine, so it is not asserted.
#[test]
fn cost_of_the_log_is_printed() {
    let count = shortened_or_full(300, 20_000);
    for store in Store::all("the cost of the audit log on PostgreSQL") {
        let rounds: Vec<[f64; 2]> = (0..shortened_or_full(1, 8))
            .map(|round| {
                let log = Log::new();
                let with = || deletes_per_second(&store, Some(&log), count, round);
                let without = || deletes_per_second(&store, None, count, round);
                // In turns, because the database grows.
                if round % 2 == 0 {
                    let without = without();
                    [without, with()]
                } else {
                    let with = with();
                    [without(), with]
                }
            })
            .collect();
        let median = |side: usize| {
            let mut rates: Vec<f64> = rounds.iter().map(|round| round[side]).collect();
            rates.sort_by(f64::total_cmp);
            f64::midpoint(rates[(rates.len() - 1) / 2], rates[rates.len() / 2])
        };
        let (without, with) = (median(0), median(1));
        println!(
            "{}: {without:.0} deletes per second without the audit log, {with:.0} with it: {:.1} % less",
            store.name(),
            100.0 * (1.0 - with / without)
        );
    }
}

#[test]
fn idle_log_uses_no_processor_time() {
    let log = Log::new();
    let server = Setup { settings: log.settings(), ..Setup::jwt() }.start();
    assert_eq!(server.delete("/learnings/absent", Some(&token("alice"))).status, 404);
    server.assert_idle();
}
