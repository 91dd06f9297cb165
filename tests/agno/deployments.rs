//! Sends the same requests to this server and to the real Agno on one database: URLs as an AgentOS has them, two tables
//! under one id, and triggers that retain records.

use super::run_script;
use crate::support::cluster::{Cluster, PASSWORD, USER, find_postgres, free_port, temp_directory};
use crate::support::database::AgnoDatabase;
use crate::support::optional::agno_python;
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tempfile::TempDir;

const TABLES: [&str; 2] = ["team_learnings", "agno_learnings"];

/// A deployment that both serve.
struct Deployment {
    name: String,
    url: String,
    /// A URL for a direct connection from Python.
    direct: String,
    environment: Vec<(&'static str, String)>,
}

impl Deployment {
    /// Starts the server, which creates the tables, and describes both for `deployments.py`.
    fn start(self, directory: TempDir) -> (TestServer, Value) {
        let section = |table| {
            let url = Value::from(self.url.as_str());
            format!("[[databases]]\nid = \"main\"\nurl = {url}\ntable = \"{table}\"\ncreate = true\n")
        };
        let further_databases = TABLES.map(section).concat();
        let environment = self.environment.clone();
        let settings = LONG_TIMEOUTS.to_owned();
        let setup = Setup { databases: vec![], further_databases, environment, settings, ..Setup::without_auth() };
        let server = setup.try_start_in(directory).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let environment: BTreeMap<&str, String> = self.environment.into_iter().collect();
        let described = json!({ "name": self.name, "url": self.url, "direct": self.direct, "tables": TABLES,
            "db_id": "main", "address": server.address.to_string(), "environment": environment });
        (server, described)
    }
}

/// Triggers that retain the record `vetoed` of a table.
fn sqlite_trigger(table: &str, action: &str) -> String {
    format!(
        "CREATE TRIGGER t_{table} BEFORE DELETE ON {table} WHEN OLD.learning_id = 'vetoed' BEGIN SELECT {action}; END;"
    )
}

fn postgres_trigger(table: &str, action: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION veto_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; END $$;
         CREATE TRIGGER t BEFORE DELETE ON ai.{table} FOR EACH ROW WHEN (OLD.learning_id = 'vetoed')
         EXECUTE FUNCTION veto_{table}();"
    )
}

#[test]
fn deployments_answer_as_with_agno() {
    let skipped = "comparing deployments with the real Agno";
    let Some(python) = agno_python(skipped) else { return };
    let mut running = Vec::new();

    let ignore = TABLES.map(|table| sqlite_trigger(table, "RAISE(IGNORE)")).concat();
    let abort = TABLES.map(|table| sqlite_trigger(table, "RAISE(ABORT, 'on hold')")).concat();
    for (name, scheme, trigger) in [
        ("SQLite", "sqlite", ""),
        ("SQLite, aiosqlite", "sqlite+aiosqlite", ""),
        ("SQLite, ignored deletes", "sqlite+pysqlite", &ignore),
        ("SQLite, refused deletes", "sqlite", &abort),
    ] {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("agno.db");
        let (url, direct) = (format!("{scheme}:///{}", file.display()), format!("sqlite:///{}", file.display()));
        let deployment = Deployment { name: name.to_owned(), url, direct, environment: vec![] };
        running.push(deployment.start(directory));
        AgnoDatabase::open(file).execute(trigger);
    }

    let postgres = find_postgres(skipped).map(|programs| {
        let sockets = temp_directory(None);
        std::fs::set_permissions(sockets.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("the permissions can be set");
        let setting = format!("unix_socket_directories={}", sockets.path().display());
        (Cluster::start(programs, &[&setting]), sockets)
    });
    if let Some((cluster, sockets)) = &postgres {
        let mut add = |name: &str, url: &str, trigger: &str, environment: &[(&'static str, &str)]| {
            let database = cluster.create_database();
            let fill = |text: &str| {
                text.replace("USER", USER)
                    .replace("PASSWORD", PASSWORD)
                    .replace("PORT", &cluster.port.to_string())
                    .replace("UNUSED", &free_port().to_string())
                    .replace("SOCKETS", &sockets.path().display().to_string())
                    .replace("DATABASE", &database)
            };
            let direct = fill("postgresql+psycopg://USER:PASSWORD@127.0.0.1:PORT/DATABASE");
            let environment = environment.iter().map(|(name, value)| (*name, fill(value))).collect();
            let name = format!("PostgreSQL, {name}");
            let (server, described) =
                Deployment { name, url: fill(url), direct, environment }.start(TempDir::new().expect("a directory"));
            cluster.connect(&database).run(trigger);
            running.push((server, described));
        };
        let skip = TABLES.map(|table| postgres_trigger(table, "RETURN NULL")).concat();
        let refuse = TABLES.map(|table| postgres_trigger(table, "RAISE EXCEPTION 'on hold'")).concat();
        add("skipped deletes", "postgresql+psycopg://USER:PASSWORD@127.0.0.1:PORT/DATABASE", &skip, &[]);
        add("refused deletes", "postgresql+psycopg://USER:PASSWORD@127.0.0.1:PORT/DATABASE", &refuse, &[]);
        for (name, url) in [
            ("psycopg2", "postgresql+psycopg2://USER:PASSWORD@127.0.0.1:PORT/DATABASE"),
            ("asyncpg", "postgresql+asyncpg://USER:PASSWORD@127.0.0.1:PORT/DATABASE?ssl=prefer"),
            ("psycopg_async", "postgresql+psycopg_async://USER:PASSWORD@127.0.0.1:PORT/DATABASE"),
            ("no driver", "postgresql://USER:PASSWORD@127.0.0.1:PORT/DATABASE?sslmode=prefer&connect_timeout=5"),
            ("host and port", "postgresql+psycopg://USER:PASSWORD@/DATABASE?host=127.0.0.1&port=PORT"),
            ("port in host", "postgresql+psycopg2://USER:PASSWORD@/DATABASE?host=127.0.0.1:PORT"),
            ("several hosts", "postgresql+psycopg://USER:PASSWORD@/DATABASE?host=127.0.0.1:UNUSED&host=127.0.0.1:PORT"),
            (
                "a list of hosts",
                "postgresql+psycopg://USER:PASSWORD@/DATABASE?host=127.0.0.1,localhost&port=UNUSED,PORT",
            ),
            ("a socket", "postgresql+psycopg://USER:PASSWORD@/DATABASE?host=SOCKETS&port=PORT"),
            (
                "parameters",
                "postgresql+psycopg://USER:PASSWORD@127.0.0.1:PORT/DATABASE?application_name=an%20os&gssencmode=disable\
                 &channel_binding=prefer&target_session_attrs=read-write&options=-c%20search_path%3Dpublic&keepalives=1\
                 &keepalives_idle=30&keepalives_interval=5&keepalives_count=3&client_encoding=utf8",
            ),
        ] {
            add(name, url, "", &[]);
        }
        let without_password = "postgresql+psycopg://USER@127.0.0.1:PORT/DATABASE";
        add("PGPASSWORD", without_password, "", &[("PGPASSWORD", "PASSWORD")]);
    }

    let described: Vec<&Value> = running.iter().map(|(_, described)| described).collect();
    let output = run_script(&python, "tests/agno/deployments.py", &[], json!(described));
    println!("{output}");
}
