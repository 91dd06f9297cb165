//! Database URLs as an AgentOS has them: every form deletes a record, and what is not supported is refused by name.

use super::store::table;
use super::token;
use crate::support::cluster::{Cluster, OsUser, PASSWORD, USER, find_postgres, free_port, temp_directory};
use crate::support::load::HttpClient;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use delete_learning_server::{Config, Environment};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A password that ends nowhere before '@'.
const ODD_PASSWORD: &str = "a/b?c+d";

const INSERT: &str = "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
                      VALUES ('r', 'user_memory', 'alice', '{}', 1)";

/// A cluster that listens on TCP, in a directory and on an abstract socket.
struct Database {
    cluster: Cluster,
    client: Client,
    sockets: TempDir,
    /// A port at which nothing listens.
    unused: u16,
}

impl Database {
    fn start(skipped: &str) -> Option<Self> {
        let programs = find_postgres(skipped)?;
        let sockets = temp_directory(OsUser::unprivileged());
        let directory = sockets.path().display();
        let cluster = Cluster::start(programs, &[&format!("unix_socket_directories={directory},@{directory}")]);
        let client = cluster.connect("postgres");
        client.run(&agno_tables());
        client.run(&format!("CREATE ROLE odd SUPERUSER LOGIN PASSWORD '{ODD_PASSWORD}'"));
        Some(Self { cluster, client, sockets, unused: free_port() })
    }

    /// Replaces the placeholders of a URL.
    fn url(&self, template: &str) -> String {
        let socket = self.sockets.path().display().to_string();
        template
            .replace("OWNER", &format!("{USER}:{PASSWORD}"))
            .replace("PORT", &self.cluster.port.to_string())
            .replace("UNUSED", &self.unused.to_string())
            .replace("ENCODED", &socket.replace('/', "%2F"))
            .replace("SOCKET", &socket)
    }

