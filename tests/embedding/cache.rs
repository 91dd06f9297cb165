//! Compiled policies are kept for the next start, and taken only from where nobody else can put code.

use crate::malicious_policies::text;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Cache, CacheError, Caller, Credential, DEFAULT_POLICY, DeleteRequest, IdentityError, IdentityErrorKind, Limits,
    LoadError, Policy, Wasi,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A policy that is not the shipped one, and is told from it by what it decides.
const OTHER: &str = include_str!("../malicious_policies/traps.wat");

fn load(bytes: &[u8], limits: &Limits, folder: &Path) -> Result<Policy, LoadError> {
    let cache = Cache::open(folder).expect("the folder is good");
    Policy::load_with(bytes, limits, Wasi::default(), Some(&cache))
}

/// What decides where nobody is known: the shipped policy refuses by a rule of its own.
fn rule(policy: &Policy) -> String {
    let database =
        Database { id: "memory".to_owned(), table: "learnings".to_owned(), store: Arc::new(MemoryStore::default()) };
    let nobody: Result<Caller, _> = Err(IdentityError::new(IdentityErrorKind::Missing, Credential::Jwt, "no token"));
    let request = DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: None };
    let record = Databases(vec![database]).record(&request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(policy.decide(request, nobody, record)).rule().to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The file of this policy in a folder of its own, and the folder.
fn kept(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    load(bytes, &Limits::default(), folder.path()).expect("it fits");
    let [file] = &files(folder.path())[..] else { panic!("one file is kept") };
    let file = file.clone();
    (folder, file)
}

/// A folder in which the code that is kept for the shipped policy is another policy's, so that it shows which one is run.
fn exchanged() -> (TempDir, PathBuf) {
    let (folder, file) = kept(DEFAULT_POLICY);
    let (_others, other) = kept(&text::bytes(OTHER));
    fs::copy(other, &file).expect("it can be copied");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
    (folder, file)
}

fn shipped(folder: &Path) -> String {
    rule(&load(DEFAULT_POLICY, &Limits::default(), folder).expect("the shipped policy fits"))
}

const SHIPPED: &str = "identity-missing";

#[test]
fn a_policy_that_was_compiled_before_is_not_compiled_again() {
    let (folder, _) = kept(DEFAULT_POLICY);
    assert_eq!(shipped(folder.path()), SHIPPED);
    let (folder, _) = exchanged();
    assert_eq!(shipped(folder.path()), "policy-fault", "what is kept is what runs");
}

#[test]
fn code_that_others_could_have_written_is_not_run() {
    for mode in [0o620, 0o602, 0o666] {
        let (folder, file) = exchanged();
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("it is ours");
        assert_eq!(shipped(folder.path()), SHIPPED, "{mode:o}");
        let kept = fs::metadata(&file).expect("it is kept again").permissions().mode();
        assert_eq!(kept & 0o022, 0, "it was replaced by a file that is ours alone");
    }
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        let (folder, _) = exchanged();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).expect("it is ours");
        let refused = Cache::open(folder.path());
        assert!(matches!(refused, Err(CacheError::NotPrivate { .. })), "{mode:o}: {refused:?}");
    }
}

#[test]
fn code_that_is_not_whole_is_compiled_anew() {
    let (folder, file) = kept(DEFAULT_POLICY);
    let whole = fs::read(&file).expect("it is kept");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for broken in [&[][..], &whole[..31], &whole[..32], &whole[..whole.len() - 1], &changed] {
        fs::write(&file, broken).expect("it can be written");
        assert_eq!(shipped(folder.path()), SHIPPED);
        assert!(fs::read(&file).expect("it is kept again") == whole);
    }
}

#[test]
fn limits_hold_for_code_that_is_kept_as_well() {
    let (folder, _) = kept(DEFAULT_POLICY);
    let small = Limits { max_core_instances: 1, ..Limits::default() };
    let refused = load(DEFAULT_POLICY, &small, folder.path()).err();
    assert!(matches!(refused, Some(LoadError::ExceedsLimits(_))), "{refused:?}");
}

#[test]
fn as_many_are_kept_as_there_are_policies_up_to_sixteen_and_files_of_others_stay() {
    let (folder, _) = kept(DEFAULT_POLICY);
    let others = folder.path().join("notes.txt");
    fs::write(&others, "mine").expect("it can be written");
    for number in 0..20 {
        fs::write(folder.path().join(format!("{number}.compiled-policy")), "old").expect("it can be written");
    }
    load(&text::bytes(OTHER), &Limits::default(), folder.path()).expect("it fits");
    assert_eq!(files(folder.path()).len(), 16 + 1);
    assert!(others.is_file());
}
