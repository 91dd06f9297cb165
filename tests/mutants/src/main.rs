//! Tests the mutants that `cargo mutants` lists for the sandbox and the server, in one build that contains all of them.
//!
//! ```text
//! mutants build             rewrites a copy of the tree and builds it, without the mutants that rustc rejects
//! mutants reach [FILTER…]   runs each test alone once, and records which mutants it reaches
//! mutants run [FILTER…]     runs each mutant that is not caught with the tests that reach it
//! mutants survivors         prints the mutants that no test caught
//! ```
//!
//! A filter of `reach` is a part of the name of a test, and repeats tests that have run; one of `run` is a part of the name
//! of a mutant. `run --again` also repeats tests that did not catch a mutant before, and `--seconds=N` is how long the tests of
//! a mutant may take (default 120). The current directory is the root of the tree. Everything is in `target/mutants-build` and continues after an interruption.

mod build;
mod instrument;
mod list;
mod run;
mod test;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the tool reads and writes.
pub struct Directory {
    pub root: PathBuf,
    pub state: PathBuf,
}

impl Directory {
    fn tree(&self) -> PathBuf {
        self.state.join("tree")
    }

    fn target(&self) -> PathBuf {
        self.state.join("target")
    }

    fn mutants(&self) -> PathBuf {
        self.state.join("mutants.json")
    }

    fn programs(&self) -> PathBuf {
        self.state.join("programs.json")
    }

    fn tests(&self) -> PathBuf {
        self.state.join("tests.jsonl")
    }

    fn results(&self) -> PathBuf {
        self.state.join("results.jsonl")
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = fs::read(path).ok()?;
    Some(serde_json::from_slice(&text).expect("a file that this program wrote"))
}

fn write_json(path: &Path, value: &impl Serialize) {
    fs::write(path, serde_json::to_vec(value).expect("JSON")).expect("a file");
}

fn main() {
    let root = std::env::current_dir().expect("the root of the tree");
    let state = root.join("target/mutants-build");
    fs::create_dir_all(state.join("tree")).expect("a directory");
    let directory = Directory { root, state };
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    match command.as_str() {
        "build" => build::build(&directory),
        "reach" => run::reach(&directory, &arguments),
        "run" => run::run(&directory, &arguments),
        "survivors" => run::survivors(&directory),
        _ => eprintln!("mutants build | reach [FILTER…] | run [--again] [FILTER…] | survivors"),
    }
}
