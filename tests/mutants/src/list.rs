//! The mutants that `cargo mutants` lists, with numbers that stay the same when lines move.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// A position as `cargo mutants` counts it: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Span {
    pub start: Position,
}

/// Why a mutant is not part of the build, or that it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Deserialize, Serialize)]
pub enum Status {
    /// It can be selected when a test runs.
    Switched,
    /// rustc rejects it.
    Unviable,
    /// It cannot be selected at run time, for example because it is in a constant. `cargo mutants` can run it.
    Unswitchable,
    /// The sources do not contain it any more.
    Gone,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Mutant {
    pub number: usize,
    /// The file and the change, without the position, and how many equal ones precede it.
    pub key: (String, String, usize),
    pub genre: String,
    pub span: Span,
    pub replacement: String,
    pub function: String,
    pub status: Status,
}

impl Mutant {
    pub fn file(&self) -> &str {
        &self.key.0
    }

    pub fn name(&self) -> String {
        let Position { line, column } = self.span.start;
        format!("{}:{line}:{column}: {}", self.key.0, self.key.1)
    }
}

#[derive(Deserialize)]
struct Function {
    function_name: String,
    return_type: String,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    file: String,
    function: Option<Function>,
    span: Span,
    replacement: String,
    genre: String,
}

/// Lists the mutants of the tree. Those in `known` keep their numbers.
pub fn list(root: &Path, known: Vec<Mutant>) -> Vec<Mutant> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "-p", "delete-learning", "-p", "delete-learning-server"]);
    let output = command.current_dir(root).output().expect("cargo-mutants is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Vec<Listed> = serde_json::from_slice(&output.stdout).expect("a list of mutants");
    let mut mutants: Vec<Mutant> = known;
    let numbers: HashMap<_, _> =
        mutants.iter().map(|mutant| (mutant.key.clone(), (mutant.number, mutant.status))).collect();
    for mutant in &mut mutants {
        mutant.status = Status::Gone;
    }
    let mut equal = HashMap::<_, usize>::new();
    for Listed { name, file, function, span, replacement, genre } in listed {
        let change = name.splitn(4, ':').nth(3).expect("a name with a position").trim().to_owned();
        let before = equal.entry((file.clone(), change.clone())).or_default();
        let key = (file, change, *before);
        *before += 1;
        let function = function.map(|function| format!("{} {}", function.function_name, function.return_type));
        let function = function.unwrap_or_default();
        let (number, status) = numbers.get(&key).copied().unwrap_or((mutants.len(), Status::Switched));
        // What rustc rejected once is not tried again.
        let status = if status == Status::Unviable { status } else { Status::Switched };
        let mutant = Mutant { number, key, genre, span, replacement, function, status };
        match mutants.get_mut(number) {
            Some(known) => *known = mutant,
            None => mutants.push(mutant),
        }
    }
    mutants
}
