//! A policy on deleting learnings: the default one, with a rule of our own in front of it.
#![cfg_attr(target_family = "wasm", no_std)]

use delete_learning_policy::delete_learning;
use delete_learning_sdk::{DeleteRequest, ErrorCode, PolicyHost, Rejection, export_policy};

export_policy!(policy);

/// Nobody deletes a learning whose id starts with `system_`. The default policy decides on all others.
pub async fn policy(request: &DeleteRequest, host: &impl PolicyHost) -> Result<(), Rejection> {
    if request.learning_id.starts_with("system_") {
        let detail = "A learning of the system cannot be deleted";
        return Err(Rejection::new(ErrorCode::Forbidden, "system-learning", detail.into()));
    }
    delete_learning(request, host).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use delete_learning_sdk::testing::{TestHost, admin, learning, request, run};

    #[test]
    fn learning_of_the_system_is_not_deleted() {
        let host = TestHost::new(admin()).with_record(learning());
        let request = DeleteRequest { learning_id: "system_prompt".into(), ..request() };
        assert_eq!(run(policy(&request, &host)).unwrap_err().status, 403);
        assert!(host.record().is_some());
    }

    #[test]
    fn other_learning_is_deleted() {
        let host = TestHost::new(admin()).with_record(learning());
        assert_eq!(run(policy(&request(), &host)), Ok(()));
        assert!(host.record().is_none());
    }
}
