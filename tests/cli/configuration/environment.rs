//! Keys from the environment.

use super::{MINIMAL, check, check_error, keys_of_example, keys_of_json, serve, variable};
use crate::support::guards::LEGAL_HOLD;
use crate::support::server::{Setup, server_command};
use delete_learning_server::audit::SigningKey;
use delete_learning_server::{Config, Environment};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use tempfile::TempDir;

/// The text of a value in a variable.
fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Table(table) => {
            let members = table.iter().map(|(name, value)| format!("{name} = {}", json(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        value => json(value).to_string(),
    }
}

fn json(value: &toml::Value) -> Value {
    serde_json::to_value(value).expect("JSON")
}

/// A directory with the audit key of the example file.
fn directory_with_audit_key() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let (key, _) = SigningKey::generate("example.com/deletions").expect("a key");
    fs::write(directory.path().join("audit.key"), key).expect("the key");
    directory
}

#[test]
fn each_key_can_be_set_by_its_variable() {
    let directory = directory_with_audit_key();
    let file = directory.path().join("server.toml");
    fs::write(&file, crate::cli::readme::example_with_every_key()).expect("the configuration");
    for (path, value) in keys_of_example() {
        let name = variable(&path);
        let environment: Environment = [(name.as_str(), text(&value))].into_iter().collect();
        let config = Config::read(&file, &environment).unwrap_or_else(|error| panic!("{path}: {error}"));
        let key = config.effective.iter().flat_map(|section| &section.keys).find(|key| key.path == path);
        let key = key.unwrap_or_else(|| panic!("{path} is not listed"));
        let origins: Vec<String> = key.origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, [format!("environment variable {name}")], "{path}");
    }
}

