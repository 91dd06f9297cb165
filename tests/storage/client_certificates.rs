//! Client certificates: PostgreSQL authenticates the server by its certificate.

use super::tls::{TlsDatabase, assert_refused};
use crate::support::certificates::{EC_256, EC_384, RSA};
use crate::support::cluster::{PASSWORD, USER};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn client_certificate_authenticates_and_refusals_have_a_reason() {
    let Some(database) = TlsDatabase::start("client certificates") else { return };
    let certificates = &database.certificates;
    certificates.issue("server", "localhost", "authority", EC_256, "sha256");
    database.enable_tls("server");
    database.client.run(&format!(
        "CREATE ROLE by_certificate SUPERUSER LOGIN;
         CREATE ROLE by_both SUPERUSER LOGIN PASSWORD '{PASSWORD}'"
    ));
    database.set_hba(
        "hostssl all by_certificate all cert\n\
         hostssl all by_both all scram-sha-256 clientcert=verify-full\n\
         host all postgres all scram-sha-256\n",
    );
    certificates.create_authority("other", EC_256, "sha256");
    certificates.issue("client", "by_certificate", "authority", EC_256, "sha256");
    certificates.issue("rsa", "by_certificate", "authority", RSA, "sha256");
    certificates.issue("both", "by_both", "authority", EC_384, "sha384");
    certificates.issue("untrusted", "by_certificate", "other", EC_256, "sha256");
    // The forms of a private key: PKCS#8 is that of `client.key`.
    certificates.openssl("ec -in client.key -out sec1.key");
    certificates.openssl("rsa -in rsa.key -traditional -out pkcs1.key");
    certificates.openssl("pkcs8 -topk8 -in client.key -passout pass:hunter2 -out encrypted.key");
    for name in ["sec1.key", "pkcs1.key", "encrypted.key"] {
        certificates.set_mode(name, 0o600);
    }

    let path = |name: &str| certificates.path(name).display().to_string();
    let trusted = format!("sslmode=verify-full&sslrootcert={}", path("authority.pem"));
    let start = |user: &str, certificate: &str, key: &str| {
        let parameters = format!("{trusted}&sslcert={}&sslkey={}", path(certificate), path(key));
        database.try_start(user, &format!("localhost:{}", database.cluster.port), &parameters)
    };
    for (what, certificate, key) in
        [("PKCS#8", "client.pem", "client.key"), ("SEC1", "client.pem", "sec1.key"), ("PKCS#1", "rsa.pem", "pkcs1.key")]
    {
        let is_encrypted = database.assert_serves(what, start("by_certificate", certificate, key));
        assert_eq!(is_encrypted, Some(true), "{what}");
    }
    let with_password = format!("by_both:{PASSWORD}");
    database.assert_serves("a certificate and a password", start(&with_password, "both.pem", "both.key"));

    let without = |user: &str, parameters: &str| {
        database.try_start(user, &format!("localhost:{}", database.cluster.port), &format!("{trusted}{parameters}"))
    };
    assert_refused(without("by_certificate", ""), "no certificate", "valid client certificate");
    assert_refused(without(&with_password, ""), "no certificate, and a password", "valid client certificate");
    let disabled = format!("&sslcertmode=disable&sslcert={}&sslkey={}", path("client.pem"), path("client.key"));
    assert_refused(without("by_certificate", &disabled), "sslcertmode=disable", "valid client certificate");
    assert_refused(
        start("by_certificate", "both.pem", "both.key"),
        "a certificate for another user",
        "certificate authentication failed",
    );
    assert_refused(
        start("by_certificate", "untrusted.pem", "untrusted.key"),
        "an untrusted certificate",
        "fatal alert: UnknownCA",
    );
    assert_refused(
        start("by_certificate", "client.pem", "both.key"),
        "the key of another certificate",
        "the certificate of the key",
    );
    assert_refused(start("by_certificate", "missing.pem", "client.key"), "a missing certificate", "sslcert");
    assert_refused(start("by_certificate", "client.pem", "missing.key"), "a missing key", "sslkey");
    assert_refused(start("by_certificate", "client.pem", "client.pem"), "a certificate instead of a key", "chmod 600");
    certificates.set_mode("client.pem", 0o600);
    assert_refused(
        start("by_certificate", "client.pem", "client.pem"),
        "a private certificate as a key",
        "no private key",
    );
    assert_refused(start("by_certificate", "client.pem", "encrypted.key"), "an encrypted key", "openssl pkey");
    assert_refused(
        without("by_certificate", &format!("&sslcert={}", path("client.pem"))),
        "a certificate without a key",
        "sslkey",
    );
    // Its group can read the key of root, and no other.
    certificates.set_mode("sec1.key", 0o640);
    let started = start("by_certificate", "client.pem", "sec1.key");
    if fs::metadata(certificates.path("sec1.key")).expect("a file").uid() == 0 {
        database.assert_serves("a key of root that its group can read", started);
    } else {
        assert_refused(started, "a key that its group can read", "chmod 600");
    }
    certificates.set_mode("sec1.key", 0o644);
    assert_refused(start("by_certificate", "client.pem", "sec1.key"), "a key that others can read", "chmod 600");

    // Without TLS, the files are not read.
    let unencrypted = format!("sslmode=disable&sslcert={}&sslkey={}", path("missing.pem"), path("missing.key"));
    let host = format!("localhost:{}", database.cluster.port);
    let started = database.try_start(&format!("{USER}:{PASSWORD}"), &host, &unencrypted);
    assert_eq!(database.assert_serves("sslmode=disable", started), Some(false));
}
