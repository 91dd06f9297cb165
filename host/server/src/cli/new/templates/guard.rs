//! A guard on deleting learnings: it stands between a policy and the storage, and retains records.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::string::String;
use delete_learning_sdk::{Caller, Environment, Learning, export_guard};

export_guard!(guard);

/// A log of decisions stays. Called only for a record that would otherwise be deleted; the message is for the caller.
pub fn guard(learning: &Learning, _: &Caller, _: &impl Environment) -> Result<(), String> {
    if learning.learning_type == "decision_log" {
        return Err("A log of decisions cannot be deleted".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use delete_learning_sdk::testing::{TestHost, admin, learning, run};
    use delete_learning_sdk::{Guarded, Outcome, PolicyHost, StorageErrorKind};

    #[test]
    fn log_of_decisions_is_retained() {
        let record = Learning { learning_type: "decision_log".into(), ..learning() };
        let host = TestHost::new(admin()).with_record(record);
        assert_eq!(run(Guarded::new(&host, guard).delete()).unwrap_err().kind, StorageErrorKind::Denied);
        assert!(host.record().is_some());
    }

    #[test]
    fn other_learning_is_deleted() {
        let host = TestHost::new(admin()).with_record(learning());
        assert_eq!(run(Guarded::new(&host, guard).delete()), Ok(Outcome::Deleted));
    }
}
