//! Builds the tests of a copy of the tree that contains all mutants.

use crate::instrument::{Rewritten, rewrite};
use crate::list::{Mutant, Status, list};
use crate::{Directory, read_json, write_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SANDBOX: &str = "host/sandbox/src/";

/// A test program.
#[derive(Clone, Deserialize, Serialize)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    pub package: PathBuf,
}

/// Lists the mutants, and builds until rustc accepts all that are left.
pub fn build(directory: &Directory) {
    let known = read_json(&directory.mutants()).unwrap_or_default();
    let mut mutants = list(&directory.root, known);
    println!("{} mutants", mutants.iter().filter(|mutant| mutant.status != Status::Gone).count());
    let sources = copy_tree(directory);
    loop {
        let rewritten = write_sources(directory, &sources, &mut mutants);
        let (programs, errors) = compile(directory);
        if errors.is_empty() {
            write_json(&directory.programs(), &programs);
            break;
        }
        let rejected = rejected(&errors, &rewritten);
        println!("rustc rejects {} mutants", rejected.len());
        for (number, status) in rejected {
            mutants[number].status = status;
        }
        write_json(&directory.mutants(), &mutants);
    }
    write_json(&directory.mutants(), &mutants);
    let mut counts = BTreeMap::<Status, usize>::new();
    for mutant in &mutants {
        *counts.entry(mutant.status).or_default() += 1;
    }
    println!("{counts:?}");
}

/// Copies the files that have no mutants, if they changed. Returns the other ones.
fn copy_tree(directory: &Directory) -> BTreeMap<String, String> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&directory.root);
    let files = String::from_utf8(command.output().expect("git").stdout).expect("paths");
    let mut sources = BTreeMap::new();
    for file in files.split_terminator('\0') {
        let (from, to) = (directory.root.join(file), directory.tree().join(file));
        if file.ends_with(".rs") && (file.starts_with(SANDBOX) || file.starts_with("host/server/src/")) {
            sources.insert(file.to_owned(), fs::read_to_string(&from).expect(file));
            fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        } else if let Ok(target) = fs::read_link(&from) {
            fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            let _ = fs::remove_file(&to);
            symlink(target, &to).expect(file);
        } else if from.is_file() && fs::read(&from).ok() != fs::read(&to).ok() {
            fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            fs::copy(&from, &to).expect(file);
        }
    }
    sources
}

/// Writes the files with their mutants, if they changed.
fn write_sources(
    directory: &Directory,
    sources: &BTreeMap<String, String>,
    mutants: &mut [Mutant],
) -> HashMap<String, Rewritten> {
    let count = mutants.len();
    let mut of_file = HashMap::<String, Vec<&mut Mutant>>::new();
    for mutant in mutants {
        if mutant.status != Status::Gone {
            of_file.entry(mutant.file().to_owned()).or_default().push(mutant);
        }
    }
    let mut files = HashMap::new();
    for (file, source) in sources {
        let path = if file.starts_with(SANDBOX) { "crate::mutants::is" } else { "::delete_learning::mutants::is" };
        files.insert(file.clone(), rewrite(source, path, of_file.entry(file.clone()).or_default()));
    }
    let library = files.get_mut(&format!("{SANDBOX}lib.rs")).expect("the library");
    library.text.push_str("\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod mutants;\n");
    let switch = format!("{}\nconst COUNT: usize = {count};\n", include_str!("switch.rs"));
    files.insert(format!("{SANDBOX}mutants.rs"), Rewritten { text: switch, parts: Vec::new() });
    for (file, rewritten) in &files {
        let path = directory.tree().join(file);
        if fs::read(&path).ok().as_deref() != Some(rewritten.text.as_bytes()) {
            fs::write(path, &rewritten.text).expect("a file");
        }
    }
    files
}

/// Where rustc reports an error: a file, a range of bytes, and the message.
type Error = (String, std::ops::Range<usize>, String);

fn compile(directory: &Directory) -> (Vec<Program>, Vec<Error>) {
    let mut command = Command::new("cargo");
    command.args(["test", "--no-run", "--lib", "--bins", "--test", "all", "--message-format", "json"]);
    command.current_dir(directory.tree()).env("CARGO_TARGET_DIR", directory.target()).stderr(Stdio::inherit());
    let output = command.output().expect("cargo");
    let (mut programs, mut errors) = (Vec::new(), HashSet::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        if message["reason"] == "compiler-artifact" && message["profile"]["test"] == true {
            let manifest = PathBuf::from(message["manifest_path"].as_str().unwrap_or_default());
            let package = manifest.parent().expect("a directory").to_owned();
            let Some(path) = message["executable"].as_str() else { continue };
            if package.starts_with(directory.tree().join("host")) {
                let name = message["target"]["name"].as_str().expect("a name").to_owned();
                programs.push(Program { name, path: path.into(), package });
            }
        }
        if message["message"]["level"] == "error" {
            let text = message["message"]["rendered"].as_str().unwrap_or_default();
            for span in message["message"]["spans"].as_array().into_iter().flatten() {
                let mut span = span;
                // The place of a macro's call, not of its definition.
                while span["expansion"]["span"].is_object() {
                    span = &span["expansion"]["span"];
                }
                if span["is_primary"] == true || span["label"].is_null() {
                    let byte = |name: &str| span[name].as_u64().expect("a number") as usize;
                    let range = byte("byte_start")..byte("byte_end");
                    errors.insert((span["file_name"].as_str().unwrap_or_default().to_owned(), range, text.to_owned()));
                }
            }
        }
    }
    assert!(output.status.success() || !errors.is_empty(), "cargo fails without an error of rustc");
    (programs, errors.into_iter().collect())
}

/// The mutants at the errors: unviable if the error is in one of them. If it is in the choice between some and the
/// original, rustc did not accept the choice.
fn rejected(errors: &[Error], files: &HashMap<String, Rewritten>) -> HashMap<usize, Status> {
    let mut rejected = HashMap::new();
    for (file, range, message) in errors {
        let parts = files.get(file).into_iter().flat_map(|rewritten| &rewritten.parts);
        let smallest = parts
            .filter(|(part, _)| part.start <= range.start && range.end <= part.end)
            .min_by_key(|(part, mutants)| (part.len(), mutants.len()));
        let Some((_, mutants)) = smallest else {
            println!("{file}: not in a mutant: {message}");
            continue;
        };
        let status = if mutants.len() == 1 { Status::Unviable } else { Status::Unswitchable };
        for mutant in mutants {
            rejected.entry(*mutant).or_insert(status);
        }
    }
    assert!(!rejected.is_empty(), "no error is in a mutant");
    rejected
}
