//! That secrets are compared in constant time: the types have no other way, and no other place makes what could be
//! compared. The clock is not asked; what it says depends on the machine.

use super::{SecretDigest, token_hash};
use crate::identity::{SecurityKey, VerificationKey};
use std::path::Path;

/// Has one implementation for every type, and a second one for each that has `==`, so that `is_incomparable` of a type
/// with `==` is ambiguous and does not compile.
trait Incomparable<Marker> {
    fn is_incomparable() {}
}

impl<T: ?Sized> Incomparable<()> for T {}
impl<T: ?Sized + PartialEq> Incomparable<u8> for T {}

#[test]
fn what_holds_a_secret_has_no_equality() {
    // That these compile is the test.
    <SecretDigest as Incomparable<_>>::is_incomparable();
    <SecurityKey as Incomparable<_>>::is_incomparable();
    <VerificationKey as Incomparable<_>>::is_incomparable();
    <aws_lc_rs::hmac::Key as Incomparable<_>>::is_incomparable();
    <aws_lc_rs::hmac::Tag as Incomparable<_>>::is_incomparable();
}

#[test]
fn nothing_else_makes_digests_or_codes_that_could_be_compared() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let users = |what: &str| {
        let mut users = Vec::new();
        let mut folders = vec![sources.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
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
    // Of a secret or a token; the records' revisions in `storage` and compiled policies are no secrets.
    assert_eq!(users("digest::{SHA256, digest}"), ["identity/digest.rs"]);
    assert_eq!(users("verify_slices_are_equal"), ["identity/digest.rs"]);
    // A code over a message is made to sign, which `demo` does as whoever issues tokens, or verified by the library,
    // which compares in constant time.
    assert_eq!(users("hmac::verify"), ["identity/jwt/keys.rs"]);
    assert_eq!(users("hmac::sign"), ["commands/demo/cases.rs"]);
    assert!(users("hmac::Context").is_empty());
}

#[test]
fn a_digest_is_of_its_secret_and_of_nothing_near_it() {
    let secret = "the key of this deployment";
    let digest = SecretDigest::of(secret);
    assert!(digest.is_of(secret));
    for (place, _) in secret.char_indices() {
        let mut wrong = secret.to_owned();
        wrong.replace_range(place..=place, "#");
        assert!(!digest.is_of(&wrong), "{wrong}");
        wrong.truncate(place);
        assert!(!digest.is_of(&wrong), "the first {place} bytes");
    }
    assert!(!digest.is_of(&format!("{secret}\0")));
}

#[test]
fn a_token_hash_is_what_agno_stores() {
    // Of `hashlib.sha256(b"agno_pat_x").hexdigest()`.
    assert_eq!(token_hash("agno_pat_x"), "5dd61b63788ecabea9388577ef6b59b0fb099f2a7ee8e616cbb9a31518716a7c");
}
