//! Two servers on one database receive requests for the same records.

use super::store::Store;
use super::{shortened_or_full, token};
use crate::support::load::HttpClient;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

/// The number of records, shortened and in full.
const RECORDS: [usize; 2] = [600, 20_000];

/// The number of clients of each server.
const CLIENTS: usize = 6;

#[test]
fn each_record_is_deleted_once_by_one_of_two_servers() {
    let records = shortened_or_full(RECORDS[0], RECORDS[1]);
    for store in Store::all("two servers on one PostgreSQL database") {
        let ids: Vec<String> = (0..records).map(|index| format!("record_{index}")).collect();
        let mut other = store.connect();
        other.insert(&ids.iter().map(|id| (id.clone(), Some("alice"))).collect::<Vec<_>>());
        let servers = [store.setup().start(), store.setup().start()];
        let start = Instant::now();
        let answers: Vec<(usize, Vec<(&str, u16)>)> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS * servers.len())
                .map(|index| {
                    let (ids, server, offset) = (&ids, index % servers.len(), index / servers.len());
                    let mut client = HttpClient::new(&servers[server], &token("alice"));
                    // Each client of one server requests the same records as a client of the other, in chunks of
                    // opposite order, so that each server is first for some of them.
                    scope.spawn(move || {
                        let mut answers = Vec::new();
                        for chunk in ids.chunks(CLIENTS * 8) {
                            let mut chunk: Vec<&str> =
                                chunk.iter().skip(offset).step_by(CLIENTS).map(String::as_str).collect();
                            if server == 1 {
                                chunk.reverse();
                            }
                            for id in chunk {
                                answers
                                    .push((id, client.delete(&format!("/learnings/{id}")).expect("an answer").status));
                            }
                        }
                        (server, answers)
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("every request is answered")).collect()
        });
        let elapsed = start.elapsed();
        let (mut deleted, mut by_server) = (BTreeMap::new(), [0; 2]);
        for (server, answers) in &answers {
            for (id, status) in answers {
                assert!([204, 404].contains(status), "{id}: {status}\n{}", servers[*server].log());
                if *status == 204 {
                    *deleted.entry(*id).or_insert(0) += 1;
                    by_server[*server] += 1;
                }
            }
        }
        println!(
            "{}: two servers were requested to delete the same {records} records in {elapsed:.1?}: {} answered 204 once, {} by one and {} by \
             the other",
            store.name(),
            deleted.len(),
            by_server[0],
            by_server[1],
        );
        assert!(ids.iter().all(|id| deleted.get(id.as_str()) == Some(&1)), "each record is deleted once: {deleted:?}");
        // On SQLite, which server gets the write lock is chance.
        let is_shared = matches!(store, Store::Sqlite { .. }) || by_server.iter().all(|count| *count > 0);
        assert!(is_shared, "both servers deleted records: {by_server:?}");
        assert!(other.ids().is_empty());
    }
}
