//! A database that hangs without closing connections, next to databases that answer.

use super::store::{Records, Store, table};
use super::{token, wait_for_increase};
use crate::support::cluster::{Cluster, PASSWORD, USER};
use crate::support::load::{HttpClient, median_and_max};
use crate::support::postgres::agno_tables;
use crate::support::proxy::Proxy;
use crate::support::server::{LONG_TIMEOUTS, Setup, assert_health};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Concurrent requests to the database that hangs.
const CLIENTS: usize = 12;

/// Records in the database that hangs: more than are deleted before it hangs.
const RECORDS: usize = 10_000;

const LIMITS: &str = "postgres.connect_timeout_ms = 1500\npostgres.statement_timeout_ms = 1200\npostgres.acquire_timeout_ms = 700\n\
                      postgres.max_connections = 4\nsqlite.busy_timeout_ms = 2000\n";

/// Maximum time of a request: acquire timeout, connect timeout, statement timeout plus a quarter, and 2.5 s for a busy
/// machine.
const MAX_TIME: Duration = Duration::from_millis(700 + 1500 + 1500 + 2500);

#[test]
fn hanging_database_delays_its_own_requests_only() {
    let skipped = "a PostgreSQL database that hangs";
    let Some(cluster) = Cluster::shared(skipped) else { return };
    let (sqlite, postgres) = (Store::sqlite(), Store::postgres(skipped).expect("a cluster"));
    let database = cluster.create_database();
    let mut direct = cluster.connect(&database);
    direct.run(&agno_tables());
    let proxy = Proxy::new(cluster.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let further_databases = table("hanging", &url) + &sqlite.table("sqlite") + &postgres.table("postgres");
    let host = Setup { databases: vec![], further_databases, settings: LIMITS.to_owned(), ..Setup::jwt() }.start();

    let ids = |name: &str, count: usize| -> Vec<(String, Option<&str>)> {
        (0..count).map(|index| (format!("{name}_{index}"), Some("alice"))).collect()
    };
    direct.insert(&ids("hung", RECORDS));
    for store in [&sqlite, &postgres] {
        store.connect().insert(&ids("before", 200));
        store.connect().insert(&ids("meanwhile", 200));
    }
    // Returns the median and maximum time of sequential requests.
    let measure = |name: &str, id: &str| {
        let mut client = HttpClient::new(&host, &token("alice"));
        let times = (0..200).map(|index| {
            let reply = client.delete(&format!("/learnings/{name}_{index}?db_id={id}")).expect("an answer");
            assert_eq!(reply.status, 204, "{reply:?}");
            reply.elapsed
        });
        median_and_max(times.collect())
    };
    let delete = |index: usize| {
        let mut client = HttpClient::new(&host, &token("alice"));
        client.delete(&format!("/learnings/hung_{index}?db_id=hanging")).expect("an answer")
    };
    let health = || HttpClient::new(&host, "").request("GET", "/health").expect("an answer");
    for index in 0..CLIENTS {
        assert_eq!(delete(index).status, 204);
    }
    assert_health(&health().body, "ok", 3, 0);
    let before = ["sqlite", "postgres"].map(|id| measure("before", id));

    // Hangs under load, so that some requests were already sent to the database and some were not.
    let (mut unavailable, mut unknown, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
    let count = AtomicUsize::new(0);
    let (meanwhile, health_while_hanging) = thread::scope(|scope| {
        let (delete, count) = (&delete, &count);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let indices = (client + CLIENTS..RECORDS - CLIENTS).step_by(CLIENTS);
                    let mut replies = indices.map(|index| (index, delete(index)));
                    let first_failure = replies.find(|(_, reply)| {
                        count.fetch_add(1, Ordering::Relaxed);
                        reply.status != 204
                    });
                    first_failure.expect("the database hangs before all records are deleted")
                })
            })
            .collect();
        wait_for_increase(count, 10 * CLIENTS);
        proxy.hang();
        let health_while_hanging = scope.spawn(health);
        let meanwhile = ["sqlite", "postgres"].map(|id| measure("meanwhile", id));
        let replies: Vec<_> = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        // Further requests while it hangs.
        let later =
            (RECORDS - CLIENTS..RECORDS).map(|index| scope.spawn(move || (index, delete(index)))).collect::<Vec<_>>();
        for (index, reply) in replies.into_iter().chain(later.into_iter().map(|later| later.join().expect("an answer")))
        {
            assert!(reply.elapsed < MAX_TIME, "{reply:?}");
            longest = longest.max(reply.elapsed);
            match reply.status {
                503 => unavailable.push(index),
                500 => unknown.push(index),
                _ => panic!("{reply:?}"),
            }
        }
        (meanwhile, health_while_hanging.join().expect("an answer"))
    });
    assert_health(&health_while_hanging.body, "degraded", 2, 1);
    assert!(health_while_hanging.elapsed < MAX_TIME, "{health_while_hanging:?}");
    assert!(
        !unknown.is_empty() && !unavailable.is_empty(),
        "some requests were sent to the database, and some were not"
    );
    for index in &unknown {
        let record = host.wait_for_log(&["\"target\":\"audit\"", &format!("\"hung_{index}\"")]);
        assert_eq!(record["record"], "unknown", "{record}");
    }

    let resumed = Instant::now();
    proxy.resume();
    // The delayed statements arrive now: they can delete records of unknown outcome, and no others.
    let (mut served_after, end) = (None, resumed + Duration::from_secs(20));
    for index in &unavailable {
        assert!(direct.has(&format!("hung_{index}")), "answered 503 but deleted: hung_{index}");
        // Until PostgreSQL has processed all delayed statements.
        while served_after.is_none() && Instant::now() < end {
            let reply = delete(*index);
            assert!([204, 503].contains(&reply.status), "{reply:?}");
            served_after = (reply.status == 204).then(|| resumed.elapsed());
        }
    }
    let served_after = served_after.expect("the database is served again");
    for index in &unavailable[1..] {
        assert_eq!(delete(*index).status, 204, "hung_{index}\n{}", host.log());
    }
    let deleted = unknown.iter().filter(|index| !direct.has(&format!("hung_{index}"))).count();
    assert_health(&health().body, "ok", 3, 0);
    println!(
        "a database hangs: of {} requests {} answered 503 and {} of unknown outcome ({deleted} of them deleted after it \
         resumed), longest {longest:.2?}; health after {:.2?}; served again {served_after:.2?} after it resumed",
        2 * CLIENTS,
        unavailable.len(),
        unknown.len(),
        health_while_hanging.elapsed,
    );
    for ((name, before), meanwhile) in ["SQLite", "PostgreSQL"].iter().zip(before).zip(meanwhile) {
        println!("  {name}: median {:.2?} before, {:.2?} meanwhile", before.0, meanwhile.0);
        // Times vary on a busy machine; waiting for the other database would take hundreds of milliseconds.
        assert!(meanwhile.0 < before.0 * 3 + Duration::from_millis(100), "{name}: {before:?}, {meanwhile:?}");
    }
}

