//! TLS to PostgreSQL for every `sslmode`, and passwords.

use super::store::table;
use super::token;
use crate::support::certificates::{Certificates, EC_256};
use crate::support::cluster::{Cluster, PASSWORD, USER, find_postgres};
use crate::support::load::HttpClient;
use crate::support::optional::has_tools;
use crate::support::postgres::{Client, agno_tables};
use crate::support::server::{LONG_TIMEOUTS, Setup, TestServer};
use tempfile::TempDir;

/// A cluster with Agno's tables, and certificates.
pub(super) struct TlsDatabase {
    pub(super) cluster: Cluster,
    pub(super) client: Client,
    pub(super) certificates: Certificates,
}

impl TlsDatabase {
    /// Starts a cluster without TLS and creates the certificate authority `authority`.
    pub(super) fn start(skipped: &str) -> Option<Self> {
        let programs = find_postgres(skipped)?;
        if !has_tools(&["openssl"], skipped) {
            return None;
        }
        let certificates = Certificates::new();
        certificates.create_authority("authority", EC_256, "sha256");
        let cluster = Cluster::start(programs, &[]);
        let client = cluster.connect("postgres");
        client.run(&agno_tables());
        Some(Self { cluster, client, certificates })
    }

    /// Makes PostgreSQL use this certificate, and verify client certificates with `authority`.
    pub(super) fn enable_tls(&self, certificate: &str) {
        let [certificate, key, authority] =
            [format!("{certificate}.pem"), format!("{certificate}.key"), "authority.pem".to_owned()].map(|name| {
                let path = self.cluster.write(&name, &self.certificates.read(&name));
                path.display().to_string()
            });
        let settings =
            [("ssl_cert_file", &*certificate), ("ssl_key_file", &key), ("ssl_ca_file", &authority), ("ssl", "on")];
        self.cluster.set(&settings);
        self.wait_for_reload("ssl_cert_file", &certificate);
    }

    /// Replaces the rules of authentication. The tests' own connections need a password over TCP.
    pub(super) fn set_hba(&self, rules: &str) {
        let path = self.cluster.write("data/pg_hba.conf", rules.as_bytes());
        self.client.run("SELECT pg_reload_conf()");
        self.wait_for_reload("hba_file", &path.display().to_string());
    }

    fn wait_for_reload(&self, name: &str, value: &str) {
        self.client.wait_for(&format!("SELECT setting = '{value}' FROM pg_settings WHERE name = '{name}'"));
        self.client.run("SELECT pg_sleep(0.3)");
    }

    /// Starts a server whose URL has this user information, host and port, and parameters.
    pub(super) fn try_start(&self, user: &str, host: &str, parameters: &str) -> Result<TestServer, String> {
        let url = format!("postgres://{user}@{host}/postgres?{parameters}");
        let (further_databases, settings) = (table("tls_database", &url), LONG_TIMEOUTS.to_owned());
        let setup = Setup { databases: vec![], further_databases, settings, ..Setup::jwt() };
        setup.try_start_in(TempDir::new().expect("a temporary directory"))
    }

    /// Asserts that the server deletes, and returns whether PostgreSQL reports its connections as encrypted.
    pub(super) fn assert_serves(&self, what: &str, started: Result<TestServer, String>) -> Option<bool> {
        let host = started.unwrap_or_else(|error| panic!("{what}: {error}"));
        // So that the request opens a connection.
        self.client
            .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'delete-learning'");
        self.wait_for_no_connection();
        self.client.run("SELECT pg_sleep(0.1)");
        self.client.run(
            "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
             VALUES ('r', 'user_memory', 'alice', '{}', 1)",
        );
        let reply = HttpClient::new(&host, &token("alice")).delete("/learnings/r").expect("an answer");
        assert_eq!(reply.status, 204, "{what}: {}", host.log());
        let sql = "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name = 'delete-learning'";
        let is_encrypted = self.client.query(sql, &[])[0].get(0);
        assert!(!host.log().contains(PASSWORD), "{what}");
        println!("{what}: served, encrypted: {is_encrypted:?}");
        drop(host);
        self.wait_for_no_connection();
        is_encrypted
    }

    fn wait_for_no_connection(&self) {
        self.client
            .wait_for("SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'delete-learning')");
    }
}

/// Asserts that the server did not start, and that the error has this reason and names the database.
pub(super) fn assert_refused(started: Result<TestServer, String>, what: &str, reason: &str) {
    let error = match started {
        Ok(server) => panic!("{what}: the server started: {}", server.log()),
        Err(error) => error,
    };
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
    let Some(database) = TlsDatabase::start("TLS to PostgreSQL") else { return };
    let certificates = &database.certificates;
    certificates.create_authority("other", EC_256, "sha256");
    certificates.issue("server", "localhost", "authority", EC_256, "sha256");
    let authority = |name: &str| format!("sslrootcert={}", certificates.path(name).display());
    let trusted = authority("authority.pem");
    let port = database.cluster.port;
    let start = |password: &str, name: &str, parameters: &str| {
        database.try_start(&format!("{USER}:{password}"), &format!("{name}:{port}"), parameters)
    };
    let assert_serves = |what: &str, started: Result<TestServer, String>, encrypted: bool| {
        assert_eq!(database.assert_serves(what, started), Some(encrypted), "{what}");
    };

    let on_localhost = |parameters: &str| start(PASSWORD, "localhost", parameters);
    assert_serves("a server without TLS, prefer", on_localhost("sslmode=prefer"), false);
    assert_refused(on_localhost("sslmode=require"), "a server without TLS, require", "does not support TLS");
    assert_refused(
        on_localhost(&format!("sslmode=verify-full&{trusted}")),
        "a server without TLS, verify-full",
        "does not support TLS",
    );

    database.enable_tls("server");

    assert_serves("disable", on_localhost("sslmode=disable"), false);
    assert_serves("prefer", on_localhost("sslmode=prefer"), true);
    assert_serves("require", on_localhost("sslmode=require"), true);
    assert_serves("require with the trusted authority", on_localhost(&format!("sslmode=require&{trusted}")), true);
    let by_hostaddr = format!("hostaddr=127.0.0.1&port={port}&sslmode=require");
    assert_serves("an address only", database.try_start(&format!("{USER}:{PASSWORD}"), "", &by_hostaddr), true);
    // The name has an address, and no certificate can be for it.
    assert_refused(start(PASSWORD, "127.1", "sslmode=require"), "an invalid name", "invalid dns name");
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
    let by_address = |parameters: &str| start(PASSWORD, "127.0.0.1", parameters);
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
        start("another-password", "localhost", "sslmode=require"),
        "a wrong password",
        "password authentication failed",
    );
    assert_serves("the right password", on_localhost("sslmode=require"), true);

    // PostgreSQL's documentation creates such a certificate, of X.509 version 1.
    certificates.openssl("x509 -req -in server.csr -CA authority.pem -CAkey authority.key -days 2 -out server.pem");
    database.enable_tls("server");
    assert_serves("version 1, prefer", on_localhost("sslmode=prefer"), true);
    assert_serves("version 1, require", on_localhost("sslmode=require&channel_binding=require"), true);
    let verified = on_localhost(&format!("sslmode=verify-full&{trusted}"));
    assert_refused(verified, "version 1, verify-full", "UnsupportedCertVersion");
}
