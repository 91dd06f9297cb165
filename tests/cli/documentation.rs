//! Every code block of the documentation is run by a test, or this file states why not.

use crate::support::database::repository_path;
use crate::support::sandbox::sandbox;
use delete_learning::Limits;
use delete_learning_server::{Config, Environment};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The code blocks of a document in one language, and what runs them.
struct Blocks {
    document: &'static str,
    language: &'static str,
    runs: Runs,
}

enum Runs {
    /// This file reads the blocks, or has the same commands. It contains each of these texts.
    In(&'static str, &'static [&'static str]),
    /// A configuration of a guard in the directory of the document, which loads with it.
    Guard,
    /// A configuration.
    Configuration,
    /// It is not run, for this reason.
    Not(&'static str),
}

use Runs::{Configuration, Guard, In, Not};

const BLOCKS: &[Blocks] = &[
    blocks("ARCHITECTURE.md", "text", Not("a diagram")),
    blocks("CONTRIBUTING.md", "console", In(".ci/run", &["cargo run --quiet -p component-builder"])),
    blocks("README.md", "console", In(".ci/run", &["cargo test\n", "cargo run --quiet -p component-builder"])),
    blocks("README.md", "text", Not("the output of the demo, which tests/cli/demo.rs checks, and a diagram")),
    blocks("README.md", "sh", In("tests/cli/readme.rs", &["code_block(\"sh\")"])),
    blocks("README.md", "toml", In("tests/cli/readme.rs", &["code_block(\"toml\")"])),
    blocks("README.md", "rust", In("host/sandbox/src/lib.rs", &["../README.md"])),
    blocks(
        "guest/examples/README.md",
        "console",
        In("guest/examples/run", &["bench/build", "delete-learning-languages\" Python ../../target/python-guard.wasm"]),
    ),
    blocks("guest/examples/javascript/README.md", "console", In("guest/examples/run", &["readme javascript"])),
    blocks("guest/examples/javascript/README.md", "toml", Configuration),
    blocks("guest/examples/legal-hold/README.md", "toml", Guard),
    blocks("guest/examples/python/README.md", "console", In("guest/examples/run", &["readme python"])),
    blocks("guest/examples/python/README.md", "toml", Configuration),
    blocks("guest/examples/retention/README.md", "toml", Guard),
    blocks("host/browser/README.md", "sh", In("tests/hosts/run", &["host/browser && npm ci", "test.mjs --json"])),
    blocks("host/c/README.md", "sh", In("host/c/test", &["README.md", "block 1", "block 2"])),
    blocks("host/node/README.md", "sh", In("tests/hosts/run", &["host/node && npm ci", "conformance.mjs --json"])),
    blocks("host/node/README.md", "js", In("host/node/test.sh", &["README.md"])),
    blocks("host/python/README.md", "sh", In("host/python/test", &["README.md >\"$directory/quick-start.sh\""])),
    blocks("host/python/README.md", "python", In("host/python/tests/test_readme.py", &["README.md"])),
    blocks(
        "host/python/README.md",
        "text",
        In("host/python/tests/test_testkit.py", &["while another connection changed user_id", "Violated: "]),
    ),
    blocks("tests/mutants/README.md", "sh", Not("it takes hours")),
    blocks("host/server/AUDIT.md", "sh", In("tests/audit/commands.rs", &["AUDIT.md", "code_blocks"])),
    blocks("host/server/AUDIT.md", "toml", In("tests/audit/commands.rs", &["AUDIT.md", "code_blocks"])),
    blocks(
        "host/server/CONFIGURATION.md",
        "ini",
        In("tests/cli/configuration/documentation.rs", &["CONFIGURATION.md", "ini"]),
    ),
    blocks(
        "host/server/CONFIGURATION.md",
        "sh",
        In("tests/cli/configuration/documentation.rs", &["CONFIGURATION.md", "sh"]),
    ),
    blocks(
        "host/server/IDENTITY_PROVIDERS.md",
        "toml",
        In("tests/http/identity_providers.rs", &["IDENTITY_PROVIDERS.md"]),
    ),
    blocks("host/server/OBSERVABILITY.md", "toml", Configuration),
    blocks(
        "host/server/OBSERVABILITY.md",
        "yaml",
        In("tests/observability/prometheus.rs", &["OBSERVABILITY.md", "yaml"]),
    ),
    blocks(
        "host/server/PACKAGES.md",
        "sh",
        In("tests/packages/run", &["PACKAGES.md", "block sh 1", "example 2 ", "example 3 ", "example 4 "]),
    ),
    blocks("host/server/PACKAGES.md", "ini", Not("names an account and a directory of another program")),
    blocks("tests/bench/PROFILE.md", "console", Not("how the profile was made; it needs perf")),
    blocks("tests/bench/README.md", "console", Not("benchmarks; .ci/run counts what a request takes")),
    blocks("tests/conformance/README.md", "json", Not("the form of a case, which schema.json describes")),
    blocks("tests/fuzz/README.md", "console", In(".ci/run", &["tests/fuzz/run"])),
    blocks(
        "tests/storage/README.md",
        "console",
        Not("takes minutes in a release build; .ci/run runs a part of each test"),
    ),
    blocks("wit/DISTRIBUTION.md", "sh", In("tests/distribution/run", &["DISTRIBUTION.md"])),
    blocks("wit/DISTRIBUTION.md", "toml", In("tests/distribution/run", &["DISTRIBUTION.md"])),
    blocks("wit/EMBEDDING.md", "sh", In("tests/hosts/guide", &["EMBEDDING.md"])),
    blocks("wit/EMBEDDING.md", "sql", Not("the statements of a store, which the storage tests run")),
];

const fn blocks(document: &'static str, language: &'static str, runs: Runs) -> Blocks {
    Blocks { document, language, runs }
}

fn read(path: &str) -> String {
    fs::read_to_string(repository_path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of the repository, without symbolic links to them.
fn documents(directory: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        let kind = entry.file_type().expect("a type");
        let is_generated = ["target", "node_modules", "build", "venv"].contains(&name.as_str());
        if kind.is_dir() && !is_generated && !name.starts_with('.') {
            documents(&entry.path(), &format!("{prefix}{name}/"), found);
        } else if kind.is_file() && name.ends_with(".md") {
            found.push(format!("{prefix}{name}"));
        }
    }
}

/// The code blocks of a document: language and text.
pub fn code_blocks(document: &str) -> Vec<(String, String)> {
    let text = read(document);
    let mut parts = text.split("\n```");
    parts.next();
    let mut found = Vec::new();
    while let Some(block) = parts.next() {
        let (language, text) = block.split_once('\n').expect("a line with the language");
        found.push((language.to_owned(), text.to_owned()));
        parts.next();
    }
    found
}

#[test]
fn every_code_block_is_run_or_has_a_reason() {
    let mut all = Vec::new();
    documents(&repository_path(""), "", &mut all);
    assert!(all.len() > 20, "{all:?}");
    for document in &all {
        for (language, _) in code_blocks(document) {
            let is_listed = BLOCKS.iter().any(|blocks| blocks.document == document && blocks.language == language);
            assert!(is_listed, "{document}: add its blocks in {language:?} to tests/cli/documentation.rs");
        }
    }
    for Blocks { document, language, runs } in BLOCKS {
        let texts = code_blocks(document).into_iter().filter(|(found, _)| found == language).map(|(_, text)| text);
        let texts: Vec<String> = texts.collect();
        assert!(!texts.is_empty(), "{document} has no block in {language:?}");
        match runs {
            Not(reason) => assert!(!reason.is_empty()),
            In(file, texts) => {
                let file_text = read(file);
                for text in *texts {
                    assert!(file_text.contains(text), "{file} does not contain {text:?}");
                }
            }
            Guard => texts.iter().for_each(|text| assert_guard_loads(document, text)),
            Configuration => texts.iter().for_each(|text| assert_is_configuration(document, text)),
        }
    }
}

/// Reads the text as a configuration, with the sections that it lacks.
fn configuration(directory: &Path, text: &str) -> Result<Config, String> {
    let mut text = text.to_owned();
    for (section, minimal) in [
        ("[[databases]]", "\n[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\ncreate = true\n"),
        ("[auth]", "\n[auth]\nmode = \"none\"\n"),
    ] {
        if !text.contains(section) {
            text += minimal;
        }
    }
    let file = directory.join("delete-learning.toml");
    fs::write(&file, text).expect("the configuration");
    Config::read(&file, &Environment::default()).map_err(|error| error.to_string())
}

/// Asserts that the guard in the directory of the document loads with this configuration.
fn assert_guard_loads(document: &str, text: &str) {
    let directory = TempDir::new().expect("a directory");
    let config = configuration(directory.path(), text).unwrap_or_else(|error| panic!("{document}: {error}"));
    let guard = config.policy.guards.first().expect("a guard");
    let file = repository_path(document).with_file_name("component").join(guard.component.file_name().expect("a name"));
    let component = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let sandbox = sandbox(&Limits::default());
    let loaded = sandbox.load_guard(&guard.name, &component, &guard.access);
    assert!(loaded.is_ok(), "{document}: {:?}", loaded.err());
}

/// Asserts that the text is a configuration, or the grants of one.
fn assert_is_configuration(document: &str, text: &str) {
    let directory = TempDir::new().expect("a directory");
    let text = if text.starts_with("grants = ") {
        format!("[[guards]]\nname = \"a\"\ncomponent = \"a.wasm\"\n{text}")
    } else {
        text.to_owned()
    };
    let config = configuration(directory.path(), &text);
    assert!(config.is_ok(), "{document}: {:?}", config.err());
}
