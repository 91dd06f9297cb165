//! The text of a configuration. It must be valid, or the error must name file, key and reason and contain no secret of
//! the text.

#![no_main]

use delete_learning::Access;
use delete_learning_server::config::Origin;
use delete_learning_server::{Config, Environment};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;

/// Replaces `@` in the values of `SECRET_KEYS`. It is longer than the longest name of a parameter that an error repeats.
const SECRET: &str = "hunter2-and-more-bytes-than-an-error-repeats";
/// The environment variable that has the secret if the text contains `# env`.
const VARIABLE: &str = "JWT_VERIFICATION_KEY";
const SECRET_KEYS: [&str; 4] = ["security_key", "verification_keys", "url", "headers"];

/// A directory with files that a configuration can name; in memory if the system supports that.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a directory");
    fs::write(directory.path().join("k"), SECRET).expect("a file can be written");
    let set = r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
    fs::write(directory.path().join("j"), set).expect("a file can be written");
    fs::write(directory.path().join("p"), delete_learning::DEFAULT_POLICY).expect("a file can be written");
    directory
});

/// Inserts the secret into the values of the keys for secrets.
fn insert_secret(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        if SECRET_KEYS.contains(&key) { line.replace('@', SECRET) } else { line.to_owned() }
    });
    lines.collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // The server reads the files that a configuration names. Files of the system can be endless.
    let is_outside = ["/dev", "/proc", "/sys", "\\"].iter().any(|directory| text.contains(directory));
    // The text must not contain the secret elsewhere.
    if is_outside || text.contains("hunter2") {
        return;
    }
    let file = DIRECTORY.path().join("c.toml");
    fs::write(&file, insert_secret(text)).expect("a file can be written");
    let variable = text.contains("# env").then_some((VARIABLE, SECRET));
    match Config::read(&file, &variable.into_iter().collect::<Environment>()) {
        Ok(config) => {
            let (sandbox, policy) = (&config.sandbox, &config.policy);
            assert!(config.http.max_connections > 0 && sandbox.cpu_time_limit_ms > 0);
            assert!(sandbox.execution_timeout_ms > config.sqlite.busy_timeout_ms);
            assert!(policy.component.is_some() || policy.access == Access::default());
            assert!(policy.guards.len() <= sandbox.max_guards as usize);
            assert!(!config.authorization.admin_scope.is_empty() && !config.databases.is_empty());
            // A URL is shown without its password, and the secret can be in its path, host or user.
            let mut keys = config.effective.iter().flat_map(|section| &section.keys).filter(|key| key.name != "url");
            assert!(keys.all(|key| !format!("{:?} {:?}", key.value, key.origins).contains(SECRET)));
            assert!(config.warnings.iter().all(|warning| !warning.contains(SECRET)));
        }
        Err(error) => {
            let is_named = match &error.origin {
                Origin::File { path, .. } => **path == *file,
                Origin::Variable(name) => name == VARIABLE,
                _ => false,
            };
            assert!(is_named, "{error:?}");
            assert!(!error.key.is_empty() && !error.reason.is_empty(), "{error:?}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains(SECRET) && !text.contains("hunter2"), "the error contains a secret: {text}");
        }
    }
});
