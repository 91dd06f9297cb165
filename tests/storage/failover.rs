//! A primary that dies and a standby that takes its place.

use super::store::table;
use super::{StopAtEnd, number, token, wait_for_more};
use crate::support::cluster::{Cluster, PASSWORD, USER, installed};
use crate::support::load::Client;
use crate::support::postgres::agno_tables;
use crate::support::server::{Host, Setup};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Failovers, shortened and in full.
const FAILOVERS: [usize; 2] = [1, 5];

const CLIENTS: usize = 8;

/// Answers of 204 before the primary is killed, and after the standby was promoted.
const BETWEEN: usize = 1_000;

/// More records than are deleted in one run.
const RECORDS: usize = 40_000;

/// Times that are short enough for a test and long enough for a busy machine.
const LIMITS: &str =
    "postgres.connect_timeout_ms = 3000\npostgres.statement_timeout_ms = 2000\npostgres.acquire_timeout_ms = 500\n";

struct Pair {
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    /// A primary with these many records, and a standby that must have a commit before it is answered.
    fn start(records: usize) -> Option<Self> {
        let installed = installed("failover to a standby")?;
        let primary = Cluster::start(installed, &[]);
        let client = primary.connect("postgres");
        client.run(&agno_tables());
        client.run(&format!(
            "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
             SELECT 'record_' || n, 'user_memory', 'alice', '{{}}', 1790000000 FROM generate_series(0, {records} - 1) n"
        ));
        let standby = primary.standby(installed, "standby");
        primary.set(&[("synchronous_standby_names", "standby")]);
        client.wait_for("SELECT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')");
        Some(Self { primary, standby })
    }

    /// A host that knows both.
    fn host(&self) -> Host {
        let url = format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&\
             target_session_attrs=read-write",
            self.primary.port, self.standby.port
        );
        let (further_databases, settings) = (table("main", &url), LIMITS.to_owned());
        Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start()
    }
}

#[derive(Default)]
struct Asked {
    /// With the times at which the request was sent and answered.
    deleted: Vec<(String, Instant, Instant)>,
    unknown: Vec<String>,
    refused: usize,
    longest: Duration,
}

