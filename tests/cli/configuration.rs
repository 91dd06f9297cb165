//! A configuration that is wrong does not start, and says file, key and reason.

use crate::support::server::{Setup, command};
use crate::support::token::user;
use std::fs;
use tempfile::TempDir;

/// Standard error of a host that must not start with this configuration.
fn refused(text: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("host.toml");
    fs::write(&file, text).expect("the configuration can be written");
    let output = command(&file).output().expect("the binary runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}\n{error}");
    assert!(output.stdout.is_empty(), "it never listened");
    assert!(error.contains("host.toml: "), "the file is named: {error}");
    error
}

const DATABASES: &str = "[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\n";

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let database = |line: &str| format!("[[databases]]\n{line}\n[auth]\nmode = \"none\"\n");
    let auth = |lines: &str| format!("{DATABASES}[auth]\n{lines}\n");
    let open = |lines: &str| format!("{}{lines}\n", auth("mode = \"none\""));
    for (text, parts) in [
        (String::new(), vec!["auth", "missing field"]),
        (auth(""), vec!["mode"]),
        (auth("mode = \"open\""), vec!["auth.mode", "unknown variant"]),
        ("[auth]\nmode = \"none\"\n".to_owned(), vec!["databases", "at least one"]),
        (format!("{DATABASES}{}", auth("mode = \"none\"")), vec!["databases[1].id", "already"]),
        (database("url = \"sqlite:x.db\""), vec!["databases[0]", "missing field `id`"]),
        (database("id = \"\"\nurl = \"sqlite:x.db\""), vec!["databases[0].id", "empty"]),
        (database("id = \"a\"\nurl = \"mysql://x\""), vec!["databases[0].url", "sqlite:"]),
        (database("id = \"a\"\nurl = \"sqlite:\""), vec!["databases[0].url", "must name a file"]),
        (database("id = \"a\"\nurl = \"sqlite:nowhere/x.db\""), vec!["databases[0].url", "cannot open"]),
        (database("id = \"a\"\nurl = \"sqlite:x.db\"\ntabel = \"t\""), vec!["databases[0]", "unknown field `tabel`"]),
        (open("[sandbox]\nmax_instances = 1"), vec!["sandbox", "unknown field `max_instances`"]),
        (open("[server]\nmax_connections = 0"), vec!["server.max_connections", "at least 1"]),
        (open("[sandbox]\nmax_host_call_bytes = 1"), vec!["sandbox.max_host_call_bytes", "at least 1024"]),
        (open("[sqlite]\nmax_batch_size = 0"), vec!["sqlite.max_batch_size", "at least 1"]),
        (open("[postgres]\nmax_connections = 0"), vec!["postgres.max_connections", "at least 1"]),
        (
            database("id = \"a\"\nurl = \"sqlite:x.db\"\nmax_in_flight = 0"),
            vec!["databases[0].max_in_flight", "at least 1"],
        ),
        (open("[sqlite]\nbusy_timeout_ms = 10000"), vec!["sqlite.busy_timeout_ms", "sandbox.execution_timeout_ms"]),
        (open("[wasi]\nclocks = true"), vec!["wasi.clocks", "wasi.enabled"]),
        (open("[wasi]\nrandom = true"), vec!["wasi.random", "wasi.enabled"]),
        (open("[wasi]\nenabled = true\nfiles = true"), vec!["wasi", "unknown field `files`"]),
        (open("[cache]\nenabled = false\ndirectory = \"c\""), vec!["cache.directory", "cache.enabled"]),
        (open("[cache]\ndirectory = \"host.toml\""), vec!["cache.directory", "host.toml"]),
        (open("[log]\nlevel = \"loud\""), vec!["log.level"]),
        (open("[authorization]\nadmin_scope = \"\""), vec!["authorization.admin_scope", "empty"]),
        (open("[authorization]\nuser_isolation = \"yes\""), vec!["authorization.user_isolation", "boolean"]),
        (format!("server.listen = \"everywhere\"\n{}", open("")), vec!["server.listen", "address"]),
        (
            format!("policy.component = \"missing.wasm\"\n{}", open("")),
            vec!["policy.component", "missing.wasm", "cannot be read"],
        ),
        (auth("mode = \"security-key\""), vec!["auth.security_key", "OS_SECURITY_KEY"]),
        (auth("mode = \"security-key\"\nsecurity_key = \"\""), vec!["auth.security_key", "empty"]),
        (auth("mode = \"security-key\"\nsecurity_key_file = \"k\""), vec!["auth.security_key_file", "cannot be read"]),
        (auth("mode = \"jwt\""), vec!["auth.jwt.verification_keys", "JWT_VERIFICATION_KEY"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS1\""), vec!["auth.jwt.algorithm", "HS256", "EdDSA"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\njwks_file = \"j\""), vec!["auth.jwt.jwks_file", "cannot be read"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\nleeway = 1"), vec!["auth.jwt", "unknown field `leeway`"]),
        (
            auth(
                "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"0123456789012345678901234567890123\"]\n[auth.service_accounts]\ndatabase = \"other\"",
            ),
            vec!["auth.service_accounts.database", "other"],
        ),
        (auth("mode = \"none\"\n[auth.service_accounts]\ndatabase = \"main\""), vec!["auth.service_accounts", "none"]),
        ("this is not TOML".to_owned(), vec!["line 1"]),
    ] {
        let error = refused(&text);
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}\nof {text}");
        }
    }
}

