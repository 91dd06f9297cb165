//! Secrets are compared in constant time: the types allow nothing else, and no other module creates digests or message
//! authentication codes. Nothing is timed, because a timing test depends on the machine.

use super::{SecretDigest, token_hash};
use crate::auth::{SecurityKey, VerificationKey};
use std::path::Path;

/// Has one implementation for every type and a second one for every type with `==`, so that `is_incomparable` of a type
/// with `==` is ambiguous and does not compile.
trait Incomparable<Marker> {
    fn is_incomparable() {}
}

impl<T: ?Sized> Incomparable<()> for T {}
impl<T: ?Sized + PartialEq> Incomparable<u8> for T {}

#[test]
fn types_with_secrets_have_no_equality() {
    // That these compile is the test.
    <SecretDigest as Incomparable<_>>::is_incomparable();
    <SecurityKey as Incomparable<_>>::is_incomparable();
    <VerificationKey as Incomparable<_>>::is_incomparable();
    <aws_lc_rs::hmac::Key as Incomparable<_>>::is_incomparable();
    <aws_lc_rs::hmac::Tag as Incomparable<_>>::is_incomparable();
}

#[test]
fn no_other_module_creates_digests_or_authentication_codes() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let users = |what: &str| {
        let mut users = Vec::new();
        let mut directories = vec![sources.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("a source directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    directories.push(path);
                } else if !path.ends_with("digest/tests.rs")
                    && std::fs::read_to_string(&path).expect("source text").contains(what)
                {
                    users.push(path.strip_prefix(&sources).expect("below it").display().to_string());
                }
            }
        }
        users.sort();
        users
    };
    // The revisions of records, in `storage`, and the entries of the audit log are not secrets.
    assert_eq!(users("digest::{SHA256, digest}"), ["audit/tree.rs", "auth/digest.rs"]);
    assert_eq!(users("verify_slices_are_equal"), ["auth/digest.rs"]);
    // `demo` signs tokens. The library verifies authentication codes in constant time.
    assert_eq!(users("hmac::verify"), ["auth/jwt/keys.rs"]);
    assert_eq!(users("hmac::sign"), ["cli/demo/cases.rs"]);
    assert!(users("hmac::Context").is_empty());
}

#[test]
fn digest_matches_its_secret_and_nothing_similar() {
    let secret = "the key of this deployment";
    let digest = SecretDigest::new(secret);
    assert!(digest.matches(secret));
    for (place, _) in secret.char_indices() {
        let mut wrong = secret.to_owned();
        wrong.replace_range(place..=place, "#");
        assert!(!digest.matches(&wrong), "{wrong}");
        wrong.truncate(place);
        assert!(!digest.matches(&wrong), "the first {place} bytes");
    }
    assert!(!digest.matches(&format!("{secret}\0")));
}

#[test]
fn token_hash_equals_the_hash_that_agno_stores() {
    // From `hashlib.sha256(b"agno_pat_x").hexdigest()`.
    assert_eq!(token_hash("agno_pat_x"), "5dd61b63788ecabea9388577ef6b59b0fb099f2a7ee8e616cbb9a31518716a7c");
}
