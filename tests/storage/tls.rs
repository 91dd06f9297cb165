//! TLS to PostgreSQL for every `sslmode`, and passwords.

use super::store::table;
use super::token;
use crate::support::cluster::{Cluster, PASSWORD, USER, find_postgres};
use crate::support::load::HttpClient;
use crate::support::optional::has_tools;
use crate::support::postgres::agno_tables;
use crate::support::server::{Setup, TestServer};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Creates two certificate authorities and a certificate for `localhost` in this directory.
fn create_certificates(directory: &Path) {
    let openssl = |arguments: &str| {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["authority", "other"] {
        openssl(&format!("req -x509 {key} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    }
    openssl(&format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n").expect("the file is written");
    openssl("x509 -req -in server.csr -CA authority.pem -CAkey authority.key -days 2 -extfile names -out server.pem");
}

/// Starts a server whose URL has this password, host name and parameters.
fn start(cluster: &Cluster, password: &str, name: &str, parameters: &str) -> Result<TestServer, String> {
    let url = format!("postgres://{USER}:{password}@{name}:{}/postgres?{parameters}", cluster.port);
    let setup = Setup { databases: vec![], further_databases: table("tls_database", &url), ..Setup::jwt() };
    setup.try_start_in(TempDir::new().expect("a temporary directory"))
}

/// Asserts that the server did not start, and that the error has this reason and names the database.
fn assert_refused(started: Result<TestServer, String>, what: &str, reason: &str) {
    let error = started.err().unwrap_or_else(|| panic!("{what}: the server started"));
    println!("{what}: {}", error.trim());
    assert_eq!(error.matches(reason).count(), 1, "{what}: the error has the reason once: {error}");
    assert!(
        error.contains("databases[0].url") || error.contains("tls_database"),
        "{what}: the error names the database: {error}"
    );
    assert!(!error.contains(PASSWORD) && !error.contains("another-password"), "{what}: {error}");
}

#[test]
fn tls_follows_sslmode_and_refusals_have_a_reason() {
    let skipped = "TLS to PostgreSQL";
    let Some(installed) = find_postgres(skipped) else { return };
    if !has_tools(&["openssl"], skipped) {
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    create_certificates(directory.path());
    let cluster = Cluster::start(installed, &[]);
    let client = cluster.connect("postgres");
    client.run(&agno_tables());
    let insert = "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
                  VALUES ('r', 'user_memory', 'alice', '{}', 1)";
    let authority = |name: &str| format!("sslrootcert={}", directory.path().join(name).display());
    let trusted = authority("authority.pem");

    // Asserts that the server deletes, and that PostgreSQL reports its connections as encrypted or not.
    let assert_serves = |what: &str, started: Result<TestServer, String>, encrypted: bool| {
        let host = started.unwrap_or_else(|error| panic!("{what}: {error}"));
        client.run(insert);
        let reply = HttpClient::new(&host, &token("alice")).delete("/learnings/r").expect("an answer");
        assert_eq!(reply.status, 204, "{what}: {}", host.log());
        let sql = "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name = 'delete-learning'";
        assert_eq!(client.query(sql, &[])[0].get::<_, Option<bool>>(0), Some(encrypted), "{what}");
        assert!(!host.log().contains(PASSWORD), "{what}");
        println!("{what}: served, {}", if encrypted { "encrypted" } else { "not encrypted" });
        drop(host);
        client
            .wait_for("SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'delete-learning')");
    };

    let on_localhost = |parameters: &str| start(&cluster, PASSWORD, "localhost", parameters);
    assert_serves("a server without TLS, prefer", on_localhost("sslmode=prefer"), false);
    assert_refused(on_localhost("sslmode=require"), "a server without TLS, require", "does not support TLS");
    assert_refused(
        on_localhost(&format!("sslmode=verify-full&{trusted}")),
        "a server without TLS, verify-full",
        "does not support TLS",
    );

    let [certificate, key] = ["server.pem", "server.key"].map(|name| {
        let path = cluster.write(name, &fs::read(directory.path().join(name)).expect("the file exists"));
        path.display().to_string()
    });
    cluster.set(&[("ssl_cert_file", &certificate), ("ssl_key_file", &key), ("ssl", "on")]);
    client.wait_for("SELECT setting = 'on' FROM pg_settings WHERE name = 'ssl'");
    client.run("SELECT pg_sleep(0.2)");

    assert_serves("disable", on_localhost("sslmode=disable"), false);
    assert_serves("prefer", on_localhost("sslmode=prefer"), true);
    assert_serves("require", on_localhost("sslmode=require"), true);
    assert_serves("require with the trusted authority", on_localhost(&format!("sslmode=require&{trusted}")), true);
    assert_serves("verify-ca", on_localhost(&format!("sslmode=verify-ca&{trusted}")), true);
    assert_serves("verify-full", on_localhost(&format!("sslmode=verify-full&{trusted}")), true);
    let untrusted = authority("other.pem");
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_refused(
            on_localhost(&format!("sslmode={mode}&{untrusted}")),
            &format!("{mode}, another authority"),
            "invalid peer certificate",
        );
    }
    assert_refused(
        on_localhost("sslmode=verify-full"),
        "verify-full, the authorities of the system",
        "invalid peer certificate",
    );
    let by_address = |parameters: &str| start(&cluster, PASSWORD, "127.0.0.1", parameters);
    assert_serves("verify-ca with another host name", by_address(&format!("sslmode=verify-ca&{trusted}")), true);
    assert_refused(
        by_address(&format!("sslmode=verify-full&{trusted}")),
        "verify-full with another host name",
        "certificate not valid for name",
    );
    assert_refused(
        on_localhost(&format!("sslmode=verify-full&{}", authority("none.pem"))),
        "a missing sslrootcert",
        "none.pem",
    );

    assert_refused(
        start(&cluster, "another-password", "localhost", "sslmode=require"),
        "a wrong password",
        "password authentication failed",
    );
    assert_serves("the right password", on_localhost("sslmode=require"), true);
}
