//! `serve --check` prints what applies and changes nothing.

use super::{MINIMAL, check, check_error, keys_of_example, keys_of_json, serve};
use crate::support::guards::LEGAL_HOLD;
use delete_learning::{Access, Cache, DEFAULT_POLICY, Digest, Limits, Sandbox};
use delete_learning_server::audit::SigningKey;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[test]
fn each_value_is_printed_with_its_origin() {
    let file = format!("# A comment.\nserver.max_connections = 5\n{MINIMAL}");
    let variables = [
        ("DELETE_LEARNING_SERVER__LISTEN", "127.0.0.1:1"),
        ("DELETE_LEARNING_SERVER__MAX_HEADER_BYTES", "9000"),
        ("XDG_CACHE_HOME", "/cache"),
    ];
    check(&file, &variables)
        .assert_valid()
        .assert_key("listen = \"127.0.0.1:1\"", "environment variable DELETE_LEARNING_SERVER__LISTEN")
        .assert_key("max_connections = 5", "server.toml:2")
        .assert_key("max_header_bytes = 9000", "environment variable DELETE_LEARNING_SERVER__MAX_HEADER_BYTES")
        .assert_key("shutdown_timeout_ms = 10000", "default")
        .assert_key("id = \"main\"", "server.toml:5")
        .assert_key("table = \"agno_learnings\"", "default")
        .assert_key("mode = \"none\"", "server.toml:8")
        .assert_key("filter = \"info\"", "default")
        .assert_key("audience_claim = \"aud\"", "default")
        .assert_key("directory = \"/cache/delete-learning\"", "from environment variable XDG_CACHE_HOME")
        .assert_key("# sha256 =", "not set")
        .assert_key("# [audit]", "not set");
}

#[test]
fn every_key_of_the_example_file_is_printed() {
    let without_indexes = |path: &str| path.replace("[0]", "").replace("[1]", "");
    let expected: BTreeSet<String> = keys_of_example().iter().map(|(path, _)| without_indexes(path)).collect();
    let directory = TempDir::new().expect("a directory");
    let json = serve(directory.path(), Some(MINIMAL), &[], &["--check", "--format", "json"]);
    let printed: BTreeSet<String> =
        keys_of_json(json.assert_valid()).iter().map(|(path, ..)| without_indexes(path)).collect();
    let missing: Vec<_> = expected.difference(&printed).collect();
    assert!(missing.is_empty(), "{missing:?} are in the example file, and not printed");

    let text = check(MINIMAL, &[]);
    for path in &printed {
        let name = path.rsplit('.').next().expect("a name");
        assert!(text.stdout.contains(&format!("{name} =")), "{path}");
    }
}

#[test]
fn printed_configuration_is_a_configuration() {
    let file = "server.trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nserver.cors.allowed_origins = [\"https://*.example.com:1\"]\n\
                [[databases]]\nid = \"a \\\"b\\\"\"\nurl = \"sqlite:main.db\"\n[[databases]]\nid = \"c\"\nurl = \"sqlite:c.db\"\n\
                [auth]\nmode = \"security-key\"\nsecurity_key_file = \"key\"\n\
                [auth.jwt]\naudience = [\"x\", \"y\"]\nscopes_claim = \"realm_access.roles\"\nuser_id_claim = \"https://a.example/u\"\n\
                [policy]\ncomponent = \"guard.wasm\"\nsettings = { a = { b = [1, \"x\"] }, \"c d\" = {} }\n";
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("key"), "a key").expect("the key");
    let first = serve(directory.path(), Some(file), &[], &["--check"]);
    // The component is not a policy, and the configuration is printed before that is noticed.
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    let second = serve(directory.path(), Some(&first.stdout), &[], &["--check"]);
    let values = |text: &str| -> toml::Table { text.parse().unwrap_or_else(|error| panic!("{error}: {text}")) };
    assert_eq!(values(&first.stdout), values(&second.stdout));
    assert_eq!(values(&first.stdout)["policy"]["settings"]["a"]["b"][1].as_str(), Some("x"));
    assert!(first.stdout.starts_with("[server]\n") && first.stdout.contains("\n\n[[databases]]\n"), "{}", first.stdout);
    assert!(first.stdout.contains("\"c d\" = {} }"), "{}", first.stdout);
}

/// Every file and directory below a directory.
fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { entries_with(path) } else { [path].into() }).collect()
}

fn entries_with(directory: PathBuf) -> BTreeSet<PathBuf> {
    let mut all = entries(&directory);
    all.insert(directory);
    all
}

