//! Components that were built against a version of the contract still run.

use crate::support::database::repository_path;
use crate::support::sandbox::sandbox;
use delete_learning::conformance::{Group, cases, compare, run};
use delete_learning::{Access, DEFAULT_POLICY, Limits, Policy};
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the entries of a directory, sorted.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

#[test]
fn components_of_every_version_decide_as_before() {
    let versions = entries(&repository_path("tests/compatibility"));
    let versions: Vec<_> = versions.iter().filter(|path| path.is_dir()).collect();
    assert!(!versions.is_empty());
    for version in versions {
        let (mut policies, mut guards) = (0, 0);
        for file in entries(version) {
            match file.file_name().and_then(|name| name.to_str()) {
                Some("contract.wit") => {}
                Some("policy.wasm") => {
                    assert_decides_as_before(&file);
                    policies += 1;
                }
                Some("guard.wasm") => {
                    assert_guard_retains_nothing_else(&file);
                    guards += 1;
                }
                _ => panic!("no test runs {}", file.display()),
            }
        }
        assert_eq!((policies, guards), (1, 1), "{} lacks a policy.wasm or a guard.wasm", version.display());
    }
}

/// Asserts that a guard can be loaded, and that the default policy behind it deletes and retains the same records in every
/// conformance case: none of them is held.
fn assert_guard_retains_nothing_else(file: &Path) {
    let component = fs::read(file).expect("the component");
    let sandbox = sandbox(&Limits::default());
    let guard = sandbox
        .load_guard("guard", &component, &Access::default())
        .unwrap_or_else(|error| panic!("{} cannot be loaded any more: {error}", file.display()));
    let load = |guards| sandbox.load_policy(DEFAULT_POLICY, &Access::default(), guards).expect("the policy loads");
    let (default, guarded) = (load(Vec::new()), load(vec![guard]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for case in cases().expect("the cases can be parsed") {
        let [default, guarded] = [&default, &guarded].map(|policy| runtime.block_on(run(policy, &case)));
        let comparison = compare(&default, &guarded);
        assert_eq!(comparison.group, Group::Same, "{}, {}: {:?}", file.display(), case.name, comparison.reason);
    }
}

/// Asserts that a policy can be loaded and passes every conformance case.
fn assert_decides_as_before(file: &Path) {
    let component = fs::read(file).expect("the component");
    let file = file.strip_prefix(repository_path("")).expect("a file of this repository");
    let policy = Policy::load(&component, &Limits::default())
        .unwrap_or_else(|error| panic!("{} cannot be loaded any more: {error}", file.display()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let cases = cases().expect("the cases can be parsed");
    let mut failed = Vec::new();
    for case in &cases {
        let result = runtime.block_on(run(&policy, case));
        if !result.meets(&case.expect) {
            failed.push(format!("{}: {:?}", case.name, result.observation));
        }
    }
    println!("{}: {} of {} conformance cases passed", file.display(), cases.len() - failed.len(), cases.len());
    assert!(
        failed.is_empty(),
        "{} no longer decides as before:\n  {}\n\
         If its version was released, embedders run such components: restore what they depend on.\n\
         If it was not released, and the rules of the default policy changed, replace the component:\n  \
         cp guest/policy/component/delete-learning.wasm {}",
        file.display(),
        failed.join("\n  "),
        file.display()
    );
}
