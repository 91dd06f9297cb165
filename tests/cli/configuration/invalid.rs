//! An invalid configuration stops the start, and the error names the file, the key and the reason.

use crate::support::database::AgnoDatabase;
use crate::support::server::{Setup, serve_command};
use crate::support::token::user;
use std::fs;
use tempfile::TempDir;

/// Asserts that the server does not start with this configuration, and returns its standard error.
fn assert_start_fails(text: &str) -> String {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("server.toml");
    fs::write(&file, text).expect("the configuration can be written");
    let output = serve_command(&file).output().expect("the binary runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}\n{error}");
    assert!(output.stdout.is_empty(), "the server never listened");
    assert!(error.contains("server.toml: "), "the error names the file: {error}");
    error
}

const DATABASES: &str = "[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\ncreate = true\n";

#[test]
fn invalid_configuration_is_reported_with_its_key() {
    let database = |line: &str| format!("[[databases]]\n{line}\n[auth]\nmode = \"none\"\n");
    let auth = |lines: &str| format!("{DATABASES}[auth]\n{lines}\n");
    let without_auth = |lines: &str| format!("{}{lines}\n", auth("mode = \"none\""));
    let traces = |endpoint: &str, lines: &str| without_auth(&format!("[traces]\nendpoint = \"{endpoint}\"\n{lines}"));
    for (text, parts) in [
        (String::new(), vec!["databases", "at least one"]),
        (DATABASES.to_owned(), vec!["auth.mode", "is missing"]),
        (auth(""), vec!["mode"]),
        (auth("mode = \"open\""), vec!["auth.mode (line 6)", "must be one of"]),
        ("[auth]\nmode = \"none\"\n".to_owned(), vec!["databases", "at least one"]),
        (format!("{DATABASES}{}", auth("mode = \"none\"")), vec!["databases[1].id", "\"agno_learnings\" already"]),
        (database("url = \"sqlite:x.db\""), vec!["databases[0] (line 1)", "missing field `id`"]),
        (database("id = \"\"\nurl = \"sqlite:x.db\""), vec!["databases[0].id", "empty"]),
        (database("id = \"a\"\nurl = \"mysql://x\""), vec!["databases[0].url", "sqlite:"]),
        (database("id = \"a\"\nurl = \"sqlite:\""), vec!["databases[0].url", "must name a file"]),
        (database("id = \"a\"\nurl = \"sqlite:nowhere/x.db\""), vec!["databases[0].url", "does not exist"]),
        (
            database("id = \"a\"\nurl = \"sqlite:x.db\"\ntabel = \"t\""),
            vec!["databases[0].tabel (line 4)", "unknown key; did you mean \"table\"?"],
        ),
        (without_auth("[sandbox]\nmax_instances = 1"), vec!["sandbox.max_instances", "unknown key"]),
        (without_auth("[server]\nmax_connections = 0"), vec!["server.max_connections", "at least 1"]),
        (without_auth("[sandbox]\nmax_host_call_bytes = 1"), vec!["sandbox.max_host_call_bytes", "at least 1024"]),
        (without_auth("[sqlite]\nmax_batch_size = 0"), vec!["sqlite.max_batch_size", "at least 1"]),
        (without_auth("[postgres]\nmax_connections = 0"), vec!["postgres.max_connections", "at least 1"]),
        (
            database("id = \"a\"\nurl = \"sqlite:x.db\"\nmax_in_flight = 0"),
            vec!["databases[0].max_in_flight", "at least 1"],
        ),
        (
            without_auth("[sqlite]\nbusy_timeout_ms = 10000"),
            vec!["sqlite.busy_timeout_ms", "sandbox.execution_timeout_ms"],
        ),
        (
            database("id = \"a\"\nurl = \"postgres://u@h/d\"")
                .replace("[auth]", "[sandbox]\nexecution_timeout_ms = 5500\n[auth]"),
            vec!["sandbox.execution_timeout_ms", "must be more than 5500"],
        ),
        (
            without_auth(
                "[audit]\ndirectory = \"a\"\nsigning_key_file = \"k\"\nmax_segment_bytes = 65536\nmax_refusal_bytes = 65537",
            ),
            vec!["audit.max_refusal_bytes", "must not be more than"],
        ),
        (
            without_auth(
                "[audit]\ndirectory = \"a\"\nsigning_key_file = \"k\"\nmax_segment_bytes = 65536\nmax_refusal_bytes = 65536",
            ),
            vec!["audit.signing_key_file", "cannot be read"],
        ),
        (without_auth("[wasi]\nenabled = true"), vec!["wasi", "unknown key"]),
        ("\"\" = 7".to_owned(), vec![": \"\" (line 1)", "unknown key"]),
        ("JWT_JWKS_FILE = \"keys.json\"".to_owned(), vec![": JWT_JWKS_FILE (line 1)", "unknown key"]),
        (without_auth("[OS_SECURITY_KEY]"), vec![": OS_SECURITY_KEY (line 7)", "unknown key"]),
        (without_auth("[sandbox]\n\"\" = 7"), vec!["sandbox.\"\" (line", "unknown key"]),
        (
            without_auth("[policy]\ngrants = [\"wasi:clocks/wall-clock@0.2.0\"]"),
            vec!["policy.grants", "policy.component"],
        ),
        (without_auth("[policy]\nsettings = { a = 1 }"), vec!["policy.settings", "policy.component"]),
        (without_auth("[policy]\nsha256 = \"abc\""), vec!["policy.sha256", "64 hexadecimal digits"]),
        (without_auth("[policy]\nreload = \"always\""), vec!["policy.reload", "\"watch\""]),
        (without_auth("[[guards]]\nname = \"a\""), vec!["guards[0]", "missing field `component`"]),
        (without_auth("[[guards]]\nname = \"A b\"\ncomponent = \"a.wasm\""), vec!["guards[0].name", "a-z"]),
        (without_auth("[[guards]]\nname = \"\"\ncomponent = \"a.wasm\""), vec!["guards[0].name", "1 to 64"]),
        (
            without_auth(&format!("[[guards]]\nname = \"{}\"\ncomponent = \"a.wasm\"", "a".repeat(65))),
            vec!["guards[0].name", "1 to 64"],
        ),
        (
            without_auth(&"[[guards]]\nname = \"a\"\ncomponent = \"a.wasm\"\n".repeat(2)),
            vec!["guards[1].name", "another guard"],
        ),
        (
            without_auth("[sandbox]\nmax_guards = 0\n[[guards]]\nname = \"a\"\ncomponent = \"a.wasm\""),
            vec!["guards", "sandbox.max_guards (0)"],
        ),
        (without_auth("[cache]\nenabled = false\ndirectory = \"c\""), vec!["cache.directory", "cache.enabled"]),
        (without_auth("[cache]\ndirectory = \"server.toml\""), vec!["cache.directory", "server.toml"]),
        (without_auth("[audit]\ndirectory = \"audit\""), vec!["audit", "missing field `signing_key_file`"]),
        (
            without_auth("[audit]\ndirectory = \"audit\"\nsigning_key_file = \"missing.key\""),
            vec!["audit.signing_key_file", "missing.key", "cannot be read"],
        ),
        (
            without_auth("[audit]\ndirectory = \"audit\"\nsigning_key_file = \"server.toml\""),
            vec!["audit.signing_key_file", "server.toml", "audit keygen"],
        ),
        (
            without_auth("[audit]\ndirectory = \"audit\"\nsigning_key_file = \"a\"\ncheckpoint_interval_seconds = 0"),
            vec!["audit.checkpoint_interval_seconds", "at least 1"],
        ),
        (traces("http://user:hunter2@a", ""), vec!["traces.endpoint", "http://127.0.0.1:4318"]),
        (traces("grpc://127.0.0.1:4317", ""), vec!["traces.endpoint", "http://127.0.0.1:4318"]),
        (traces("http://a", "headers = \"hunter2\""), vec!["traces.headers", "authorization=Bearer TOKEN"]),
        (traces("http://a", "headers_file = \"h\""), vec!["traces.headers_file", "cannot be read"]),
        (traces("http://a", "sample_ratio = 1.5"), vec!["traces.sample_ratio", "from 0 to 1"]),
        (without_auth("[log]\nfilter = \"=loud\""), vec!["log.filter", "info"]),
        (without_auth("[authorization]\nadmin_scope = \"\""), vec!["authorization.admin_scope", "empty"]),
        (without_auth("[authorization]\nuser_isolation = \"yes\""), vec!["authorization.user_isolation", "boolean"]),
        (format!("server.listen = \"everywhere\"\n{}", without_auth("")), vec!["server.listen", "address"]),
        (
            format!("policy.component = \"missing.wasm\"\n{}", without_auth("")),
            vec!["policy.component", "missing.wasm", "cannot be read"],
        ),
        (auth("mode = \"security-key\""), vec!["auth.security_key", "OS_SECURITY_KEY"]),
        (auth("mode = \"security-key\"\nsecurity_key = \"\""), vec!["auth.security_key", "empty"]),
        (auth("mode = \"security-key\"\nsecurity_key_file = \"k\""), vec!["auth.security_key_file", "cannot be read"]),
        (auth("mode = \"jwt\""), vec!["auth.jwt.verification_keys", "JWT_VERIFICATION_KEY"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS1\""), vec!["auth.jwt.algorithm", "HS256", "EdDSA"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\njwks_file = \"j\""), vec!["auth.jwt.jwks_file", "cannot be read"]),
        (auth("mode = \"jwt\"\n[auth.jwt]\nleeway = 1"), vec!["auth.jwt.leeway", "did you mean \"leeway_seconds\"?"]),
        (
            auth(
                "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"0123456789012345678901234567890123\"]\n[auth.service_accounts]\ndatabase = \"other\"",
            ),
            vec!["auth.service_accounts.database", "other"],
        ),
        (auth("mode = \"none\"\n[auth.service_accounts]\ndatabase = \"main\""), vec!["auth.service_accounts", "none"]),
        ("this is not TOML".to_owned(), vec!["line 1"]),
    ] {
        let error = assert_start_fails(&text);
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}\nfor {text}");
        }
    }
}

