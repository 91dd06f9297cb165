//! Sandboxes that compile each component once in all runs of the tests.

use delete_learning::{Access, Cache, DEFAULT_POLICY, Limits, Policy, Sandbox};
use std::path::Path;

/// A sandbox with these limits.
pub fn sandbox(limits: &Limits) -> Sandbox {
    let cache = Cache::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox")).expect("a private directory");
    Sandbox::new(limits, Some(cache)).expect("a sandbox")
}

/// The default policy under these limits.
pub fn default_policy(limits: &Limits) -> Policy {
    sandbox(limits).load_policy(DEFAULT_POLICY, &Access::default(), Vec::new()).expect("the default policy loads")
}
