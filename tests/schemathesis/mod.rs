//! Requests that schemathesis generates from the OpenAPI document, with responses validated against it.

use crate::support::database::{RECORD_COUNT, repository_path};
use crate::support::optional::schemathesis_python;
use crate::support::server::Setup;
use crate::support::token::SECRET;
use std::process::Command;

#[test]
fn generated_requests_get_only_documented_responses() {
    let Some(python) = schemathesis_python("requests generated from the OpenAPI document") else { return };
    let server = Setup::jwt().start();
    // The kind of credentials, and the expected number of remaining records.
    for (credentials, remaining) in [("missing", RECORD_COUNT), ("invalid", RECORD_COUNT), ("valid", RECORD_COUNT - 1)]
    {
        let run = Command::new(&python)
            .arg(repository_path("tests/schemathesis/run.py"))
            .args([credentials, &format!("http://{}", server.address)])
            .env("SECRET", SECRET)
            .output()
            .expect("Python runs");
        println!("{}", String::from_utf8_lossy(&run.stdout).trim_end());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(server.database("main").ids().len(), remaining, "with {credentials} credentials");
    }
    // The deleted record is the document's example id, which belongs to alice.
    assert!(!server.database("main").contains("user_profile_alice@example.com"));
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}