#[test]
fn file_can_be_left_out() {
    let directory = directory_with_audit_key();
    let keys = keys_of_example();
    let variables: Vec<(String, String)> = keys.iter().map(|(path, value)| (variable(path), text(value))).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let run = serve(directory.path(), None, &variables, &["--check", "--format", "json"]);
    // The components of the example do not exist.
    assert!(
        run.stderr.contains("environment variable DELETE_LEARNING_GUARDS__0__COMPONENT: guards[0].component"),
        "{}",
        run.stderr
    );
    let printed = keys_of_json(&run);
    for (path, value) in keys {
        let (_, shown, origins) = printed.iter().find(|(key, ..)| *key == path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(*origins, [format!("environment variable {}", variable(&path))]);
        let is_secret = shown.to_string().contains("***");
        let expected = json(&value);
        // One name can be written without brackets.
        let is_equal = *shown == expected || *shown == Value::Array(vec![expected.clone()]);
        assert!(is_secret || is_equal, "{path}: {shown} is not {expected}");
    }

    let none = serve(directory.path(), None, &[], &["--check"]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.stderr.contains("--config FILE") && none.stderr.contains("DELETE_LEARNING_DATABASES__0__URL"),
        "{}",
        none.stderr
    );
}

#[test]
fn elements_of_lists_are_set_by_index() {
    let two = "[[databases]]\nid = \"second\"\nurl = \"sqlite:second.db\"\n";
    let file = MINIMAL.replace("[auth]", &format!("{two}[auth]"));
    let variables = [
        ("DELETE_LEARNING_DATABASES__1__URL", "sqlite:other.db"),
        ("DELETE_LEARNING_DATABASES__2__ID", "third"),
        ("DELETE_LEARNING_DATABASES__2__URL", "sqlite:third.db"),
        ("DELETE_LEARNING_AUTH__JWT__AUDIENCE", " [ \"a\",\"b\" ] "),
        ("DELETE_LEARNING_AUTH__JWT__AUDIENCE__1", "c"),
        ("DELETE_LEARNING_AUTH__JWT__AUDIENCE__2", "d"),
        ("DELETE_LEARNING_SERVER__TRUSTED_PROXIES__0", "10.0.0.1"),
        ("DELETE_LEARNING_SERVER__CORS__ALLOWED_ORIGINS", "[]"),
    ];
    check(&file, &variables)
        .assert_valid()
        .assert_key("id = \"second\"", "server.toml:6")
        .assert_key("url = \"sqlite:other.db\"", "environment variable DELETE_LEARNING_DATABASES__1__URL")
        .assert_key("id = \"third\"", "environment variable DELETE_LEARNING_DATABASES__2__ID")
        .assert_key("allowed_origins = []", "environment variable DELETE_LEARNING_SERVER__CORS__ALLOWED_ORIGINS")
        .assert_key(
            "trusted_proxies = [\"10.0.0.1\"]",
            "environment variable DELETE_LEARNING_SERVER__TRUSTED_PROXIES__0",
        )
        .assert_key(
            "audience = [\"a\", \"c\", \"d\"]",
            "environment variable DELETE_LEARNING_AUTH__JWT__AUDIENCE, environment variable \
             DELETE_LEARNING_AUTH__JWT__AUDIENCE__1, environment variable DELETE_LEARNING_AUTH__JWT__AUDIENCE__2",
        );
    // The single text of the file becomes the first element.
    check(&format!("{MINIMAL}[auth.jwt]\naudience = \"a\"\n"), &[("DELETE_LEARNING_AUTH__JWT__AUDIENCE__1", "b")])
        .assert_valid()
        .assert_key(
            "audience = [\"a\", \"b\"]",
            "server.toml:8, environment variable DELETE_LEARNING_AUTH__JWT__AUDIENCE__1",
        );
    let error = check_error(MINIMAL, &[("DELETE_LEARNING_DATABASES__3__ID", "far")]);
    assert!(
        error.contains("DELETE_LEARNING_DATABASES__3__ID: databases[3].id") && error.contains("1 elements"),
        "{error}"
    );
}

#[test]
fn values_have_the_type_of_their_key() {
    let variables = [
        ("DELETE_LEARNING_AUTH__JWT__SCOPE_PREFIX", "true"),
        ("DELETE_LEARNING_AUTH__JWT__ISSUER", "5"),
        ("DELETE_LEARNING_AUTH__JWT__AUDIENCE", "7"),
        ("DELETE_LEARNING_AUTH__JWT__LEEWAY_SECONDS", "5"),
        ("DELETE_LEARNING_AUTHORIZATION__USER_ISOLATION", "false"),
        ("DELETE_LEARNING_POLICY__RELOAD", "watch"),
    ];
    let prefix = "environment variable DELETE_LEARNING_AUTH__JWT__";
    check(MINIMAL, &variables)
        .assert_valid()
        .assert_key("scope_prefix = \"true\"", &format!("{prefix}SCOPE_PREFIX"))
        .assert_key("issuer = \"5\"", &format!("{prefix}ISSUER"))
        .assert_key("audience = \"7\"", &format!("{prefix}AUDIENCE"))
        .assert_key("leeway_seconds = 5", &format!("{prefix}LEEWAY_SECONDS"));
    // A secret is never parsed.
    let secret = [("DELETE_LEARNING_AUTH__SECURITY_KEY", "[\"0123456789abcdef\"]")];
    check(&MINIMAL.replace("none", "security-key"), &secret).assert_valid();
    for (name, value, reason) in [
        ("SERVER__MAX_CONNECTIONS", "many", "server.max_connections: must be an integer"),
        ("SERVER__MAX_CONNECTIONS", "-1", "server.max_connections"),
        ("SERVER__MAX_CONNECTIONS", "0", "server.max_connections: must be at least 1"),
        ("TRACES__SAMPLE_RATIO", "half", "traces.sample_ratio: must be a number"),
        ("AUTHORIZATION__USER_ISOLATION", "yes", "authorization.user_isolation: must be true or false"),
        ("SERVER__LISTEN", "everywhere", "server.listen"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1", "server.trusted_proxies: must be an array"),
        ("AUTH__JWT__AUDIENCE", "[1", "auth.jwt.audience: must be an array"),
        ("AUTH__MODE", "", "auth.mode: must be one of"),
        ("POLICY__SETTINGS", "x", "policy.settings: must be a table"),
        ("AUTH__JWT__ALGORITHM", "HS265", "auth.jwt.algorithm: must be one of"),
    ] {
        let name = format!("DELETE_LEARNING_{name}");
        let auth = if name.ends_with("ALGORITHM") { "jwt" } else { "none" };
        let file = MINIMAL.replace("none", auth);
        let error = check_error(&file, &[(&name, value)]);
        assert!(error.contains(&format!("environment variable {name}: {reason}")), "{error}");
    }
    let error = check_error(&MINIMAL.replace("none", "security-key"), &[("OS_SECURITY_KEY", "a\tb")]);
    assert!(error.contains("environment variable OS_SECURITY_KEY: auth.security_key: must"), "{error}");
    let mut command = server_command();
    let value = OsString::from_vec(vec![b'a', 0xff]);
    let output =
        command.args(["serve", "--check"]).env("DELETE_LEARNING_LOG__FILTER", value).output().expect("it runs");
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains("DELETE_LEARNING_LOG__FILTER: log.filter: is not UTF-8"), "{error}");
}

#[test]
fn settings_are_set_one_by_one_or_together() {
    let file = format!(
        "{MINIMAL}[[guards]]\nname = \"a\"\ncomponent = \"a.wasm\"\nsettings = {{ region = \"eu\", days = 3 }}\n"
    );
    let key = |variables: &[(&str, &str)]| {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("a.wasm"), LEGAL_HOLD).expect("the guard");
        let run = serve(directory.path(), Some(&file), variables, &["--check", "--format", "json"]);
        keys_of_json(run.assert_valid()).into_iter().find(|(path, ..)| path == "guards[0].settings").expect("the key").1
    };
    let one = key(&[
        ("DELETE_LEARNING_GUARDS__0__SETTINGS__REGION", "us"),
        ("DELETE_LEARNING_GUARDS__0__SETTINGS__A__B", "x"),
    ]);
    assert_eq!(one, serde_json::json!({ "region": "us", "days": 3, "a": { "b": "x" } }));
    let all = key(&[("DELETE_LEARNING_GUARDS__0__SETTINGS", "{ held_users = [\"alice\"] }")]);
    assert_eq!(all, serde_json::json!({ "held_users": ["alice"] }));
}

