//! `delete-learning demo` and `--help`.

use std::process::{Command, Output};

fn run(arguments: &[&str], temporary: Option<&std::path::Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.args(arguments);
    if let Some(folder) = temporary {
        command.env("TMPDIR", folder);
    }
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn the_demonstration_shows_every_documented_answer_and_leaves_nothing_behind() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let output = run(&["demo"], Some(folder.path()));
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}{}", text(&output.stderr));
    for status in ["204", "400", "401", "403", "404", "500"] {
        assert!(shown.contains(&format!("  {status} ")), "{status} is shown:\n{shown}");
    }
    assert!(shown.contains("18 of 18 answers are the documented ones"), "{shown}");
    assert!(!shown.contains("(no audit record)"), "{shown}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left");
}

#[test]
fn help_teaches_both_commands() {
    let help = text(&run(&["--help"], None).stdout);
    assert!(help.contains("demo") && help.contains("serve") && help.contains("Start with"), "{help}");
    let help = text(&run(&["serve", "--help"], None).stdout);
    assert!(help.contains("--config <FILE>") && help.contains("[[databases]]"), "{help}");
    let help = text(&run(&["demo", "--help"], None).stdout);
    assert!(help.contains("leaves nothing"), "{help}");
    let output = run(&["serve"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--config"), "{}", text(&output.stderr));
}
