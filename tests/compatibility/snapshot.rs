//! The contract is the one that was recorded for its version.

use super::contract::{Contract, without_comments};
use crate::support::database::repository_path;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Returns the text of the package in `wit/`, without comments.
fn current_text() -> String {
    let files = fs::read_dir(repository_path("wit")).expect("the contract");
    let mut files: Vec<_> = files.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "wit"));
    files.sort();
    let mut whole = String::new();
    for file in files {
        let text = without_comments(&fs::read_to_string(&file).expect("a file of the contract"));
        let (package, items) = text.split_once('\n').expect("the name of the package");
        if whole.is_empty() {
            whole = format!("{package}\n");
        }
        assert!(whole.starts_with(&format!("{package}\n")), "{} is of another package: {package}", file.display());
        write!(whole, "\n{items}").expect("a string can be written to");
    }
    whole
}

#[test]
fn contract_is_unchanged_since_its_version() {
    let text = current_text();
    let current = Contract::parse(&text);
    let (_, version) = current.package.split_once('@').expect("the package has a version");
    let snapshot = format!("tests/compatibility/{version}/contract.wit");
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract.wit");
    fs::write(&written, &text).expect("a file can be written");
    let replace = format!("  cp {} {snapshot}", written.display());

    let Ok(recorded) = fs::read_to_string(repository_path(&snapshot)) else {
        panic!(
            "version {version} of the contract has no snapshot. Record it, and a component that was built against it:\n  \
             mkdir -p tests/compatibility/{version}\n{replace}\n  \
             cp guest/policy/component/delete-learning.wasm tests/compatibility/{version}/policy.wasm"
        );
    };
    let changes = Contract::parse(&recorded).changes(&current);
    assert!(
        changes.breaking.is_empty(),
        "the contract changed, and its version is still {version}:\n  {}\n\
         If {version} was released, undo this, or change the version in every file of wit/ (see \"Versions\" in \
         wit/README.md) and keep the snapshot.\n\
         If it was not released, replace its snapshot:\n{replace}",
        changes.breaking.join("\n  ")
    );
    assert!(
        changes.additions.is_empty(),
        "the contract has parts that its snapshot does not have:\n  {}\n\
         This is not a breaking change. Record them, so that later changes of them are found:\n{replace}",
        changes.additions.join("\n  ")
    );
}

/// The snapshot that the tests below change.
const CONTRACT: &str = include_str!("0.1.0/contract.wit");

/// Returns the changes after a replacement in the snapshot.
fn changes_after(old: &str, new: &str) -> super::contract::Changes {
    assert_eq!(CONTRACT.matches(old).count(), 1, "{old:?} must be in the snapshot once");
    Contract::parse(CONTRACT).changes(&Contract::parse(&CONTRACT.replace(old, new)))
}

#[test]
fn every_kind_of_breaking_change_is_found() {
    for (kind, old, new) in [
        ("an added case", "        absent,\n", "        absent,\n        archived,\n"),
        ("a removed case", "        owned-by-another,\n", ""),
        ("a renamed case", "        wrong-audience,\n", "        other-audience,\n"),
        ("another order of cases", "        absent,\n        unowned,\n", "        unowned,\n        absent,\n"),
        ("an added field", "        code: error-code,\n", "        code: error-code,\n        link: option<string>,\n"),
        ("a removed field", "        admin-scope: string,\n", ""),
        ("another type of a field", "status: u16", "status: u32"),
        ("an added parameter", "locate: func()", "locate: func(table: string)"),
        ("another result", "find: func() -> result<lookup, storage-error>", "find: func() -> lookup"),
        ("an asynchronous function", "current: func()", "current: async func()"),
        ("an added function", "    locate: func", "    count: func() -> u32;\n    locate: func"),
        ("a removed function", "    delete: func() -> result<outcome, storage-error>;\n", ""),
        ("an added type", "    enum outcome {", "    type id = string;\n    enum outcome {"),
        ("a removed type", "    record lookup {\n        learning: option<learning>,\n    }\n", ""),
        ("a renamed interface", "interface identity {", "interface caller {"),
        ("an added import", "    export delete-learning:", "    import types;\n    export delete-learning:"),
        ("a removed import", "world guard {\n    import identity;\n", "world guard {\n"),
        ("a removed export", "    export storage;\n", ""),
    ] {
        let changes = changes_after(old, new);
        assert!(!changes.breaking.is_empty(), "{kind} was not found: {changes:?}");
    }
}

#[test]
fn breaking_change_is_reported_with_old_and_new_text() {
    let changes = changes_after("status: u16", "status: u32");
    assert_eq!(
        changes.breaking,
        [
            "- interface types: record rejection{status:u16,code:error-code,detail:string,rule:string}",
            "+ interface types: record rejection{status:u32,code:error-code,detail:string,rule:string}",
        ]
    );
}

#[test]
fn documentation_and_layout_are_not_changes() {
    for (old, new) in [
        ("        absent,\n", "        /// The record does not exist; see `find` {\n        absent,\n"),
        ("interface storage {", "/// The one record.\n// A note.\ninterface storage\n{"),
        ("        rule: string,\n    }", "        rule: string\n    }"),
        ("use types.{request, rejection};", "use types.{ request,rejection };"),
    ] {
        let changes = changes_after(old, new);
        assert!(changes.breaking.is_empty() && changes.additions.is_empty(), "{new}: {changes:?}");
    }
}

#[test]
fn added_world_is_an_addition() {
    let changes = changes_after("world guard {", "world audit {\n    import identity;\n}\nworld guard {");
    assert!(changes.breaking.is_empty(), "{changes:?}");
    assert_eq!(changes.additions, ["+ world audit"]);
}
