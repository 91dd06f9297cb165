//! `delete-learning demo` and `--help`.

use std::process::{Command, Output};

fn run(arguments: &[&str], temp_directory: Option<&std::path::Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.args(arguments);
    if let Some(directory) = temp_directory {
        command.env("TMPDIR", directory);
    }
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn demo_shows_every_documented_response_and_cleans_up() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let output = run(&["demo"], Some(directory.path()));
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    for status in ["204", "400", "401", "403", "404", "500"] {
        assert!(stdout.contains(&format!("  {status} ")), "{status} is not shown:\n{stdout}");
    }
    assert!(stdout.contains("18 of 18 answers are the documented ones"), "{stdout}");
    assert!(stdout.contains("7 of 7 answers are the documented ones"), "{stdout}");
    assert!(!stdout.contains("WRONG"), "{stdout}");
    for caller in ["nobody", "a forger", "alice, long ago", "alice, no scope", "no subject", "an admin"] {
        assert!(stdout.contains(&format!("\n{caller}  ")), "{caller} is not shown:\n{stdout}");
    }
    for guard in ["legal-hold", "retention"] {
        assert!(stdout.contains(&format!("deletion-denied by {guard}")), "{stdout}");
    }
    assert!(!stdout.contains("(no audit record)"), "{stdout}");
    let begins: Vec<_> = stdout.match_indices("A server on http://").map(|(index, _)| &stdout[..index]).collect();
    assert!(begins.len() == 2 && begins[0].is_empty() && begins[1].ends_with(".\n\n"), "acts are apart: {stdout}");
    assert_eq!(std::fs::read_dir(directory.path()).expect("the directory").count(), 0, "no file remains");
}

#[test]
fn help_describes_each_command() {
    let help = text(&run(&["--help"], None).stdout);
    assert!(help.contains("demo") && help.contains("serve") && help.contains("Start with"), "{help}");
    let help = text(&run(&["serve", "--help"], None).stdout);
    assert!(help.contains("--config <FILE>") && help.contains("[[databases]]"), "{help}");
    let help = text(&run(&["demo", "--help"], None).stdout);
    assert!(help.contains("leaves nothing"), "{help}");
    let output = run(&["serve"], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--config FILE"), "{}", text(&output.stderr));
}
