//! Failover from a killed primary to its standby.

use super::store::table;
use super::{StopOnDrop, shortened_or_full, token, wait_for_increase};
use crate::support::cluster::{Cluster, PASSWORD, USER, find_postgres};
use crate::support::load::HttpClient;
use crate::support::postgres::agno_tables;
use crate::support::server::{Setup, TestServer};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The number of failovers, shortened and in full.
const FAILOVERS: [usize; 2] = [1, 5];

const CLIENTS: usize = 8;

/// The number of deletions before the primary is killed, and after the standby is promoted.
const DELETIONS_PER_PHASE: usize = 1_000;

/// More records than are deleted in one run.
const RECORDS: usize = 40_000;

/// Timeouts that are short enough for a test and long enough for a busy machine.
const LIMITS: &str =
    "postgres.connect_timeout_ms = 3000\npostgres.statement_timeout_ms = 2000\npostgres.acquire_timeout_ms = 500\n";

struct Pair {
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    /// Starts a primary with this many records, and a synchronous standby.
    fn start(records: usize) -> Option<Self> {
        let installed = find_postgres("failover to a standby")?;
        let primary = Cluster::start(installed, &[]);
        let client = primary.connect("postgres");
        client.run(&agno_tables());
        client.run(&format!(
            "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
             SELECT 'record_' || n, 'user_memory', 'alice', '{{}}', 1790000000 FROM generate_series(0, {records} - 1) n"
        ));
        let standby = primary.start_standby(installed, "standby");
        primary.set(&[("synchronous_standby_names", "standby")]);
        client.wait_for("SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')");
        Some(Self { primary, standby })
    }

    /// Starts a server with both in its URL.
    fn start_server(&self) -> TestServer {
        let url = format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&\
             target_session_attrs=read-write",
            self.primary.port, self.standby.port
        );
        let (further_databases, settings) = (table("main", &url), LIMITS.to_owned());
        Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start()
    }
}

/// The outcomes of the requests of a client.
#[derive(Default)]
struct Outcomes {
    /// The records that were answered 204, with the times at which the request was sent and answered.
    deleted: Vec<(String, Instant, Instant)>,
    unknown: Vec<String>,
    unavailable: usize,
    longest: Duration,
}

