//! Secrets are read from files, and shown nowhere.

use super::{MINIMAL, check, check_error, serve};
use crate::support::database::AgnoDatabase;
use crate::support::server::Setup;
use crate::support::token::user;
use std::fs;
use tempfile::TempDir;

/// In no output. It is long enough for every algorithm.
const MARKER: &str = "hunter2-0123456789-0123456789-0123456789-0123456789-0123456789-012345";

#[test]
fn no_secret_is_printed_or_in_an_error() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("secret"), MARKER).expect("the secret");
    fs::write(directory.path().join("url"), format!("postgresql://u:{MARKER}@db.example/d")).expect("the URL");
    let database = |lines: &str| format!("[[databases]]\nid = \"a\"\n{lines}\n[auth]\nmode = \"none\"\n");
    let jwt = |lines: &str| format!("{}[auth.jwt]\nalgorithm = \"HS256\"\n{lines}\n", MINIMAL.replace("none", "jwt"));
    let key = |lines: &str| format!("{}{lines}\n", MINIMAL.replace("none", "security-key"));
    fs::write(directory.path().join("headers"), format!("authorization=Bearer {MARKER}\n")).expect("the headers");
    let traces = |lines: &str| format!("{MINIMAL}[traces]\nendpoint = \"http://127.0.0.1:1\"\n{lines}\n");
    let broken = |file: String| [file.clone(), format!("server.listn = 1\n{file}"), format!("{file}log.filter = 1\n")];
    for (file, shown) in [
        (
            database(&format!("url = \"postgresql://u:{MARKER}@db.example:6000/d\"")),
            "postgresql://u:***@db.example:6000/d",
        ),
        (
            database(&format!("url = \"postgresql+psycopg://u@h/d?password={MARKER}&sslmode=require\"")),
            "postgresql+psycopg://u@h/d?password=***&sslmode=require",
        ),
        (database(&format!("url = \"postgresql+psycopg://u:a/{MARKER}@h/d\"")), "postgresql+psycopg://u:***@h/d"),
        (database(&format!("url = \"postgresql://u:a@b/{MARKER}@h/d\"")), "\"***\""),
        (database("url_file = \"url\""), "postgresql://u:***@db.example/d"),
        (database("url = \"postgresql://u@h/d\"\npassword_file = \"secret\""), "password_file = \"secret\""),
        (jwt(&format!("verification_keys = \"{MARKER}\"")), "verification_keys = [\"***\"]"),
        (jwt(&format!("verification_keys = [\"{MARKER}\", \"{MARKER}\"]")), "verification_keys = [\"***\", \"***\"]"),
        (jwt("verification_key_files = [\"secret\"]"), "verification_key_files = [\"secret\"]"),
        (
            jwt(&format!("jwks_url = \"https://issuer.example/keys?token={MARKER}\"")),
            "jwks_url = \"https://issuer.example/keys?***\"",
        ),
        (key(&format!("security_key = \"{MARKER}\"")), "security_key = \"***\""),
        (key("security_key_file = \"secret\""), "security_key_file = \"secret\""),
        (traces(&format!("headers = \"authorization=Bearer {MARKER}\"")), "headers = \"***\""),
        (traces("headers_file = \"headers\""), "headers_file = \"headers\""),
    ] {
        for (index, file) in broken(file).into_iter().enumerate() {
            // The format is that of a valid configuration.
            for format in if index == 0 { &["toml", "json"][..] } else { &["toml"] } {
                let run = serve(directory.path(), Some(&file), &[], &["--check", "--format", format]);
                let all = format!("{}{}", run.stdout, run.stderr);
                assert!(!all.contains("hunter2"), "{file}\n{all}");
                assert_eq!(run.code, Some(i32::from(index > 0)), "{file}\n{all}");
                assert!(index > 0 || *format == "json" || run.stdout.contains(shown), "{shown}: {}", run.stdout);
            }
        }
    }
}