#[test]
fn locked_database_leaves_instances_to_other_databases() {
    assert_locked_database_leaves_instances("");
}

/// Asserts that the requests of a database that is locked wait without a sandbox instance, except those that it is given at
/// once, by a server with these settings.
pub fn assert_locked_database_leaves_instances(settings: &str) {
    for locked in Store::all("a PostgreSQL database that is locked") {
        let free = Store::sqlite();
        locked.connect().insert(&(0..8).map(|index| (format!("r{index}"), Some("alice"))).collect::<Vec<_>>());
        free.connect().insert(&[("r".to_owned(), Some("alice"))]);
        let further_databases = locked.table("locked") + "max_in_flight = 2\n" + &free.table("free");
        let settings = format!("{LONG_TIMEOUTS}sandbox.max_concurrent_instances = 3\n{settings}");
        let server = Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start();
        let mut other = locked.connect();
        other.begin();
        other.execute_on_table("UPDATE learnings SET namespace = 'locked'");
        let delete = |path: &str| HttpClient::new(&server, &token("alice")).delete(path).expect("an answer");
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..8).map(|index| scope.spawn(move || delete(&format!("/learnings/r{index}?db_id=locked")))).collect();
            thread::sleep(Duration::from_secs(1));
            let reply = delete("/learnings/r?db_id=free");
            assert!(reply.status == 204 && reply.elapsed < Duration::from_secs(1), "{}: {reply:?}", locked.name());
            assert!(waiting.iter().all(|request| !request.is_finished()), "{}", locked.name());
            other.commit();
            for request in waiting {
                assert_eq!(request.join().expect("an answer").status, 204, "{}", locked.name());
            }
        });
    }
}

/// A firewall forgets a connection that is idle, and drops what is sent on it.
#[test]
fn connection_that_was_dropped_while_idle_is_not_used() {
    let Some(cluster) = Cluster::shared("a firewall that drops idle connections") else { return };
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    client.run(&agno_tables());
    client.insert(&["a", "b"].map(|id| (id.to_owned(), Some("alice"))));
    let proxy = Proxy::new(cluster.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let settings = LONG_TIMEOUTS.replace("connect_timeout_ms = 8000", "connect_timeout_ms = 2000");
    let server = Setup { databases: vec![], further_databases: table("main", &url), settings, ..Setup::jwt() }.start();
    let delete = |id: &str| HttpClient::new(&server, &token("alice")).delete(&format!("/learnings/{id}"));
    assert_eq!(delete("a").expect("an answer").status, 204);
    thread::sleep(Duration::from_secs(6));
    proxy.forget();
    assert_eq!(delete("b").expect("an answer").status, 204, "{}", server.log());
}