#[test]
fn short_or_mismatched_key_is_rejected() {
    let with_key = |algorithm: &str, key: &str| {
        let key = serde_json::Value::from(key);
        assert_start_fails(&format!(
            "{DATABASES}[auth]\nmode = \"jwt\"\n[auth.jwt]\nalgorithm = \"{algorithm}\"\nverification_keys = [{key}]\n"
        ))
    };
    for (algorithm, min_bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let error = with_key(algorithm, &"s".repeat(min_bytes - 1));
        assert!(error.contains("auth.jwt.verification_keys[0]") && error.contains(&min_bytes.to_string()), "{error}");
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
fn configuration_error_contains_no_secret() {
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
        let error = assert_start_fails(&text);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn mismatched_table_is_rejected_at_startup() {
    let directory = TempDir::new().expect("a directory");
    let connection = rusqlite::Connection::open(directory.path().join("main.db")).expect("a database");
    connection.execute_batch("CREATE TABLE agno_learnings (learning_id TEXT, note TEXT)").expect("a table");
    let file = directory.path().join("server.toml");
    fs::write(&file, format!("{DATABASES}[auth]\nmode = \"none\"\n")).expect("the configuration can be written");
    let output = serve_command(&file).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("databases[0].url") && error.contains("no column"), "{error}");
}

#[test]
fn invalid_policy_is_rejected_with_its_file_name() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("policy.wasm"), b"\0asm\x01\0\0\0").expect("a file can be written");
    let file = directory.path().join("server.toml");
    let text = format!("policy.component = \"policy.wasm\"\n{DATABASES}[auth]\nmode = \"none\"\n");
    fs::write(&file, text).expect("the configuration can be written");
    let output = serve_command(&file).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("policy.wasm") && error.contains("core"), "{error}");
}