#[test]
fn check_changes_nothing_and_needs_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let directory = TempDir::new().expect("a directory");
    let (key, _) = SigningKey::generate("example.com/deletions").expect("a key");
    fs::write(directory.path().join("audit.key"), key).expect("the key");
    fs::write(directory.path().join("guard.wasm"), LEGAL_HOLD).expect("the guard");
    let file = format!(
        "server.listen = \"{address}\"\n[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\ncreate = true\n\
         [[databases]]\nid = \"far\"\nurl = \"postgresql://u:p@192.0.2.1/d\"\n[auth]\nmode = \"none\"\n\
         [cache]\ndirectory = \"cache\"\n[audit]\ndirectory = \"audit\"\nsigning_key_file = \"audit.key\"\n\
         [[guards]]\nname = \"legal-hold\"\ncomponent = \"guard.wasm\"\nsha256 = \"{}\"\n",
        Digest::of(LEGAL_HOLD)
    );
    fs::write(directory.path().join("server.toml"), &file).expect("the file");
    // First without a directory of compiled policies, then with an empty one.
    for _ in 0..2 {
        let before = entries(directory.path());
        serve(directory.path(), Some(&file), &[], &["--check"]).assert_valid();
        assert_eq!(entries(directory.path()), before);
        Cache::open(&directory.path().join("cache")).expect("the directory is created");
    }
}

#[test]
fn check_uses_cached_policies() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("cache");
    let sandbox = Sandbox::new(&Limits::default(), Some(Cache::open(&path).expect("a cache"))).expect("a sandbox");
    let cached = || fs::read_dir(&path).expect("the cache").map(|entry| entry.expect("an entry").path());
    sandbox.load_policy(DEFAULT_POLICY, &Access::default(), Vec::new()).expect("the policy");
    let policy = cached().next().expect("the compiled policy");
    let file = format!("{MINIMAL}[cache]\ndirectory = \"cache\"\n");
    serve(directory.path(), Some(&file), &[], &["--check"]).assert_valid();
    // With the code of a guard in its place, the policy cannot be loaded.
    sandbox.load_guard("hold", LEGAL_HOLD, &Access::default()).expect("the guard");
    let guard = cached().find(|file| *file != policy).expect("the compiled guard");
    fs::copy(guard, &policy).expect("the file is replaced");
    assert_eq!(serve(directory.path(), Some(&file), &[], &["--check"]).code, Some(1));
}

#[test]
fn guard_with_the_longest_name_is_valid_if_one_is_allowed() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("guard.wasm"), LEGAL_HOLD).expect("the guard");
    let file = format!(
        "{MINIMAL}[sandbox]\nmax_guards = 1\n[[guards]]\nname = \"{}\"\ncomponent = \"guard.wasm\"\n",
        "a".repeat(64)
    );
    serve(directory.path(), Some(&file), &[], &["--check"]).assert_valid();
}

#[test]
fn check_reports_what_a_start_would_report() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    fs::write(path.join("guard.wasm"), LEGAL_HOLD).expect("the guard");
    fs::write(path.join("jwks.json"), "{}").expect("the key set");
    fs::create_dir(path.join("shared")).expect("a directory");
    fs::set_permissions(path.join("shared"), PermissionsExt::from_mode(0o777)).expect("the permissions");
    let guard = "[[guards]]\nname = \"a\"\ncomponent = \"guard.wasm\"\n";
    let jwt = "server.listen = \"127.0.0.1:0\"\n[[databases]]\nid = \"a\"\nurl = \"sqlite:a.db\"\ncreate = true\n[auth]\nmode = \"jwt\"\n";
    let postgres = "[[databases]]\nid = \"main\"\nurl = \"postgresql://u:hunter2@db.example,[::1]:6000/d?sslmode=verify-full&sslrootcert=ca.pem\"\n[auth]\nmode = \"none\"\n";
    for (file, parts) in [
        (
            format!("{MINIMAL}{guard}sha256 = \"{}\"\n", "0".repeat(64)),
            vec!["guards[0].sha256 (line 10)", "SHA-256 is"],
        ),
        (format!("{MINIMAL}[policy]\ncomponent = \"none.wasm\"\n"), vec!["policy.component (line 8)", "none.wasm"]),
        (
            format!("{MINIMAL}[policy]\ncomponent = \"guard.wasm\"\n"),
            vec!["policy.component (server.toml:8): ", "guard.wasm: "],
        ),
        (format!("{jwt}[auth.jwt]\njwks_file = \"jwks.json\"\n"), vec!["auth.jwt.jwks_file (line 9)", "\"keys\""]),
        (format!("{MINIMAL}[cache]\ndirectory = \"shared\"\n"), vec!["cache.directory (line 8)", "others can write"]),
        (
            postgres.to_owned(),
            vec!["databases[0].url", "database \"main\" (postgres host db.example:5432, [::1]:6000)", "ca.pem"],
        ),
    ] {
        let run = serve(path, Some(&file), &[], &["--check"]);
        assert_eq!(run.code, Some(1), "{file}\n{}", run.stdout);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{part:?} is not in: {}\nfor {file}", run.stderr);
        }
        let start = serve(path, Some(&file), &[], &[]);
        let last = |text: &str| text.lines().last().map(str::to_owned);
        assert_eq!((start.code, last(&start.stderr)), (Some(1), last(&run.stderr)), "a start reports the same");
    }
}

#[test]
fn format_without_check_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let run = serve(directory.path(), Some(MINIMAL), &[], &["--format", "json"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(check_error("", &[]).contains("databases"));
}