    /// Starts a server with this URL, these environment variables and these further lines of `[[databases]]`.
    fn try_start(&self, url: &str, variables: &[(&'static str, String)], lines: &str) -> Result<TestServer, String> {
        let further_databases = format!("{}{lines}\n", table("main", &self.url(url)));
        let (environment, settings) = (variables.to_vec(), LONG_TIMEOUTS.to_owned());
        let setup = Setup { databases: vec![], further_databases, settings, environment, ..Setup::jwt() };
        setup.try_start_in(TempDir::new().expect("a temporary directory"))
    }

    /// Asserts that a server with this URL deletes a record, and returns its log.
    fn assert_deletes(&self, url: &str, variables: &[(&'static str, String)], lines: &str) -> String {
        let server = self.try_start(url, variables, lines).unwrap_or_else(|error| panic!("{url}: {error}"));
        self.client.run(INSERT);
        let reply = HttpClient::new(&server, &token("alice")).delete("/learnings/r").expect("an answer");
        assert_eq!(reply.status, 204, "{url}: {}", server.log());
        assert_no_secret(url, &server.log());
        server.log()
    }

    /// Asserts that a server with this URL does not start, and that the error has these parts and no secret.
    fn assert_refused(&self, url: &str, variables: &[(&'static str, String)], lines: &str, parts: &[&str]) {
        let error = self.try_start(url, variables, lines).err().unwrap_or_else(|| panic!("{url}: the server started"));
        assert!(parts.iter().all(|part| error.contains(part)), "{url}: {parts:?}: {error}");
        assert_no_secret(url, &error);
    }
}

fn assert_no_secret(url: &str, output: &str) {
    for secret in [PASSWORD, ODD_PASSWORD, "hunter2"] {
        assert!(!output.contains(secret), "{url}: the output contains a secret: {output}");
    }
}

/// Writes a file with these permissions, and returns its path.
fn write(directory: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("the file is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions are set");
    path.display().to_string()
}

#[test]
fn url_of_every_form_deletes() {
    let Some(database) = Database::start("the forms of a database URL") else { return };
    let forms = [
        "postgres://OWNER@127.0.0.1:PORT/postgres",
        "postgresql://OWNER@127.0.0.1:PORT/postgres?sslmode=disable",
        "postgresql+psycopg://OWNER@127.0.0.1:PORT/postgres?prepare_threshold=0",
        "postgresql+psycopg2://OWNER@127.0.0.1:PORT/postgres?client_encoding=utf8&gssencmode=disable",
        "postgresql+psycopg_async://OWNER@127.0.0.1:PORT/postgres",
        "postgresql+asyncpg://OWNER@127.0.0.1:PORT/postgres?ssl=prefer&statement_cache_size=0&timeout=5",
        "postgres://odd:a/b?c+d@127.0.0.1:PORT/postgres",
        "postgres://odd:a%2Fb%3Fc%2Bd@127.0.0.1:PORT/postgres",
        "postgresql+psycopg://odd:a/b?c+d@127.0.0.1:PORT/postgres",
        "postgres://127.0.0.1:PORT?user=odd&password=a/b?c+d&dbname=postgres",
        "postgresql+psycopg://127.0.0.1:PORT/other?user=odd&password=a/b?c%2Bd&dbname=postgres",
        "postgres://OWNER@ENCODED:PORT/postgres",
        "postgres://OWNER@ENCODED:PORT/postgres?sslmode=require",
        "postgresql+psycopg://OWNER@/postgres?host=SOCKET&port=PORT",
        "postgresql+psycopg://OWNER@/postgres?host=SOCKET:PORT",
        "postgres://OWNER@/postgres?host=@SOCKET&port=PORT",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1:PORT",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1:UNUSED&host=127.0.0.1:PORT",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1:PORT&host=127.0.0.1:UNUSED",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1:UNUSED,127.0.0.1:PORT",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1,127.0.0.1&port=UNUSED,PORT",
        "postgresql+psycopg://OWNER@/postgres?host=127.0.0.1&host=127.0.0.1&port=UNUSED&port=PORT",
        "postgresql+psycopg://OWNER@:PORT/postgres?host=127.0.0.1",
        "postgresql+psycopg://OWNER@127.0.0.2:UNUSED/postgres?host=127.0.0.1&port=PORT",
        "postgres://OWNER@127.0.0.1:UNUSED,127.0.0.1:PORT/postgres",
        "postgres://OWNER@127.0.0.1:UNUSED,127.0.0.1:PORT/postgres?load_balance_hosts=random",
        "postgres://OWNER@ENCODED,127.0.0.1/postgres?port=PORT",
        "postgres://OWNER@localhost,127.0.0.1/postgres?port=PORT&target_session_attrs=primary",
        "postgres://OWNER@name.invalid:PORT/postgres?hostaddr=127.0.0.1",
        "postgres://OWNER@/postgres?hostaddr=127.0.0.1&port=PORT",
        "postgres://OWNER@:PORT/postgres",
    ];
    for form in forms {
        database.assert_deletes(form, &[], "");
    }
    println!("{} forms of a URL delete a record", forms.len());

    let variables = [
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", database.cluster.port.to_string()),
        ("PGUSER", "odd".to_owned()),
        ("PGPASSWORD", ODD_PASSWORD.to_owned()),
        ("PGDATABASE", "postgres".to_owned()),
        ("PGSSLMODE", "disable".to_owned()),
    ];
    database.assert_deletes("postgresql://", &variables, "");
    let variables = [("PGPORT", "1".to_owned()), ("PGUSER", "nobody".to_owned()), ("PGDATABASE", "none".to_owned())];
    database.assert_deletes("postgres://OWNER@127.0.0.1:PORT/postgres", &variables, "");
}

#[test]
fn password_comes_from_url_file_or_environment() {
    let Some(database) = Database::start("passwords of a database URL") else { return };
    let directory = TempDir::new().expect("a temporary directory");
    let file = |name: &str, text: &str, mode: u32| write(directory.path(), name, text, mode);
    let url = "postgresql+psycopg://odd@127.0.0.1:PORT/postgres";
    let line =
        format!("# comment\nother:*:*:*:wrong\n127.0.0.1:{}:postgres:odd:{ODD_PASSWORD}\n", database.cluster.port);

    database.assert_refused(url, &[], "", &["databases[0].url", "(postgres host 127.0.0.1:", "password missing"]);
    database.assert_deletes(url, &[("PGPASSWORD", ODD_PASSWORD.to_owned())], "");
    let private = file("private", &line, 0o600);
    database.assert_deletes(&format!("{url}?passfile={private}"), &[], "");
    database.assert_deletes(url, &[("PGPASSFILE", private.clone())], "");
    let by_socket = file("by_socket", &format!("*:*:*:odd:{}", ODD_PASSWORD.replace('/', "\\/")), 0o600);
    database.assert_deletes(&format!("postgres://odd@/postgres?host=SOCKET:PORT&passfile={by_socket}"), &[], "");
    let home = || ("HOME", directory.path().display().to_string());
    file(".pgpass", &line, 0o600);
    database.assert_deletes(url, &[home()], "");

    let alone = file("alone", &format!("{ODD_PASSWORD}\n"), 0o644);
    let lines = format!("password_file = \"{alone}\"");
    database.assert_deletes(url, &[("PGPASSWORD", "wrong".to_owned())], &lines);
    database.assert_refused(
        "postgres://odd:hunter2@127.0.0.1:PORT/postgres",
        &[],
        &lines,
        &["databases[0].url", "password_file"],
    );
    database.assert_refused(url, &[], "password_file = \"missing\"", &["databases[0].password_file", "cannot be read"]);
    let empty = format!("password_file = \"{}\"", file("empty", "\n", 0o600));
    database.assert_refused(url, &[], &empty, &["databases[0].password_file"]);
    database.assert_refused("sqlite:x.db", &[], &lines, &["databases[0].password_file", "PostgreSQL only"]);

    let public = file("public", &line, 0o644);
    database.assert_refused(&format!("{url}?passfile={public}"), &[], "", &["passfile", "chmod 600"]);
    database.assert_refused(url, &[("PGPASSFILE", public.clone())], "", &["PGPASSFILE", "chmod 600"]);
    database.assert_refused(&format!("{url}?passfile={public}-missing"), &[], "", &["passfile", "does not exist"]);
    // The file is not needed.
    let with_password = format!("postgres://odd:a%2Fb%3Fc+d@127.0.0.1:PORT/postgres?passfile={public}");
    database.assert_deletes(&with_password, &[], "");
    file(".pgpass", &line, 0o640);
    database.assert_refused(url, &[home()], "", &[".pgpass", "chmod 600", "password missing"]);
    // A server that needs no password starts, and logs why the file is not used.
    let hba = "local all all trust\nhost all odd all trust\nhost all all all scram-sha-256\n";
    database.cluster.write("data/pg_hba.conf", hba.as_bytes());
    database.client.run("SELECT pg_reload_conf(); SELECT pg_sleep(0.2)");
    let log = database.assert_deletes(url, &[home()], "");
    assert!(log.contains(".pgpass") && log.contains("chmod 600"), "{log}");
}

#[test]
fn connect_timeout_applies_to_each_host() {
    let Some(database) = Database::start("connect_timeout of a database URL") else { return };
    // The kernel accepts connections, and nothing answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let further_databases = table(
        "main",
        &database.url(&format!("postgres://OWNER@127.0.0.1:{port},127.0.0.1:PORT/postgres?connect_timeout=1")),
    );
    let settings = "postgres.connect_timeout_ms = 15000\nsandbox.execution_timeout_ms = 60000\n".to_owned();
    let start = Instant::now();
    let server = Setup { databases: vec![], further_databases, settings, ..Setup::jwt() }.start();
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_secs(1) && elapsed < Duration::from_secs(10), "{elapsed:?}");
    database.client.run(INSERT);
    let reply = HttpClient::new(&server, &token("alice")).delete("/learnings/r").expect("an answer");
    assert_eq!(reply.status, 204, "{}", server.log());

    // New connections go first to the host that accepted the last one.
    database.client.run(INSERT);
    database
        .client
        .run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'delete-learning'");
    let reply = HttpClient::new(&server, &token("alice")).delete("/learnings/r").expect("an answer");
    assert_eq!(reply.status, 204, "{}", server.log());
    assert!(reply.elapsed < Duration::from_secs(1), "{reply:?}");
}

#[test]
fn warning_of_an_unreachable_database_names_every_host() {
    let Some(database) = Database::start("databases that cannot be reached") else { return };
    let warning = |hosts: &str| {
        let url = format!("postgres://OWNER@{hosts}/postgres");
        let server = database.try_start(&url, &[], "").expect("the server starts");
        server.wait_for_log(&["database unavailable"])["error"].as_str().expect("an error").to_owned()
    };
    let (one, two) = (warning("127.0.0.1:UNUSED"), warning("127.0.0.1:UNUSED,localhost:UNUSED"));
    assert!(one.contains("refused") && !one.contains("none of"), "{one}");
    assert!(two.contains("none of 2 hosts: ") && two.matches("refused").count() == 2, "{two}");
}

#[test]
fn unsupported_parameter_is_refused_by_name_at_startup() {
    let Some(database) = Database::start("unsupported parameters of a database URL") else { return };
    for (pair, advice) in [
        ("service=hunter2", "into the URL"),
        ("sslpassword=hunter2", "decrypt"),
        ("require_auth=hunter2", "channel_binding=require"),
        ("target_session_attrs=standby", "primary"),
        ("sslmode=hunter2", "verify-full"),
        ("gssencmode=require", "sslmode"),
        ("unknown=hunter2", "DATABASE_URLS.md"),
    ] {
        let name = pair.split('=').next().expect("a name");
        let url = format!("postgres://OWNER@127.0.0.1:PORT/postgres?{pair}");
        database.assert_refused(&url, &[], "", &["databases[0].url", name, advice]);
    }
    for (name, value) in [("PGSERVICE", "hunter2"), ("PGSSLMODE", "hunter2"), ("PGTARGETSESSIONATTRS", "read-only")] {
        let url = "postgres://OWNER@127.0.0.1:PORT/postgres";
        database.assert_refused(url, &[(name, value.to_owned())], "", &["databases[0].url", name]);
    }
    let url = "postgres://odd:hunter2@x?a/b@127.0.0.1:PORT/postgres";
    database.assert_refused(url, &[], "", &["databases[0].url", "percent-encoded"]);
    let url = "postgres://OWNER@127.0.0.1:PORT/postgres?sslmode=disable&channel_binding=require";
    database.assert_refused(url, &[], "", &["databases[0].url", "channel_binding"]);
}

#[test]
fn execution_timeout_counts_each_host() {
    let directory = TempDir::new().expect("a temporary directory");
    let read = |url: &str| {
        let path = directory.path().join("delete-learning.toml");
        let text = format!("{}[auth]\nmode = \"none\"\n", table("main", url));
        fs::write(&path, text).expect("the configuration is written");
        Config::read(&path, &Environment::default()).map(drop).map_err(|error| error.to_string())
    };
    for url in [
        "postgres://u:p@one/d",
        "postgres://u:p@one,two/d",
        "postgres://u:p@/d",
        "postgres://u:p@a,b,c,d/d?connect_timeout=1",
    ] {
        assert_eq!(read(url), Ok(()), "{url}");
    }
    let error = read("postgres://u:p@a,b,c,d/d").expect_err("four hosts of two seconds, and the statement");
    assert!(error.contains("sandbox.execution_timeout_ms") && error.contains("11500"), "{error}");
}