#[test]
fn secrets_are_read_from_files_and_the_environment() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("key"), "a key from a file\n").expect("a file can be written");
    AgnoDatabase::copy_to(directory.path(), "main.db");
    let server = Setup::with_auth("mode = \"security-key\"\nsecurity_key_file = \"key\"\n").start_in(directory);
    assert_eq!(server.delete("/learnings/absent", Some("a key from a file")).status, 404);

    let environment = vec![("OS_SECURITY_KEY", "a key from the environment".to_owned())];
    let server = Setup { environment, ..Setup::with_auth("mode = \"security-key\"\n") }.start();
    assert_eq!(server.delete("/learnings/absent", Some("a key from the environment")).status, 404);

    let environment = vec![("JWT_VERIFICATION_KEY", crate::support::token::SECRET.to_owned())];
    let auth = "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\n";
    let server = Setup { environment, ..Setup::with_auth(auth) }.start();
    assert_eq!(server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
}

#[test]
fn compiled_policy_is_cached_in_configured_or_user_directory() {
    let directory = TempDir::new().expect("a directory");
    let (user_cache, configured) = (directory.path().join("user"), directory.path().join("configured"));
    let start_with = |cache: &str| {
        let environment = vec![("XDG_CACHE_HOME", user_cache.display().to_string())];
        let settings = format!("\n[cache]\n{cache}\n");
        drop(Setup { settings, environment, ..Setup::without_auth() }.start());
    };
    let count = |directory: &std::path::Path| fs::read_dir(directory).map_or(0, Iterator::count);
    start_with("enabled = false");
    start_with(&format!("directory = \"{}\"", configured.display()));
    assert_eq!((count(&configured), user_cache.exists()), (1, false));
    start_with("");
    assert_eq!(count(&user_cache.join("delete-learning")), 1);
    // A cache directory that others can write to is not used, and the server still starts.
    fs::set_permissions(user_cache.join("delete-learning"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("the permissions can be set");
    let environment = vec![("XDG_CACHE_HOME", user_cache.display().to_string())];
    let server = Setup { environment, ..Setup::without_auth() }.start();
    server.wait_for_log(&["cannot cache compiled policies", "others can write to it"]);
}
