//! Channel binding: the password is bound to the certificate of PostgreSQL, so that nobody in the middle can use it.

use super::tls::{TlsDatabase, assert_refused};
use crate::support::certificates::{EC_256, EC_384, RSA};
use crate::support::cluster::{PASSWORD, USER};
use crate::support::tls_proxy::TlsProxy;

#[test]
fn channel_binding_works_for_each_signature() {
    let Some(database) = TlsDatabase::start("channel binding") else { return };
    let certificates = &database.certificates;
    let user = format!("{USER}:{PASSWORD}");
    let host = format!("localhost:{}", database.cluster.port);
    let start = |parameters: &str| database.try_start(&user, &host, parameters);

    assert_refused(start("channel_binding=require"), "a server without TLS", "did not use channel binding");
    for (name, key, digest) in [("rsa", RSA, "sha256"), ("ecdsa", EC_256, "sha256"), ("ecdsa_384", EC_384, "sha384")] {
        certificates.create_authority(name, key, digest);
        certificates.issue(&format!("{name}_server"), "localhost", name, key, digest);
        database.enable_tls(&format!("{name}_server"));
        for parameters in ["channel_binding=require", "sslmode=require&channel_binding=require", "sslmode=require"] {
            let what = format!("{name}, {parameters}");
            assert_eq!(database.assert_serves(&what, start(parameters)), Some(true), "{what}");
        }
    }
}

#[test]
fn channel_binding_refuses_other_authentication() {
    let Some(database) = TlsDatabase::start("channel binding without SCRAM") else { return };
    database.certificates.issue("server", "localhost", "authority", EC_256, "sha256");
    database.enable_tls("server");
    database.client.run(&format!(
        "CREATE ROLE by_scram SUPERUSER LOGIN PASSWORD '{PASSWORD}';
         CREATE ROLE by_password SUPERUSER LOGIN PASSWORD '{PASSWORD}';
         CREATE ROLE trusted SUPERUSER LOGIN;
         SET password_encryption = 'md5';
         CREATE ROLE by_md5 SUPERUSER LOGIN PASSWORD '{PASSWORD}'"
    ));
    database.set_hba(
        "host all by_md5 all md5\nhost all trusted all trust\nhost all by_password all password\n\
         host all all all scram-sha-256\n",
    );
    for user in ["by_scram", "by_md5", "trusted", "by_password"] {
        let start = |parameters: &str| {
            let host = format!("localhost:{}", database.cluster.port);
            database.try_start(&format!("{user}:{PASSWORD}"), &host, parameters)
        };
        database.assert_serves(&format!("{user}, prefer"), start("sslmode=require&channel_binding=prefer"));
        let required = start("sslmode=require&channel_binding=require");
        match user {
            "by_scram" => drop(database.assert_serves("SCRAM, require", required)),
            _ => assert_refused(required, &format!("{user}, require"), "did not use channel binding"),
        }
    }
}

#[test]
fn man_in_the_middle_cannot_use_the_password() {
    let Some(database) = TlsDatabase::start("a man in the middle") else { return };
    let certificates = &database.certificates;
    certificates.issue("server", "localhost", "authority", EC_256, "sha256");
    certificates.create_authority("attacker", EC_256, "sha256");
    certificates.issue("attacker_server", "localhost", "attacker", EC_256, "sha256");
    database.enable_tls("server");
    let user = format!("{USER}:{PASSWORD}");
    let start = |proxy: &TlsProxy, parameters: &str| {
        database.try_start(&user, &format!("localhost:{}", proxy.port), &format!("sslmode=require&{parameters}"))
    };

    let encrypting = TlsProxy::new(certificates, "attacker_server", database.cluster.port, Some("authority"));
    let required = "channel_binding=require";
    assert_refused(start(&encrypting, required), "TLS on both sides, require", "SCRAM channel binding check failed");
    // PostgreSQL detects it.
    let preferred = "channel_binding=prefer";
    assert_refused(start(&encrypting, preferred), "TLS on both sides, prefer", "SCRAM channel binding check failed");
    database.assert_serves("TLS on both sides, disable", start(&encrypting, "channel_binding=disable"));

    // PostgreSQL offers no channel binding without TLS.
    let decrypting = TlsProxy::new(certificates, "attacker_server", database.cluster.port, None);
    assert_refused(start(&decrypting, required), "TLS to the proxy, require", "did not use channel binding");
    database.assert_serves("TLS to the proxy, prefer", start(&decrypting, preferred));
    database.assert_serves("TLS to the proxy, disable", start(&decrypting, "channel_binding=disable"));
}

/// The certificate of PostgreSQL is public, and `sslmode=require` accepts every one.
#[test]
fn man_in_the_middle_cannot_use_the_certificate_of_another_key() {
    let Some(database) = TlsDatabase::start("a certificate of another key") else { return };
    let certificates = &database.certificates;
    for name in ["server", "attacker"] {
        certificates.issue(name, "localhost", "authority", EC_256, "sha256");
    }
    std::fs::write(certificates.path("mixed.pem"), certificates.read("server.pem")).expect("the certificate");
    std::fs::write(certificates.path("mixed.key"), certificates.read("attacker.key")).expect("the key");
    let authority = certificates.path("authority.pem").display().to_string();
    for (name, is_refused) in [("server", false), ("mixed", true)] {
        let proxy = TlsProxy::new(certificates, name, database.cluster.port, None);
        for parameters in ["sslmode=require".to_owned(), format!("sslmode=verify-full&sslrootcert={authority}")] {
            let what = format!("{name}, {parameters}");
            let (user, host) = (format!("{USER}:{PASSWORD}"), format!("localhost:{}", proxy.port));
            let started = database.try_start(&user, &host, &format!("{parameters}&channel_binding=disable"));
            if is_refused {
                assert_refused(started, &what, "invalid peer certificate: BadSignature");
            } else {
                database.assert_serves(&what, started);
            }
        }
    }
}