#[test]
fn no_secret_of_a_variable_is_printed_or_in_an_error() {
    let url = format!("postgresql://u:{MARKER}@h/d");
    let jwt = MINIMAL.replace("none", "jwt") + "[auth.jwt]\nalgorithm = \"HS256\"\n";
    let key = MINIMAL.replace("none", "security-key");
    let array = format!("[\"{MARKER}\"]");
    for (file, name, value) in [
        (MINIMAL, "DELETE_LEARNING_DATABASES__0__URL", url.as_str()),
        (&jwt, "DELETE_LEARNING_AUTH__JWT__VERIFICATION_KEYS", MARKER),
        (&jwt, "DELETE_LEARNING_AUTH__JWT__VERIFICATION_KEYS", &array),
        (&jwt, "DELETE_LEARNING_AUTH__JWT__VERIFICATION_KEYS__0", MARKER),
        (&jwt, "JWT_VERIFICATION_KEY", MARKER),
        (&key, "DELETE_LEARNING_AUTH__SECURITY_KEY", MARKER),
        (&key, "OS_SECURITY_KEY", MARKER),
    ] {
        let run = check(file, &[(name, value)]);
        run.assert_valid();
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(&format!("environment variable {name}")), "{}", run.stdout);
        let with_typo = format!("{name}X");
        if name.starts_with("DELETE") {
            assert!(!check_error(file, &[(&with_typo, value)]).contains("hunter2"));
        }
        assert!(!check_error(&format!("{file}x = 1\n"), &[(name, value)]).contains("hunter2"));
        let broken = format!("[{value}");
        let run = check(file, &[(name, &broken)]);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"), "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn secret_that_is_given_twice_is_refused_with_both_places() {
    let directory = TempDir::new().expect("a directory");
    let jwt = MINIMAL.replace("none", "jwt") + "[auth.jwt]\n";
    let key = MINIMAL.replace("none", "security-key");
    for (file, name, parts) in [
        (
            key + "security_key = \"a\"\n",
            "AUTH__SECURITY_KEY_FILE",
            "auth.security_key (line 7): is set twice: auth.security_key_file",
        ),
        (
            MINIMAL.to_owned(),
            "DATABASES__0__URL_FILE",
            "databases[0].url (line 4): is set twice: databases[0].url_file",
        ),
        (
            jwt + "jwks_url = \"https://a.example\"\n",
            "AUTH__JWT__JWKS_URL_FILE",
            "auth.jwt.jwks_url (line 8): is set twice: auth.jwt.jwks_url_file",
        ),
    ] {
        let name = format!("DELETE_LEARNING_{name}");
        let run = serve(directory.path(), Some(&file), &[(&name, "secret")], &["--check"]);
        let expected = format!("{parts} is set too (environment variable {name})");
        assert!(run.code == Some(1) && run.stderr.contains(&expected), "{expected}: {}", run.stderr);
    }
}

#[test]
fn secret_files_of_systemd_credentials_are_used() {
    let (directory, credentials) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    AgnoDatabase::copy_to(directory.path(), "main.db");
    fs::write(credentials.path().join("url"), "sqlite:main.db\n").expect("the URL");
    fs::write(credentials.path().join("key"), format!("{}\n", crate::support::token::SECRET)).expect("the key");
    // As `Environment=DELETE_LEARNING_DATABASES__0__URL_FILE=%d/url` of a unit.
    let file = |name: &str| credentials.path().join(name).display().to_string();
    let environment = vec![
        ("DELETE_LEARNING_DATABASES__0__ID", "main".to_owned()),
        ("DELETE_LEARNING_DATABASES__0__URL_FILE", file("url")),
        ("DELETE_LEARNING_AUTH__JWT__VERIFICATION_KEY_FILES__0", file("key")),
    ];
    let auth = "mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\n";
    let server = Setup { environment, databases: vec![], ..Setup::with_auth(auth) }.start_in(directory);
    server.delete("/learnings/decision_1", Some(&user("alice"))).assert_deleted();
}

#[test]
fn unusable_secret_file_is_reported_with_key_and_path() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("url"), "mysql://u:hunter2@h").expect("the URL");
    let database = |file: &str| format!("[[databases]]\nid = \"a\"\nurl_file = \"{file}\"\n[auth]\nmode = \"none\"\n");
    for (file, parts) in [
        (database("none"), ["databases[0].url_file (line 3)", "none cannot be read"]),
        (database("url"), ["databases[0].url_file (line 3)", "must begin with sqlite: or postgres://"]),
        (MINIMAL.replace("url = \"sqlite:main.db\"\n", ""), ["databases[0].url (line 2)", "set it or url_file"]),
    ] {
        let run = serve(directory.path(), Some(&file), &[], &["--check"]);
        assert!(run.code == Some(1) && !run.stderr.contains("hunter2"), "{}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        }
    }
}

#[test]
fn database_of_a_secret_file_that_cannot_be_opened_is_reported_with_the_key_of_the_file() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("main.db"), "not a database".repeat(100)).expect("a file");
    fs::write(directory.path().join("url"), "sqlite:main.db").expect("the URL");
    let run = serve(
        directory.path(),
        Some("[[databases]]\nid = \"a\"\nurl_file = \"url\"\n[auth]\nmode = \"none\"\n"),
        &[],
        &[],
    );
    assert!(run.code == Some(1) && run.stderr.contains("databases[0].url_file (line 3)"), "{}", run.stderr);
    assert!(run.stderr.contains("database \"a\" (sqlite)"), "{}", run.stderr);
}