fn ask(mut client: Client, next: &AtomicUsize, stop: &AtomicBool, deleted: &AtomicUsize) -> Asked {
    let mut asked = Asked::default();
    let _stop = StopAtEnd(stop);
    while !stop.load(Ordering::Relaxed) {
        let id = format!("record_{}", next.fetch_add(1, Ordering::Relaxed));
        loop {
            let sent = Instant::now();
            let reply = client.delete(&format!("/learnings/{id}")).expect("an answer");
            asked.longest = asked.longest.max(reply.after);
            match reply.status {
                204 => {
                    asked.deleted.push((id, sent, Instant::now()));
                    deleted.fetch_add(1, Ordering::Relaxed);
                }
                500 => asked.unknown.push(id),
                // Nothing was deleted, and it says when to come again; a test is in more of a hurry.
                503 if !stop.load(Ordering::Relaxed) => {
                    assert!(reply.head.contains("retry-after: 1\r\n"), "{reply:?}");
                    asked.refused += 1;
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
                503 => {}
                _ => panic!("{id}: {reply:?}"),
            }
            break;
        }
    }
    asked
}

#[test]
fn when_the_primary_dies_no_204_is_undone_and_the_standby_serves() {
    for _ in 0..number(FAILOVERS[0], FAILOVERS[1]) {
        let Some(pair) = Pair::start(RECORDS) else { return };
        let host = pair.host();
        let (next, stop, count) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
        let (killed, promoted, asked) = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let client = Client::of(&host, &token("alice"));
                    let (next, stop, count) = (&next, &stop, &count);
                    scope.spawn(move || ask(client, next, stop, count))
                })
                .collect();
            let stop = StopAtEnd(&stop);
            wait_for_more(&count, BETWEEN);
            pair.primary.server.kill();
            let killed = Instant::now();
            let standby = pair.standby.connect("postgres");
            // Waited for by questions that see nothing of what is still replayed, so that neither hinders the other.
            standby.run("SELECT pg_promote(false)");
            standby.wait_for("SELECT NOT pg_is_in_recovery()");
            let promoted = Instant::now();
            // There is nobody who must have a commit first any more.
            standby.run("ALTER SYSTEM RESET synchronous_standby_names");
            wait_for_more(&count, BETWEEN);
            drop(stop);
            let asked: Vec<Asked> =
                clients.into_iter().map(|client| client.join().expect("every answer is right")).collect();
            (killed, promoted, asked)
        });
        let deleted: Vec<&(String, Instant, Instant)> = asked.iter().flat_map(|asked| &asked.deleted).collect();
        let unknown: BTreeSet<&str> = asked.iter().flat_map(|asked| &asked.unknown).map(String::as_str).collect();
        let after: Vec<_> = deleted.iter().filter(|(_, sent, _)| *sent > killed).collect();
        let left = pair.standby.connect("postgres").query("SELECT learning_id FROM ai.agno_learnings", &[]);
        let left: BTreeSet<String> = left.iter().map(|row| row.get(0)).collect();
        let first = after.iter().map(|(_, _, answered)| *answered).min();
        println!(
            "PostgreSQL: the primary killed under load of {CLIENTS} clients, its synchronous standby promoted after {:.2} s: \
             the next 204 {:.2} s after the kill; {} answered 204, {} of them after it; {} answered 503 \
             and repeated, {} of unknown outcome; longest request {:.2} s",
            (promoted - killed).as_secs_f64(),
            first.map_or(f64::NAN, |first| (first - killed).as_secs_f64()),
            deleted.len(),
            after.len(),
            asked.iter().map(|asked| asked.refused).sum::<usize>(),
            unknown.len(),
            asked.iter().map(|asked| asked.longest).max().unwrap_or_default().as_secs_f64(),
        );
        let undone: Vec<_> = deleted.iter().filter(|(id, ..)| left.contains(id)).collect();
        assert!(undone.is_empty(), "answered 204 and there on the promoted standby: {undone:?}");
        assert!(!after.is_empty(), "the promoted standby serves\n{}", host.log());
        assert!(deleted.len() > after.len(), "the primary served");
        let asked_for = next.into_inner();
        assert!(asked_for < RECORDS, "more records than are asked for");
        let missing: Vec<_> =
            (asked_for..RECORDS).map(|index| format!("record_{index}")).filter(|id| !left.contains(id)).collect();
        assert!(missing.is_empty(), "never asked for and gone: {missing:?}");
        for id in unknown {
            let record = host.logged(&["\"target\":\"audit\"", &format!("\"{id}\"")]);
            assert_eq!(record["record"], "unknown", "{record}");
        }
    }
}

#[test]
fn a_deletion_that_its_standby_does_not_have_is_not_answered_204() {
    let Some(pair) = Pair::start(3) else { return };
    let host = pair.host();
    let mut client = Client::of(&host, &token("alice"));
    assert_eq!(client.delete("/learnings/record_0").expect("an answer").status, 204);
    pair.standby.server.kill();
    let reply = client.delete("/learnings/record_1").expect("an answer");
    assert_eq!(reply.status, 500, "{reply:?}");
    let record = host.logged(&["\"target\":\"audit\"", "\"record_1\""]);
    assert_eq!(record["record"], "unknown", "{record}");
    println!(
        "PostgreSQL: a deletion without its standby: 500 after {:.2} s, record unknown",
        reply.after.as_secs_f64()
    );
    // Whoever mends it by doing without the standby is served again.
    pair.primary.set(&[("synchronous_standby_names", "")]);
    let end = Instant::now() + Duration::from_secs(20);
    while client.delete("/learnings/record_2").expect("an answer").status != 204 {
        assert!(Instant::now() < end, "{}", host.log());
    }
}

#[test]
fn a_deletion_that_is_made_to_stop_waiting_for_its_standby_is_not_answered_204() {
    let Some(pair) = Pair::start(2) else { return };
    let host = pair.host();
    let mut client = Client::of(&host, &token("alice"));
    assert_eq!(client.delete("/learnings/record_0").expect("an answer").status, 204);
    pair.standby.server.kill();
    let reply = thread::scope(|scope| {
        let asked = scope.spawn(|| client.delete("/learnings/record_1").expect("an answer"));
        // The server then says that the statement is done, with no more than a warning that nobody else has it.
        let primary = pair.primary.connect("postgres");
        primary.wait_for(
            "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        );
        asked.join().expect("no panic")
    });
    assert_eq!(reply.status, 500, "{reply:?}");
    let record = host.logged(&["\"target\":\"audit\"", "\"record_1\""]);
    assert_eq!(record["record"], "unknown", "{record}");
    let text = record.to_string();
    assert!(text.contains("stopped waiting for its standbys"), "{text}");
}
