//! The configuration: the file, the environment, `serve --check`, and the errors.

mod check;
mod documentation;
mod environment;
mod invalid;
mod secrets;
mod start_errors;
mod suggestions;

use crate::support::server::server_command;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A configuration that is valid in every directory.
const MINIMAL: &str = "server.listen = \"127.0.0.1:0\"\n[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\n[auth]\nmode = \"none\"\n";

/// The result of `delete-learning serve`.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `delete-learning serve` in a directory until it ends.
fn serve(directory: &Path, file: Option<&str>, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = server_command();
    command.arg("serve").args(arguments).current_dir(directory).envs(variables.iter().copied());
    if let Some(text) = file {
        fs::write(directory.join("server.toml"), text).expect("the configuration can be written");
        command.args(["--config", "server.toml"]);
    }
    let output = command.output().expect("the binary runs");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    Run { code: output.status.code(), stdout, stderr }
}

/// Returns the output of `serve --check` for a configuration.
fn check(file: &str, variables: &[(&str, &str)]) -> Run {
    let directory = TempDir::new().expect("a directory");
    serve(directory.path(), Some(file), variables, &["--check"])
}

/// Asserts that the configuration is refused, and returns the error.
fn check_error(file: &str, variables: &[(&str, &str)]) -> String {
    let run = check(file, variables);
    assert_eq!(run.code, Some(1), "{file}\n{variables:?}\n{}", run.stderr);
    run.stderr
}

impl Run {
    /// Asserts that the configuration is valid.
    fn assert_valid(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that the line of a key in the output of `--check` has this value and this origin.
    fn assert_key(&self, line: &str, origin: &str) -> &Self {
        let found = self.stdout.lines().filter_map(|line| line.split_once(" # "));
        let found = found.map(|(line, origin)| (line.trim_end(), origin.trim()));
        assert!(found.clone().any(|found| found == (line, origin)), "{line} # {origin}\n{}", self.stdout);
        self
    }
}

/// The paths of the keys in a TOML table. Tables with free names count as one key.
fn key_paths(value: &toml::Value, path: &str, paths: &mut Vec<(String, toml::Value)>) {
    match value {
        toml::Value::Table(table) if !path.ends_with("settings") => {
            for (key, value) in table {
                key_paths(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, paths);
            }
        }
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            for (index, value) in values.iter().enumerate() {
                key_paths(value, &format!("{path}[{index}]"), paths);
            }
        }
        value => paths.push((path.to_owned(), value.clone())),
    }
}

/// Every key of the example file with its value there.
fn keys_of_example() -> Vec<(String, toml::Value)> {
    let table: toml::Table = super::readme::example_with_every_key().parse().expect("TOML");
    let mut paths = Vec::new();
    key_paths(&toml::Value::Table(table), "", &mut paths);
    assert!(paths.len() > 70, "{paths:?}");
    paths
}

/// The variable of a key.
fn variable(path: &str) -> String {
    let path = path.replace(']', "").replace(['.', '['], "__");
    format!("DELETE_LEARNING_{}", path.to_ascii_uppercase())
}

/// The keys of `serve --check --format json`: path, value, origins.
fn keys_of_json(run: &Run) -> Vec<(String, Value, Vec<String>)> {
    let keys: Vec<Value> = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout));
    let keys = keys.into_iter().map(|mut key| {
        let origins = serde_json::from_value(key["origins"].take()).expect("texts");
        (key["key"].as_str().expect("a path").to_owned(), key["value"].take(), origins)
    });
    keys.collect()
}
