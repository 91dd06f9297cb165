//! PgBouncer between the host and PostgreSQL, in transaction mode: the next statement may run in another session.

use super::store::{Records, table};
use super::token;
use crate::support::cluster::{Account, Cluster, PASSWORD, Server, USER, folder, free_port};
use crate::support::load::Client;
use crate::support::postgres::{self, agno_tables};
use crate::support::server::Setup;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLIENTS: usize = 16;
const EACH: usize = 25;

/// A PgBouncer with two connections to the database.
struct Bouncer {
    port: u16,
    _server: Server,
    _folder: TempDir,
}

impl Bouncer {
    fn start(cluster: &Cluster, settings: &str) -> Option<Self> {
        let left_out = "PgBouncer between the host and PostgreSQL";
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from).into_iter().find(|path| path.is_file());
        if program.is_none() {
            assert!(std::env::var_os("CI").is_none(), "pgbouncer is missing, and CI leaves nothing out");
            eprintln!("left out, as pgbouncer is missing: {left_out}");
        }
        let account = Account::without_rights();
        let (folder, port) = (folder(account), free_port());
        let (config, users) = (folder.path().join("pgbouncer.ini"), folder.path().join("users"));
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).expect("a file can be written");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nmax_client_conn = 200\n{settings}\n",
            cluster.port,
            users.display(),
        );
        fs::write(&config, text).expect("a file can be written");
        for file in [&config, &users] {
            if let Some(account) = account {
                account.own(file);
            }
        }
        let server = Server::start(account, &folder, &program?, &[config.as_os_str() as &OsStr]);
        let bouncer = Self { port, _server: server, _folder: folder };
        let end = Instant::now() + Duration::from_secs(20);
        while postgres::Client::connect(&bouncer.url("postgres")).is_err() {
            assert!(Instant::now() < end, "PgBouncer does not answer:\n{}", bouncer._server.log());
            thread::sleep(Duration::from_millis(50));
        }
        Some(bouncer)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

#[test]
fn many_deletes_share_two_connections_of_pgbouncer_in_transaction_mode() {
    let Some(cluster) = Cluster::shared("PgBouncer between the host and PostgreSQL") else { return };
    let Some(bouncer) = Bouncer::start(cluster, "") else { return };
    let database = cluster.make_database();
    let mut records = cluster.connect(&database);
    records.run(&agno_tables());
    let all = (0..CLIENTS * EACH)
        .map(|index| (format!("record_{index}"), Some(if index % 5 == 0 { "bob" } else { "alice" })));
    records.insert(&all.collect::<Vec<_>>());
    let further_databases = table("main", &bouncer.url(&database)) + "transaction_pooling = true\n";
    let host = Setup { databases: vec![], further_databases, ..Setup::jwt() }.start();
    let begun = Instant::now();
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let mut client = Client::of(&host, &token("alice"));
            scope.spawn(move || {
                for index in (worker..CLIENTS * EACH).step_by(CLIENTS) {
                    let reply = client.delete(&format!("/learnings/record_{index}")).expect("an answer");
                    assert_eq!(reply.status, if index % 5 == 0 { 404 } else { 204 }, "record_{index}: {reply:?}");
                }
            });
        }
    });
    let took = begun.elapsed();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections: i64 = records.query(sql, &[])[0].get(0);
    println!(
        "PgBouncer in transaction mode: {} requests of {CLIENTS} clients over {connections} connections in {took:.1?}, each \
         answered as it should be",
        CLIENTS * EACH
    );
    assert!(connections <= 2, "{connections}");
    assert_eq!(records.ids().len(), CLIENTS * EACH / 5);
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
}

#[test]
fn pgbouncer_in_transaction_mode_is_refused_where_the_configuration_does_not_say_so() {
    let Some(cluster) = Cluster::shared("PgBouncer that the configuration does not name") else { return };
    for settings in ["", "ignore_startup_parameters = options"] {
        let Some(bouncer) = Bouncer::start(cluster, settings) else { return };
        let database = cluster.make_database();
        cluster.connect(&database).run(&agno_tables());
        let setup =
            Setup { databases: vec![], further_databases: table("main", &bouncer.url(&database)), ..Setup::jwt() };
        let said = setup.try_start_in(TempDir::new().expect("a folder")).err().expect("it does not start");
        println!("PgBouncer, {settings:?}: {said}");
        assert!(said.contains("transaction_pooling = true"), "it says what to do: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}
