//! PgBouncer in transaction mode: the next statement can run in another session.

use super::store::{Records, table};
use super::token;
use crate::support::cluster::{Cluster, OsUser, PASSWORD, ServerProcess, USER, free_port, temp_directory};
use crate::support::load::HttpClient;
use crate::support::optional::print_skipped;
use crate::support::postgres::{self, agno_tables};
use crate::support::server::Setup;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLIENTS: usize = 16;
const REQUESTS_PER_CLIENT: usize = 25;

/// A PgBouncer with two connections to the database.
pub(super) struct Bouncer {
    port: u16,
    _server: ServerProcess,
    _directory: TempDir,
}

impl Bouncer {
    pub(super) fn start(cluster: &Cluster, settings: &str) -> Option<Self> {
        let skipped = "PgBouncer";
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from).into_iter().find(|path| path.is_file());
        if program.is_none() {
            assert!(std::env::var_os("CI").is_none(), "pgbouncer is missing, and CI skips nothing");
            print_skipped(&format!("skipped, because pgbouncer is missing: {skipped}"));
        }
        let account = OsUser::unprivileged();
        let (directory, port) = (temp_directory(account), free_port());
        let (config, users) = (directory.path().join("pgbouncer.ini"), directory.path().join("users"));
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).expect("the file is written");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nmax_client_conn = 200\n{settings}\n",
            cluster.port,
            users.display(),
        );
        fs::write(&config, text).expect("the file is written");
        for file in [&config, &users] {
            if let Some(account) = account {
                account.chown(file);
            }
        }
        let server = ServerProcess::start(account, &directory, &program?, &[config.as_os_str() as &OsStr]);
        let bouncer = Self { port, _server: server, _directory: directory };
        drop(bouncer.connect("postgres"));
        Some(bouncer)
    }

    /// Connects as soon as PgBouncer accepts it.
    fn connect(&self, database: &str) -> postgres::Client {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match postgres::Client::connect(&self.url(database)) {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < end, "PgBouncer: {error}:\n{}", self._server.log()),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

#[test]
fn concurrent_deletes_share_two_pgbouncer_connections() {
    let Some(cluster) = Cluster::shared("PgBouncer") else { return };
    let Some(bouncer) = Bouncer::start(cluster, "") else { return };
    let database = cluster.create_database();
    let mut records = cluster.connect(&database);
    records.run(&agno_tables());
    let all = (0..CLIENTS * REQUESTS_PER_CLIENT)
        .map(|index| (format!("record_{index}"), Some(if index % 5 == 0 { "bob" } else { "alice" })));
    records.insert(&all.collect::<Vec<_>>());
    let further_databases = table("main", &bouncer.url(&database)) + "transaction_pooling = true\n";
    let host = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
    let start = Instant::now();
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let mut client = HttpClient::new(&host, &token("alice"));
            scope.spawn(move || {
                for index in (worker..CLIENTS * REQUESTS_PER_CLIENT).step_by(CLIENTS) {
                    let reply = client.delete(&format!("/learnings/record_{index}")).expect("an answer");
                    assert_eq!(reply.status, if index % 5 == 0 { 404 } else { 204 }, "record_{index}: {reply:?}");
                }
            });
        }
    });
    let elapsed = start.elapsed();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections: i64 = records.query(sql, &[])[0].get(0);
    println!(
        "PgBouncer in transaction mode: {} requests of {CLIENTS} clients over {connections} connections in {elapsed:.1?}, each \
         answered correctly",
        CLIENTS * REQUESTS_PER_CLIENT
    );
    assert!(connections <= 2, "{connections}");
    assert_eq!(records.ids().len(), CLIENTS * REQUESTS_PER_CLIENT / 5);
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
}

/// PgBouncer refuses a connection too many with the code with which it refuses settings.
#[test]
fn full_pgbouncer_is_unavailable_until_it_has_room() {
    let Some(cluster) = Cluster::shared("a full PgBouncer") else { return };
    let Some(bouncer) = Bouncer::start(cluster, "max_client_conn = 1") else { return };
    let database = cluster.create_database();
    let mut records = cluster.connect(&database);
    records.run(&agno_tables());
    records.insert(&[("record".to_owned(), Some("alice"))]);
    let other_client = bouncer.connect(&database);
    let further_databases = table("main", &bouncer.url(&database)) + "transaction_pooling = true\n";
    let host = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
    let full = host.delete("/learnings/record", Some(&token("alice")));
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")), "{}", host.log());
    drop(other_client);
    let end = Instant::now() + Duration::from_secs(20);
    while host.delete("/learnings/record", Some(&token("alice"))).status != 204 {
        assert!(Instant::now() < end, "{}", host.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(records.ids().is_empty());
}

#[test]
fn unconfigured_transaction_pooling_prevents_startup() {
    let Some(cluster) = Cluster::shared("PgBouncer without `transaction_pooling`") else { return };
    for settings in ["", "ignore_startup_parameters = options"] {
        let Some(bouncer) = Bouncer::start(cluster, settings) else { return };
        let database = cluster.create_database();
        cluster.connect(&database).run(&agno_tables());
        let setup =
            Setup { databases: vec![], further_databases: table("main", &bouncer.url(&database)), ..Setup::jwt() };
        let error = setup.try_start_in(TempDir::new().expect("a temporary directory")).err().expect("a startup error");
        println!("PgBouncer, {settings:?}: {error}");
        assert!(error.contains("transaction_pooling = true"), "the error names the key: {error}");
        assert!(!error.contains(PASSWORD), "{error}");
    }
}
