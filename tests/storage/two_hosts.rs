//! Two hosts on one database, both asked for everything.

use super::store::Store;
use super::{number, token};
use crate::support::load::Client;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

/// Records, shortened and in full.
const RECORDS: [usize; 2] = [1_500, 20_000];

/// Clients of each host.
const CLIENTS: usize = 6;

#[test]
fn of_two_hosts_on_one_database_one_deletes_each_record_once() {
    let records = number(RECORDS[0], RECORDS[1]);
    for store in Store::each("two hosts on one PostgreSQL database") {
        let ids: Vec<String> = (0..records).map(|index| format!("record_{index}")).collect();
        let mut other = store.connect();
        other.insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        let hosts = [store.setup().start(), store.setup().start()];
        let begun = Instant::now();
        let answers: Vec<(usize, Vec<(&str, u16)>)> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS * hosts.len())
                .map(|index| {
                    let (ids, at, mine) = (&ids, index % hosts.len(), index / hosts.len());
                    let mut client = Client::of(&hosts[at], &token("alice"));
                    // One client of each host asks for the same records as one of the other, in nearly the same order, so
                    // that the two meet and each is first with some.
                    scope.spawn(move || {
                        let mut answers = Vec::new();
                        for few in ids.chunks(CLIENTS * 8) {
                            let mut few: Vec<&str> =
                                few.iter().skip(mine).step_by(CLIENTS).map(String::as_str).collect();
                            if at == 1 {
                                few.reverse();
                            }
                            for id in few {
                                answers
                                    .push((id, client.delete(&format!("/learnings/{id}")).expect("an answer").status));
                            }
                        }
                        (at, answers)
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("every request is answered")).collect()
        });
        let took = begun.elapsed();
        let (mut deleted, mut by_host) = (BTreeMap::new(), [0; 2]);
        for (host, answers) in &answers {
            for (id, status) in answers {
                assert!([204, 404].contains(status), "{id}: {status}\n{}", hosts[*host].log());
                if *status == 204 {
                    *deleted.entry(*id).or_insert(0) += 1;
                    by_host[*host] += 1;
                }
            }
        }
        println!(
            "{}: two hosts asked for the same {records} records in {took:.1?}: {} answered 204 once, {} by one and {} by \
             the other",
            store.name(),
            deleted.len(),
            by_host[0],
            by_host[1],
        );
        assert!(ids.iter().all(|id| deleted.get(id.as_str()) == Some(&1)), "each once: {deleted:?}");
        // Whom SQLite gives its one lock is chance.
        let is_even = matches!(store, Store::Sqlite { .. }) || by_host.iter().all(|count| *count > 0);
        assert!(is_even, "both had a part in it: {by_host:?}");
        assert!(other.ids().is_empty());
    }
}