/// Deletes one record after another until stopped. Repeats a request that was answered 503.
fn delete_until_stopped(
    mut client: HttpClient,
    next: &AtomicUsize,
    stop: &AtomicBool,
    deleted: &AtomicUsize,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let _stop = StopOnDrop(stop);
    while !stop.load(Ordering::Relaxed) {
        let id = format!("record_{}", next.fetch_add(1, Ordering::Relaxed));
        loop {
            let sent = Instant::now();
            let reply = client.delete(&format!("/learnings/{id}")).expect("an answer");
            outcomes.longest = outcomes.longest.max(reply.elapsed);
            match reply.status {
                204 => {
                    outcomes.deleted.push((id, sent, Instant::now()));
                    deleted.fetch_add(1, Ordering::Relaxed);
                }
                500 => outcomes.unknown.push(id),
                // Nothing was deleted. The test retries sooner than the answer requests.
                503 if !stop.load(Ordering::Relaxed) => {
                    assert!(reply.head.contains("retry-after: 1\r\n"), "{reply:?}");
                    outcomes.unavailable += 1;
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
                503 => {}
                _ => panic!("{id}: {reply:?}"),
            }
            break;
        }
    }
    outcomes
}

#[test]
fn failover_undoes_no_204_and_standby_serves() {
    for _ in 0..shortened_or_full(FAILOVERS[0], FAILOVERS[1]) {
        let Some(pair) = Pair::start(RECORDS) else { return };
        let host = pair.start_server();
        let (next, stop, count) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
        let (killed, promoted, outcomes) = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let client = HttpClient::new(&host, &token("alice"));
                    let (next, stop, count) = (&next, &stop, &count);
                    scope.spawn(move || delete_until_stopped(client, next, stop, count))
                })
                .collect();
            let stop = StopOnDrop(&stop);
            wait_for_increase(&count, DELETIONS_PER_PHASE);
            pair.primary.server.kill();
            let killed = Instant::now();
            let standby = pair.standby.connect("postgres");
            // Polls with a query that reads no table, because queries on tables and the replay of the WAL can block each other.
            standby.run("SELECT pg_promote(false)");
            standby.wait_for("SELECT NOT pg_is_in_recovery()");
            let promoted = Instant::now();
            // The promoted standby has no standby that it could wait for.
            standby.run("ALTER SYSTEM RESET synchronous_standby_names");
            wait_for_increase(&count, DELETIONS_PER_PHASE);
            drop(stop);
            let outcomes: Vec<Outcomes> =
                clients.into_iter().map(|client| client.join().expect("every answer is right")).collect();
            (killed, promoted, outcomes)
        });
        let deleted: Vec<&(String, Instant, Instant)> =
            outcomes.iter().flat_map(|outcomes| &outcomes.deleted).collect();
        let unknown: BTreeSet<&str> =
            outcomes.iter().flat_map(|outcomes| &outcomes.unknown).map(String::as_str).collect();
        let after: Vec<_> = deleted.iter().filter(|(_, sent, _)| *sent > killed).collect();
        let remaining = pair.standby.connect("postgres").query("SELECT learning_id FROM ai.agno_learnings", &[]);
        let remaining: BTreeSet<String> = remaining.iter().map(|row| row.get(0)).collect();
        let first = after.iter().map(|(_, _, answered)| *answered).min();
        println!(
            "PostgreSQL: the primary killed under load of {CLIENTS} clients, its synchronous standby promoted after {:.2} s: \
             the next 204 {:.2} s after the kill; {} answered 204, {} of them after it; {} answered 503 \
             and repeated, {} of unknown outcome; longest request {:.2} s",
            (promoted - killed).as_secs_f64(),
            first.map_or(f64::NAN, |first| (first - killed).as_secs_f64()),
            deleted.len(),
            after.len(),
            outcomes.iter().map(|outcomes| outcomes.unavailable).sum::<usize>(),
            unknown.len(),
            outcomes.iter().map(|outcomes| outcomes.longest).max().unwrap_or_default().as_secs_f64(),
        );
        let undone: Vec<_> = deleted.iter().filter(|(id, ..)| remaining.contains(id)).collect();
        assert!(undone.is_empty(), "answered 204 but not deleted on the promoted standby: {undone:?}");
        assert!(!after.is_empty(), "the promoted standby serves\n{}", host.log());
        assert!(deleted.len() > after.len(), "the primary served");
        let requested = next.into_inner();
        assert!(requested < RECORDS, "there are more records than requests");
        let missing: Vec<_> =
            (requested..RECORDS).map(|index| format!("record_{index}")).filter(|id| !remaining.contains(id)).collect();
        assert!(missing.is_empty(), "deleted without a request: {missing:?}");
        for id in unknown {
            let record = host.wait_for_log(&["\"target\":\"audit\"", &format!("\"{id}\"")]);
            assert_eq!(record["record"], "unknown", "{record}");
        }
    }
}

#[test]
fn delete_without_standby_is_answered_500() {
    let Some(pair) = Pair::start(3) else { return };
    let host = pair.start_server();
    let mut client = HttpClient::new(&host, &token("alice"));
    assert_eq!(client.delete("/learnings/record_0").expect("an answer").status, 204);
    pair.standby.server.kill();
    let reply = client.delete("/learnings/record_1").expect("an answer");
    assert_eq!(reply.status, 500, "{reply:?}");
    let record = host.wait_for_log(&["\"target\":\"audit\"", "\"record_1\""]);
    assert_eq!(record["record"], "unknown", "{record}");
    println!(
        "PostgreSQL: a delete without the synchronous standby: 500 after {:.2} s, record unknown",
        reply.elapsed.as_secs_f64()
    );
    // An operator who disables the standby restores the service.
    pair.primary.set(&[("synchronous_standby_names", "")]);
    let end = Instant::now() + Duration::from_secs(20);
    while client.delete("/learnings/record_2").expect("an answer").status != 204 {
        assert!(Instant::now() < end, "{}", host.log());
    }
}

#[test]
fn delete_whose_wait_for_standby_is_canceled_is_answered_500() {
    let Some(pair) = Pair::start(2) else { return };
    let host = pair.start_server();
    let mut client = HttpClient::new(&host, &token("alice"));
    assert_eq!(client.delete("/learnings/record_0").expect("an answer").status, 204);
    pair.standby.server.kill();
    let reply = thread::scope(|scope| {
        let request = scope.spawn(|| client.delete("/learnings/record_1").expect("an answer"));
        // PostgreSQL then reports success, with a warning that the commit is not on the standby.
        let primary = pair.primary.connect("postgres");
        primary.wait_for(
            "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        );
        request.join().expect("no panic")
    });
    assert_eq!(reply.status, 500, "{reply:?}");
    let record = host.wait_for_log(&["\"target\":\"audit\"", "\"record_1\""]);
    assert_eq!(record["record"], "unknown", "{record}");
    let text = record.to_string();
    assert!(text.contains("stopped waiting for its standbys"), "{text}");
}
