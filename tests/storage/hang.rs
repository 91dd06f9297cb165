//! A database that stops answering without closing a connection, beside databases that answer.

use super::store::{Records, Store, table};
use super::{token, wait_for_more};
use crate::support::cluster::{Cluster, PASSWORD, USER};
use crate::support::load::{Client, middle_and_longest};
use crate::support::postgres::agno_tables;
use crate::support::proxy::Proxy;
use crate::support::server::Setup;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Requests at once to the database that hangs.
const CLIENTS: usize = 12;

/// Records in it: more than are deleted before it hangs.
const HUNG: usize = 10_000;

const LIMITS: &str = "postgres.connect_timeout_ms = 1500\npostgres.statement_timeout_ms = 1200\npostgres.acquire_timeout_ms = 700\n\
                      postgres.max_connections = 4\nsqlite.busy_timeout_ms = 2000\n";

/// Wait for a connection, make it, ask and wait for a quarter longer than the server may take; and a busy machine's slack.
const WITHIN: Duration = Duration::from_millis(700 + 1500 + 1500 + 2500);

#[test]
fn a_database_that_hangs_costs_its_own_requests_a_bounded_time_and_others_nothing() {
    let left_out = "a PostgreSQL database that hangs";
    let Some(cluster) = Cluster::shared(left_out) else { return };
    let (lite, beside) = (Store::sqlite(), Store::postgres(left_out).expect("there is a cluster"));
    let database = cluster.make_database();
    let mut behind = cluster.connect(&database);
    behind.run(&agno_tables());
    let proxy = Proxy::to(cluster.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let further_databases = table("hanging", &url) + &lite.table("lite") + &beside.table("beside");
    let host = Setup { databases: vec![], further_databases, settings: LIMITS.to_owned(), ..Setup::jwt() }.start();

    let ids = |name: &str, count: usize| -> Vec<(String, Option<&str>)> {
        (0..count).map(|index| (format!("{name}_{index}"), Some("alice"))).collect()
    };
    behind.insert(&ids("hung", HUNG));
    for store in [&lite, &beside] {
        store.connect().insert(&ids("usual", 200));
        store.connect().insert(&ids("meanwhile", 200));
    }
    // How long the others usually take, one request after another.
    let speed = |name: &str, id: &str| {
        let mut client = Client::of(&host, &token("alice"));
        let times = (0..200).map(|index| {
            let reply = client.delete(&format!("/learnings/{name}_{index}?db_id={id}")).expect("an answer");
            assert_eq!(reply.status, 204, "{reply:?}");
            reply.after
        });
        middle_and_longest(times.collect())
    };
    let ask = |index: usize| {
        let mut client = Client::of(&host, &token("alice"));
        client.delete(&format!("/learnings/hung_{index}?db_id=hanging")).expect("an answer")
    };
    let health = || Client::of(&host, "").request("GET", "/health").expect("an answer");
    for index in 0..CLIENTS {
        assert_eq!(ask(index).status, 204);
    }
    assert_eq!(health().body, r#"{"status":"ok","databases":{"ok":3,"failing":0}}"#);
    let usual = ["lite", "beside"].map(|id| speed("usual", id));

    // It stops under load, so that some requests are with it and some on their way.
    let (mut refused, mut unknown, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
    let count = AtomicUsize::new(0);
    let (meanwhile, its_health) = thread::scope(|scope| {
        let (ask, count) = (&ask, &count);
        let asked: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mine = (client + CLIENTS..HUNG - CLIENTS).step_by(CLIENTS);
                    let mut asked = mine.map(|index| (index, ask(index)));
                    let hangs = asked.find(|(_, reply)| {
                        count.fetch_add(1, Ordering::Relaxed);
                        reply.status != 204
                    });
                    hangs.expect("it hangs before all is deleted")
                })
            })
            .collect();
        wait_for_more(count, 10 * CLIENTS);
        proxy.hang();
        let its_health = scope.spawn(health);
        let meanwhile = ["lite", "beside"].map(|id| speed("meanwhile", id));
        let asked: Vec<_> = asked.into_iter().map(|asked| asked.join().expect("an answer")).collect();
        // And those who ask while it hangs.
        let later = (HUNG - CLIENTS..HUNG).map(|index| scope.spawn(move || (index, ask(index)))).collect::<Vec<_>>();
        for (index, reply) in asked.into_iter().chain(later.into_iter().map(|later| later.join().expect("an answer"))) {
            assert!(reply.after < WITHIN, "{reply:?}");
            longest = longest.max(reply.after);
            match reply.status {
                503 => refused.push(index),
                500 => unknown.push(index),
                _ => panic!("{reply:?}"),
            }
        }
        (meanwhile, its_health.join().expect("an answer"))
    });
    assert_eq!(its_health.body, r#"{"status":"degraded","databases":{"ok":2,"failing":1}}"#);
    assert!(its_health.after < WITHIN, "{its_health:?}");
    assert!(!unknown.is_empty() && !refused.is_empty(), "some were sent to the database, and some were not");
    for index in &unknown {
        let record = host.logged(&["\"target\":\"audit\"", &format!("\"hung_{index}\"")]);
        assert_eq!(record["record"], "unknown", "{record}");
    }

    let forwarded = Instant::now();
    proxy.forward();
    // What was held back arrives now: records of unknown outcome may go, and no other.
    let (mut back, end) = (None, forwarded + Duration::from_secs(20));
    for index in &refused {
        assert!(behind.has(&format!("hung_{index}")), "503 said that nothing was deleted: hung_{index}");
        // Until the server has got rid of all that was held back.
        while back.is_none() && Instant::now() < end {
            let reply = ask(*index);
            assert!([204, 503].contains(&reply.status), "{reply:?}");
            back = (reply.status == 204).then(|| forwarded.elapsed());
        }
    }
    let back = back.expect("it is served again");
    for index in &refused[1..] {
        assert_eq!(ask(*index).status, 204, "hung_{index}\n{}", host.log());
    }
    let gone = unknown.iter().filter(|index| !behind.has(&format!("hung_{index}"))).count();
    assert_eq!(health().body, r#"{"status":"ok","databases":{"ok":3,"failing":0}}"#);
    println!(
        "a database hangs: of {} requests {} answered 503 and {} of unknown outcome ({gone} of them deleted once it \
         goes on), the longest after {longest:.2?}; health after {:.2?}; served again {back:.2?} after it goes on",
        2 * CLIENTS,
        refused.len(),
        unknown.len(),
        its_health.after,
    );
    for ((name, usual), meanwhile) in ["SQLite", "PostgreSQL"].iter().zip(usual).zip(meanwhile) {
        println!("  {name} beside it: middle {:.2?} as usual, {:.2?} meanwhile", usual.0, meanwhile.0);
        // On a busy machine times differ by themselves; waiting for the other database would be hundreds of milliseconds.
        assert!(meanwhile.0 < usual.0 * 3 + Duration::from_millis(100), "{name}: {usual:?}, {meanwhile:?}");
    }
}
