//! Completions, manual pages, and `health`.

use crate::support::optional::has_tools;
use crate::support::server::Setup;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

fn delete_learning(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    // A proxy that does not exist.
    command.env("http_proxy", "http://127.0.0.1:9").args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn bash_completes_commands_and_options() {
    if !has_tools(&["bash"], "completions of bash") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let script = directory.path().join("delete-learning");
    fs::write(&script, delete_learning(&["completions", "bash"]).stdout).expect("the completions");
    let complete = |words: &str, last: &str| {
        let script = format!(
            "source {}; COMP_WORDS=(delete-learning {words} '{last}'); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             function=$(complete -p delete-learning | sed 's/.*-F \\([^ ]*\\).*/\\1/')
             $function delete-learning '{last}' x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("audit", "v"), ["verify", "verify-receipt"]);
    assert_eq!(complete("", "ser"), ["serve"]);
    assert_eq!(complete("serve", "--con"), ["--config"]);
}

#[test]
fn completions_of_other_shells_are_accepted_by_them() {
    for (shell, arguments) in [("zsh", ["-n"]), ("fish", ["--no-execute"])] {
        if !has_tools(&[shell], "completions") {
            continue;
        }
        let directory = TempDir::new().expect("a directory");
        let script = directory.path().join("completions");
        fs::write(&script, delete_learning(&["completions", shell]).stdout).expect("the completions");
        let output = Command::new(shell).args(arguments).arg(&script).output().expect("the shell runs");
        assert!(output.status.success(), "{shell}: {output:?}");
    }
}

#[test]
fn manual_has_a_page_for_every_command_without_warnings() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().display().to_string();
    let output = delete_learning(&["manual", "--date", "2026-11-26", &path]);
    assert!(output.status.success(), "{output:?}");
    let read =
        |name: &str| fs::read_to_string(directory.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("delete-learning.1").contains("2026-11-26"));
    assert!(read("delete-learning-audit-verify.1").contains("Proves that nothing in a log was changed"));
    assert!(read("delete-learning-serve.1").contains("algorithm = \"HS256\""), "the example configuration");
    let pages: Vec<_> =
        fs::read_dir(directory.path()).expect("a directory").map(|entry| entry.expect("a page").path()).collect();
    assert!(pages.len() >= 13, "{pages:?}");
    assert!(pages.iter().all(|page| !page.to_string_lossy().contains("manual")), "the command is hidden");
    if has_tools(&["mandoc"], "the check of the manual pages") {
        let output =
            Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(&pages).output().expect("mandoc runs");
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
}

#[test]
fn health_exits_by_the_answer_of_the_server() {
    let server = Setup::jwt().start();
    let url = format!("http://{}/health", server.address);
    let output = delete_learning(&["health", "--url", &url]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("\"status\":\"ok\""), "{output:?}");

    let output = delete_learning(&["health", "--url", &format!("http://{}/absent", server.address)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/absent: the server answers 404"), "{output:?}");

    drop(server);
    let output = delete_learning(&["health", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&url), "{output:?}");
}
