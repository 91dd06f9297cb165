//! The endpoint's description as a test: requests made from it, and answers judged by it.

use crate::support::database::{RECORDS, project};
use crate::support::optional::schemathesis_python;
use crate::support::server::Setup;
use crate::support::token::SECRET;
use std::process::Command;

#[test]
fn every_answer_is_one_that_the_description_has_whatever_is_asked() {
    let Some(python) = schemathesis_python("requests made from the endpoint's description") else { return };
    let host = Setup::jwt().start();
    // Each kind of credentials, and whether anything may be gone afterwards.
    for (credentials, left) in [("missing", RECORDS), ("invalid", RECORDS), ("valid", RECORDS - 1)] {
        let run = Command::new(&python)
            .arg(project("tests/schemathesis/run.py"))
            .args([credentials, &format!("http://{}", host.address)])
            .env("SECRET", SECRET)
            .output()
            .expect("Python runs");
        println!("{}", String::from_utf8_lossy(&run.stdout).trim_end());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(host.database("main").ids().len(), left, "with {credentials} credentials");
    }
    // The one that is gone is the example of the description, which is alice's.
    assert!(!host.database("main").has("user_profile_alice@example.com"));
    assert_eq!(host.request("GET", "/health", &[]).status, 200);
}