#[test]
fn a_key_that_is_too_short_or_of_another_kind_is_refused() {
    let with_key = |algorithm: &str, key: &str| {
        let key = serde_json::Value::from(key);
        refused(&format!(
            "{DATABASES}[auth]\nmode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\nverification_keys = [{key}]\n"
        ))
    };
    for (algorithm, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let error = with_key(algorithm, &"s".repeat(least - 1));
        assert!(error.contains("auth.jwt.verification_keys[0]") && error.contains(&least.to_string()), "{error}");
    }
    assert!(with_key("RS256", "not a key").contains("PEM"));
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    assert!(with_key("RS256", ed25519).contains("not a public key for RS256"));
    assert!(with_key("ES256", ed25519).contains("not a public key for ES256"));
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    assert!(with_key("EdDSA", private).contains("private key"));
    let rsa1024 = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC3uqnVSa/upfcxa2QYAr95j0Z7\nFwePmeccqrtP9nHZFs3n07fMCDa5TjmjAgML2fLfe0OWeoZ8Fa3KwS7N2PfHZ7CQ\nhYguikyn7uc5Oo/dsJ+dpNVGaUpkIElCb4oZw5bWTwKGPagiDJnrhVaaijuTI//i\nBT91hqpD9uh2CpkDAwIDAQAB\n-----END PUBLIC KEY-----\n";
    let error = with_key("RS256", rsa1024);
    assert!(error.contains("2048"), "{error}");
}

#[test]
fn no_secret_is_in_an_error() {
    let auth = |lines: &str| format!("{DATABASES}[auth]\n{lines}\n");
    for text in [
        auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"hunter2\"]"),
        auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"RS256\"\nverification_keys = \"hunter2\""),
        auth("mode = \"jwt\"\n[auth.jwt]\nverification_keys = [[\"hunter2\"]]"),
        auth("mode = \"security-key\"\nsecurity_key = [\"hunter2\"]"),
        auth("mode = \"security-key\"\nsecurity_key = { key = \"hunter2\" }"),
        auth("mode = \"security-key\"\nsecurity_key = \"hunter2"),
        auth("mode = \"security-key\"\nsecurity_key = hunter2"),
        auth("mode = \"security-key\"\nsecurity_key = \" hunter2\""),
        "[[databases]]\nid = \"a\"\nurl = [\"postgres://u:hunter2@x\"]\n[auth]\nmode = \"none\"\n".to_owned(),
        "[[databases]]\nid = \"a\"\nurl = \"mysql://u:hunter2@x\"\n[auth]\nmode = \"none\"\n".to_owned(),
    ] {
        let error = refused(&text);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_table_that_holds_something_else_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let connection = rusqlite::Connection::open(folder.path().join("main.db")).expect("a database");
    connection.execute_batch("CREATE TABLE agno_learnings (learning_id TEXT, note TEXT)").expect("a table");
    let file = folder.path().join("host.toml");
    fs::write(&file, format!("{DATABASES}[auth]\nmode = \"none\"\n")).expect("the configuration can be written");
    let output = command(&file).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("databases[0].url") && error.contains("no column"), "{error}");
}

#[test]
fn a_policy_that_is_none_is_refused_with_its_file() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("policy.wasm"), b"\0asm\x01\0\0\0").expect("a file can be written");
    let file = folder.path().join("host.toml");
    let text = format!("policy.component = \"policy.wasm\"\n{DATABASES}[auth]\nmode = \"none\"\n");
    fs::write(&file, text).expect("the configuration can be written");
    let output = command(&file).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("policy.wasm") && error.contains("core"), "{error}");
}

#[test]
fn secrets_come_from_files_and_from_the_environment_too() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("key"), "a key from a file\n").expect("a file can be written");
    let host = Setup::with_auth("mode = \"security-key\"\nsecurity_key_file = \"key\"\n").start_in(folder);
    assert_eq!(host.delete("/learnings/absent", Some("a key from a file")).status, 404);

    let environment = vec![("OS_SECURITY_KEY", "a key from the environment".to_owned())];
    let host = Setup { environment, ..Setup::with_auth("mode = \"security-key\"\n") }.start();
    assert_eq!(host.delete("/learnings/absent", Some("a key from the environment")).status, 404);

    let environment = vec![("JWT_VERIFICATION_KEY", crate::support::token::SECRET.to_owned())];
    let auth = "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\n";
    let host = Setup { environment, ..Setup::with_auth(auth) }.start();
    assert_eq!(host.delete("/learnings/absent", Some(&user("alice"))).status, 404);
}

#[test]
fn what_is_compiled_is_kept_where_the_configuration_or_the_user_has_it() {
    let folder = TempDir::new().expect("a folder");
    let (users, named) = (folder.path().join("users"), folder.path().join("named"));
    let started = |cache: &str| {
        let environment = vec![("XDG_CACHE_HOME", users.display().to_string())];
        let settings = format!("\n[cache]\n{cache}\n");
        drop(Setup { settings, environment, ..Setup::open() }.start());
    };
    let kept = |folder: &std::path::Path| fs::read_dir(folder).map_or(0, Iterator::count);
    started("enabled = false");
    started(&format!("directory = \"{}\"", named.display()));
    assert_eq!((kept(&named), users.exists()), (1, false));
    started("");
    assert_eq!(kept(&users.join("delete-learning")), 1);
    // A folder that others can write to is not used, and nobody is kept from starting.
    fs::set_permissions(users.join("delete-learning"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("ours");
    let environment = vec![("XDG_CACHE_HOME", users.display().to_string())];
    let host = Setup { environment, ..Setup::open() }.start();
    host.logged(&["cannot cache compiled policies", "others can write to it"]);
}
