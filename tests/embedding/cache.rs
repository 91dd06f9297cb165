//! The cache of compiled policies. Only a private directory is used, because cached code is executed.

use crate::malicious_policies::text;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Access, Cache, CacheError, Caller, Credential, DEFAULT_POLICY, DeleteRequest, IdentityError, IdentityErrorKind,
    Limits, LoadError, Policy, Sandbox,
};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A policy that rejects every request, with the database that it names as the rule. It is compiled faster than the default
/// policy.
const REJECTING: &str = include_str!("../malicious_policies/probes/rejection.wat");

/// The rule of its decision in these tests.
const RULE: &str = "rejected";

/// A policy that always traps, to distinguish it.
const TRAPPING: &str = include_str!("../malicious_policies/traps.wat");

fn load(bytes: &[u8], limits: &Limits, directory: &Path) -> Result<Policy, LoadError> {
    let cache = Cache::open(directory).expect("the directory is private");
    Sandbox::new(limits, Some(cache))?.load_policy(bytes, &Access::default(), Vec::new())
}

/// Returns the rule that decides a request.
fn rule(policy: &Policy) -> String {
    let database =
        Database { id: "memory".to_owned(), table: "learnings".to_owned(), store: Arc::new(MemoryStore::default()) };
    let caller: Result<Caller, _> = Err(IdentityError::new(IdentityErrorKind::Missing, Credential::Jwt, "no token"));
    let request = DeleteRequest { learning_id: "x".to_owned(), db_id: Some(RULE.to_owned()), table: None };
    let record = Databases(vec![database]).record(&request);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(policy.decide(request, caller, record)).rule().to_owned()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory exists");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Caches this policy in a new directory, and returns the directory and the cached file.
fn cached(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    load(bytes, &Limits::default(), directory.path()).expect("the policy can be loaded");
    let [file] = &files(directory.path())[..] else { panic!("one file is cached") };
    let file = file.clone();
    (directory, file)
}

/// Caches the rejecting policy, and replaces the cached code with that of the trapping policy.
///
/// The rule of a decision then shows whether the cached code ran.
fn cached_with_replaced_code() -> (TempDir, PathBuf) {
    let (directory, file) = cached(&text::bytes(REJECTING));
    let (_other_directory, other) = cached(&text::bytes(TRAPPING));
    fs::copy(other, &file).expect("the file can be copied");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the permissions can be set");
    (directory, file)
}

/// Loads the rejecting policy, and returns the rule that decides a request.
fn rule_of_rejecting_policy(directory: &Path) -> String {
    rule(&load(&text::bytes(REJECTING), &Limits::default(), directory).expect("the policy can be loaded"))
}

#[test]
fn cached_policy_is_not_compiled_again() {
    let (directory, _) = cached(&text::bytes(REJECTING));
    assert_eq!(rule_of_rejecting_policy(directory.path()), RULE);
    let (directory, _) = cached_with_replaced_code();
    assert_eq!(rule_of_rejecting_policy(directory.path()), "policy-error", "the cached code runs");
}

#[test]
fn cached_code_writable_by_others_is_not_used() {
    for mode in [0o620, 0o602, 0o666] {
        let (directory, file) = cached_with_replaced_code();
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("the permissions can be set");
        assert_eq!(rule_of_rejecting_policy(directory.path()), RULE, "{mode:o}");
        let replaced = fs::metadata(&file).expect("it is cached again").permissions().mode();
        assert_eq!(replaced & 0o022, 0, "the new file is writable only by its owner");
    }
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        let (directory, _) = cached_with_replaced_code();
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("the permissions can be set");
        let result = Cache::open(directory.path());
        assert!(matches!(result, Err(CacheError::NotPrivate { .. })), "{mode:o}: {result:?}");
    }
}

#[test]
fn directory_is_created_for_its_user_alone() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a/b");
    Cache::open(&path).expect("the directory is created");
    for path in [&path, &directory.path().join("a")] {
        assert_eq!(fs::metadata(path).expect("it exists").permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    // Only root can give a directory to another user.
    if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
        let result = Cache::open(&path);
        assert!(matches!(result, Err(CacheError::NotPrivate { .. })), "{result:?}");
    }
}

#[test]
fn corrupt_cached_code_is_recompiled() {
    let (directory, file) = cached(&text::bytes(REJECTING));
    let complete = fs::read(&file).expect("it is cached");
    let mut modified = complete.clone();
    modified[complete.len() / 2] ^= 1;
    for corrupt in [&[][..], &complete[..31], &complete[..32], &complete[..complete.len() - 1], &modified] {
        fs::write(&file, corrupt).expect("the file can be written");
        assert_eq!(rule_of_rejecting_policy(directory.path()), RULE);
        assert!(fs::read(&file).expect("it is cached again") == complete);
    }
}

#[test]
fn limits_apply_to_cached_code() {
    let (directory, _) = cached(DEFAULT_POLICY);
    let small = Limits::default().max_table_elements(0);
    let error = load(DEFAULT_POLICY, &small, directory.path()).err();
    assert!(matches!(error, Some(LoadError::ExceedsLimits(_))), "{error:?}");
}

#[test]
fn cache_stores_at_most_16_policies_and_no_other_file_is_deleted() {
    let (directory, _) = cached(&text::bytes(REJECTING));
    let unknown_file = directory.path().join("notes.txt");
    fs::write(&unknown_file, "notes").expect("the file can be written");
    for number in 0..20 {
        fs::write(directory.path().join(format!("{number}.compiled-policy")), "old").expect("the file can be written");
    }
    load(&text::bytes(TRAPPING), &Limits::default(), directory.path()).expect("the policy can be loaded");
    assert_eq!(files(directory.path()).len(), 16 + 1);
    assert!(unknown_file.is_file());
}

#[test]
fn policy_that_is_used_stays_in_a_full_cache() {
    let (directory, file) = cached(&text::bytes(REJECTING));
    let set_age = |file: &Path, minutes: u64| {
        let time = SystemTime::now() - Duration::from_secs(60 * minutes);
        File::options().append(true).open(file).and_then(|file| file.set_modified(time)).expect("the time can be set");
    };
    set_age(&file, 60);
    let others: Vec<_> = (1..16).map(|number| directory.path().join(format!("{number}.compiled-policy"))).collect();
    for (minutes, other) in (1..).zip(&others) {
        fs::write(other, "other").expect("the file can be written");
        set_age(other, minutes);
    }
    rule_of_rejecting_policy(directory.path());
    load(&text::bytes(TRAPPING), &Limits::default(), directory.path()).expect("the policy can be loaded");
    let least_recently_used = others.last().expect("other files");
    assert!(!least_recently_used.exists() && file.exists(), "{:?}", files(directory.path()));
}

#[test]
fn read_only_cache_is_used_and_not_changed() {
    let (directory, file) = cached_with_replaced_code();
    let modified = || fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("a modification time");
    let before = modified();
    let load = |bytes: &[u8]| {
        let cache = Cache::open(directory.path()).expect("the directory is private").read_only();
        let sandbox = Sandbox::new(&Limits::default(), Some(cache)).expect("a sandbox");
        sandbox.load_policy(bytes, &Access::default(), Vec::new()).expect("the policy can be loaded")
    };
    assert_eq!(rule(&load(&text::bytes(REJECTING))), "policy-error", "the cached code runs");
    load(&text::bytes(include_str!("../malicious_policies/probes/deletes.wat")));
    assert_eq!((files(directory.path()), modified()), (vec![file.clone()], before));
}
