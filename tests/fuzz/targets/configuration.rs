//! The text of a configuration: whatever it is, it is a configuration, or an error that names file, key and reason and
//! holds no secret of it.

#![no_main]

use delete_learning_server::Config;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;

/// Where `@` stands in the value of one of these keys, this secret is planted.
const SECRET: &str = "hunter2-and-more-than-32-bytes-of-it";
const SECRET_KEYS: [&str; 3] = ["security_key", "verification_keys", "url"];

/// A folder with what a configuration may name, in memory where the system has that.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder");
    fs::write(folder.path().join("k"), SECRET).expect("a file can be written");
    let set = r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
    fs::write(folder.path().join("j"), set).expect("a file can be written");
    fs::write(folder.path().join("p"), delete_learning::DEFAULT_POLICY).expect("a file can be written");
    folder
});

/// The text with the secret in the values of the keys that are for one.
fn planted(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        if SECRET_KEYS.contains(&key) { line.replace('@', SECRET) } else { line.to_owned() }
    });
    lines.collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A file that a configuration names is read; those of the system that have no end are not for here.
    let is_outside = ["/dev", "/proc", "/sys", "\\"].iter().any(|folder| text.contains(folder));
    // Nor is one that has the secret's words where none was planted.
    if is_outside || text.contains("hunter2") {
        return;
    }
    let file = FOLDER.path().join("c.toml");
    fs::write(&file, planted(text)).expect("a file can be written");
    let variable = |name: &str| (name == "JWT_VERIFICATION_KEY" && text.contains("# env")).then(|| SECRET.to_owned());
    match Config::read(&file, &variable) {
        Ok(config) => {
            let (sandbox, wasi) = (&config.sandbox, config.policy.wasi);
            assert!(config.http.max_connections > 0 && sandbox.cpu_time_limit_ms > 0);
            assert!(sandbox.execution_timeout_ms > config.sqlite.busy_timeout_ms);
            assert!(wasi.enabled || !(wasi.clocks || wasi.random));
            assert!(!config.authorization.admin_scope.is_empty() && !config.databases.is_empty());
            assert!(config.warnings.iter().all(|warning| !warning.contains(SECRET)));
        }
        Err(error) => {
            assert_eq!(error.file, file);
            assert!(!error.key.is_empty() && !error.reason.is_empty(), "{error:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(SECRET) && !shown.contains("hunter2"), "it holds a secret: {shown}");
        }
    }
});
