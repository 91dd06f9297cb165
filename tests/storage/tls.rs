//! TLS to PostgreSQL as `sslmode` asks, and passwords.

use super::store::table;
use super::token;
use crate::support::cluster::{Cluster, PASSWORD, USER, installed};
use crate::support::load::Client;
use crate::support::optional::tools;
use crate::support::postgres::agno_tables;
use crate::support::server::{Host, Setup};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Makes an authority, and with it a certificate for `localhost`, in this folder.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().expect("it runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["authority", "other"] {
        openssl(&format!("req -x509 {key} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    }
    openssl(&format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("a file can be written");
    openssl("x509 -req -in server.csr -CA authority.pem -CAkey authority.key -days 2 -extfile names -out server.pem");
}

/// Starts a host on the cluster as this host name and parameters say.
fn start(cluster: &Cluster, password: &str, name: &str, parameters: &str) -> Result<Host, String> {
    let url = format!("postgres://{USER}:{password}@{name}:{}/postgres?{parameters}", cluster.port);
    let setup = Setup { databases: vec![], further_databases: table("learned", &url), ..Setup::jwt() };
    setup.try_start_in(TempDir::new().expect("a folder"))
}

/// Asserts that the host does not start, and says this of the database.
fn refuses(started: Result<Host, String>, what: &str, reason: &str) {
    let said = started.err().unwrap_or_else(|| panic!("{what}: it started"));
    println!("{what}: {}", said.trim());
    assert_eq!(said.matches(reason).count(), 1, "{what}: it gives the reason, once: {said}");
    assert!(said.contains("databases[0].url") || said.contains("learned"), "{what}: it names the database: {said}");
    assert!(!said.contains(PASSWORD) && !said.contains("another-password"), "{what}: {said}");
}

#[test]
fn tls_is_as_sslmode_asks_and_a_refusal_says_why() {
    let left_out = "TLS to PostgreSQL";
    let Some(installed) = installed(left_out) else { return };
    if !tools(&["openssl"], left_out) {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    make_certificates(folder.path());
    let cluster = Cluster::start(installed, &[]);
    let client = cluster.connect("postgres");
    client.run(&agno_tables());
    let insert = "INSERT INTO ai.agno_learnings (learning_id, learning_type, user_id, content, created_at)
                  VALUES ('r', 'user_memory', 'alice', '{}', 1)";
    let authority = |name: &str| format!("sslrootcert={}", folder.path().join(name).display());
    let right = authority("authority.pem");

    // Whether what the host's connections carry is encrypted, asked of the server.
    let serves = |what: &str, started: Result<Host, String>, encrypted: bool| {
        let host = started.unwrap_or_else(|said| panic!("{what}: {said}"));
        client.run(insert);
        let reply = Client::of(&host, &token("alice")).delete("/learnings/r").expect("an answer");
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
    serves("a server without TLS, prefer", on_localhost("sslmode=prefer"), false);
    refuses(on_localhost("sslmode=require"), "a server without TLS, require", "does not support TLS");
    refuses(
        on_localhost(&format!("sslmode=verify-full&{right}")),
        "a server without TLS, verify-full",
        "does not support TLS",
    );

    let [certificate, key] = ["server.pem", "server.key"].map(|name| {
        let path = cluster.write(name, &fs::read(folder.path().join(name)).expect("it was made"));
        path.display().to_string()
    });
    cluster.set(&[("ssl_cert_file", &certificate), ("ssl_key_file", &key), ("ssl", "on")]);
    client.wait_for("SELECT setting = 'on' FROM pg_settings WHERE name = 'ssl'");
    client.run("SELECT pg_sleep(0.2)");

    serves("disable", on_localhost("sslmode=disable"), false);
    serves("prefer", on_localhost("sslmode=prefer"), true);
    serves("require", on_localhost("sslmode=require"), true);
    serves("require with the right authority", on_localhost(&format!("sslmode=require&{right}")), true);
    serves("verify-ca", on_localhost(&format!("sslmode=verify-ca&{right}")), true);
    serves("verify-full", on_localhost(&format!("sslmode=verify-full&{right}")), true);
    let wrong = authority("other.pem");
    for mode in ["require", "verify-ca", "verify-full"] {
        refuses(
            on_localhost(&format!("sslmode={mode}&{wrong}")),
            &format!("{mode}, another authority"),
            "invalid peer certificate",
        );
    }
    refuses(on_localhost("sslmode=verify-full"), "verify-full, the machine's authorities", "invalid peer certificate");
    let by_address = |parameters: &str| start(&cluster, PASSWORD, "127.0.0.1", parameters);
    serves("verify-ca by another name", by_address(&format!("sslmode=verify-ca&{right}")), true);
    refuses(
        by_address(&format!("sslmode=verify-full&{right}")),
        "verify-full by another name",
        "certificate not valid for name",
    );
    refuses(on_localhost(&format!("sslmode=verify-full&{}", authority("none.pem"))), "no such file", "none.pem");

    refuses(
        start(&cluster, "another-password", "localhost", "sslmode=require"),
        "a wrong password",
        "password authentication failed",
    );
    serves("the right password", on_localhost("sslmode=require"), true);
}