#[test]
fn unknown_variable_is_refused_with_the_nearest_one() {
    for (name, nearest) in [
        ("SERVER__LISTN", "SERVER__LISTEN"),
        ("SERVER_LISTEN", "SERVER__LISTEN"),
        ("LISTEN", "SERVER__LISTEN"),
        ("SERVER", "SERVER__LISTEN"),
        ("SERVER__MAX_CONECTIONS", "SERVER__MAX_CONNECTIONS"),
        ("DATABASES__1__ULR", "DATABASES__1__URL"),
        ("DATABASE__0__URL", "DATABASES__0__URL"),
        ("DATABASES__URL", "DATABASES__0__URL"),
        ("DATABASES__0", "DATABASES__0__ID"),
        ("DATABASES__00__URL", "DATABASES__0__URL"),
        ("AUTH__SECURITY_KEYS", "AUTH__SECURITY_KEY"),
        ("SERVER__LISTEN__0", "SERVER__LISTEN"),
    ] {
        let error = check_error(MINIMAL, &[(&format!("DELETE_LEARNING_{name}"), "hunter2")]);
        assert!(error.contains(&format!("environment variable DELETE_LEARNING_{name}: ")), "{error}");
        assert!(error.contains("unknown key") && !error.contains("hunter2"), "{error}");
        let hint = format!("did you mean DELETE_LEARNING_{nearest}?");
        assert!(error.contains(&hint), "{name}: {error}");
    }
    let error = check_error(MINIMAL, &[("DELETE_LEARNING_SOMETHING_ELSE", "1")]);
    assert!(error.contains("unknown key; `delete-learning example-config`"), "{error}");
    // Kubernetes sets these for a Service with the name `delete-learning`.
    check(MINIMAL, &[("DELETE_LEARNING_PORT", "tcp://10.0.0.1:7777"), ("DELETE_LEARNING_SERVICE_HOST", "10.0.0.1")])
        .assert_valid();
}

#[test]
fn reload_reads_the_environment_again() {
    let directory = TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    fs::write(directory.path().join("guard.wasm"), LEGAL_HOLD).expect("the guard");
    let environment = vec![
        ("DELETE_LEARNING_GUARDS__0__NAME", "held".to_owned()),
        ("DELETE_LEARNING_GUARDS__0__COMPONENT", "guard.wasm".to_owned()),
        ("DELETE_LEARNING_GUARDS__0__SETTINGS", "{ held_users = [\"alice\"] }".to_owned()),
    ];
    let server = Setup { environment, ..Setup::jwt() }.start_in(directory);
    let token = crate::support::token::user("alice");
    assert_eq!(server.delete("/learnings/decision_1", Some(&token)).status, 403);
    let file = server.directory.path().join("delete-learning.toml");
    let text =
        fs::read_to_string(&file).expect("the configuration").replace("[log]", "[policy]\nreload = \"watch\"\n[log]");
    fs::write(&file, text).expect("the configuration");
    server.signal("HUP");
    let reloaded = server.wait_for_log(&["reloaded the policy"]);
    assert!(reloaded["guards_sha256"].as_str().is_some_and(|guards| guards.starts_with("held=")), "{reloaded}");
    assert_eq!(server.delete("/learnings/decision_1", Some(&token)).status, 403);
}
