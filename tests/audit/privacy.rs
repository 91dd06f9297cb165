//! The log reveals no secret, its entries reveal no person, and what is erased is gone while the log still verifies.

use super::{Log, result, run, stop, text};
use crate::support::optional::audit_python;
use crate::support::server::Setup;
use crate::support::token::{admin, user, with_claims};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a directory and of those in it.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_secret_is_in_any_file_or_message() {
    const MARKER: &str = "MARKER5e2a";
    let log = Log::new();
    let mut setup = Setup::jwt();
    let secret = format!("{MARKER} shared secret of more than 32 bytes");
    setup.auth = format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"{secret}\"]\n");
    setup.settings = log.settings();
    setup.environment = vec![("OS_SECURITY_KEY", format!("{MARKER}-security-key"))];
    let server = setup.start();
    server.database("main").execute(&format!(
        "UPDATE agno_learnings SET content = '{{\"text\": \"{MARKER} content\"}}', metadata = '{{\"a\": \"{MARKER}\"}}',
         namespace = '{MARKER}', agent_id = '{MARKER}'"
    ));
    let valid = crate::support::token::signed_by(
        json!({ "alg": "HS256", "typ": "JWT" }),
        json!({ "sub": "root", "scopes": ["agent_os:admin"], "exp": crate::support::token::now() + 600, "note": MARKER }),
        |message| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        },
    );
    let target = "/learnings/user_profile_alice@example.com";
    server.delete(target, Some(&valid)).assert_deleted();
    let deleted = log.wait_for(&[("outcome", "deleted")]);
    for token in [
        format!("{MARKER}.forged.token"),
        with_claims(json!({ "sub": "a", "note": MARKER })),
        format!("agno_pat_{MARKER}"),
    ] {
        assert_eq!(server.delete(target, Some(&token)).status, 401);
    }
    assert_eq!(server.delete(&format!("{target}?access_token={MARKER}"), None).status, 401);
    let log_of_process = server.log();
    stop(server);
    let private_key = fs::read_to_string(log.key()).expect("the private key");
    let seed = private_key.trim().splitn(5, '+').nth(4).expect("a key").to_owned();
    let request_id = deleted["request_id"].as_str().expect("an id");
    let disclose = "learning-id,subject,owner,client";
    let outputs = [
        log.verify(&[]).expect("it verifies"),
        result(&run(&["show", "--directory", text(&log.directory)])).expect("a table"),
        result(&run(&["show", "--json", "--directory", text(&log.directory)])).expect("JSON"),
        result(&log.run("receipt", &[request_id, "--disclose", disclose])).expect("a receipt"),
        log_of_process,
    ];
    let header_and_payload: Vec<&str> = valid.split('.').collect();
    let secrets = [MARKER, &seed, header_and_payload[1], header_and_payload[2]];
    for secret in secrets {
        for output in &outputs {
            assert!(!output.contains(secret), "{secret} is in {output}");
        }
        for file in files(&log.directory) {
            assert!(!contains(&fs::read(&file).expect("a file"), secret), "{secret} is in {}", file.display());
        }
    }
    println!(
        "{} files and {} outputs contain none of {} secrets",
        files(&log.directory).len(),
        outputs.len(),
        secrets.len()
    );
}

/// A log with deletions and refusals of several callers.
fn filled() -> Log {
    let log = Log::new();
    let mut setup = Setup::jwt();
    setup.settings = log.settings();
    let server = setup.start();
    let database = server.database("main");
    for (id, owner) in
        [("profile of carol", "carol"), ("note of carol", "carol"), ("note of dave", "dave"), ("kept", "dave")]
    {
        database.insert(id, Some(owner));
    }
    server.delete("/learnings/profile%20of%20carol", Some(&user("carol"))).assert_deleted();
    server.delete("/learnings/note%20of%20carol", Some(&admin())).assert_deleted();
    server.delete("/learnings/note%20of%20dave", Some(&user("dave"))).assert_deleted();
    assert_eq!(server.delete("/learnings/kept", Some(&user("carol"))).status, 404);
    log.wait_for(&[("rule", "learning-owned-by-another")]);
    stop(server);
    log
}

#[test]
fn published_files_contain_no_value() {
    let log = filled();
    let journal = log.directory.join("journal");
    for file in files(&log.directory).iter().filter(|file| !file.starts_with(&journal)) {
        for value in ["carol", "dave", "root", "127.0.0.1", "kept"] {
            assert!(!contains(&fs::read(file).expect("a file"), value), "{value} is in {}", file.display());
        }
    }
    // A copy of what can be published verifies without the journal.
    fs::rename(&journal, log.home.path().join("journal")).expect("the journal is moved");
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn forgotten_subject_is_in_no_file_and_the_log_verifies() {
    let log = filled();
    let checkpoint = log.checkpoint();
    let forgotten = run(&["forget", "--directory", text(&log.directory), "--subject", "carol"]);
    let forgotten = result(&forgotten).unwrap_or_else(|error| panic!("{error}"));
    assert!(forgotten.starts_with("erased "), "{forgotten}");
    for file in files(&log.directory) {
        let bytes = fs::read(&file).expect("a file");
        // Also what an administrator deleted.
        assert!(!contains(&bytes, "carol"), "{}", file.display());
    }
    assert_eq!(log.checkpoint(), checkpoint);
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains("have values that were erased"), "{verified}");
    if let Some(python) = audit_python("verifying a log with erased values with another verifier") {
        log.verify_independently(&python, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
    let entries = log.show(&[]);
    let dave = entries.iter().filter(|entry| entry["subject"] == "dave" && entry["event"] == "decision");
    assert_eq!(dave.map(|entry| entry["learning_id"].clone()).collect::<Vec<_>>(), ["note of dave"]);
    let erased = entries.iter().filter(|entry| entry["subject"] == Value::Null && entry["event"] == "decision").count();
    assert_eq!(erased, 2, "the decisions on the requests of carol");
    // Nothing is left to erase.
    let again = run(&["forget", "--directory", text(&log.directory), "--subject", "carol"]);
    assert_eq!(result(&again).as_deref(), Ok("erased 0 values of 0 entries\n"));
    let learning = run(&["forget", "--directory", text(&log.directory), "--learning", "note of dave"]);
    assert!(result(&learning).expect("it is erased").starts_with("erased "));
    assert!(files(&log.directory).iter().all(|file| !contains(&fs::read(file).expect("a file"), "note of dave")));
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn server_continues_a_log_while_values_are_erased() {
    let log = Log::new();
    let mut setup = Setup::jwt();
    setup.settings = log.settings();
    let server = setup.start();
    for index in 0..200 {
        server.database("main").insert(&format!("note_{index}"), Some("erin"));
    }
    let erased = std::thread::scope(|scope| {
        let eraser = scope.spawn(|| {
            (0..20)
                .map(|_| result(&run(&["forget", "--directory", text(&log.directory), "--subject", "erin"])))
                .all(|run| run.is_ok())
        });
        let mut client = crate::support::load::HttpClient::new(&server, &user("erin"));
        for index in 0..200 {
            assert_eq!(client.delete(&format!("/learnings/note_{index}")).expect("an answer").status, 204);
        }
        eraser.join().expect("it ends")
    });
    assert!(erased);
    stop(server);
    result(&run(&["forget", "--directory", text(&log.directory), "--subject", "erin"])).expect("it is erased");
    assert!(files(&log.directory).iter().all(|file| !contains(&fs::read(file).expect("a file"), "erin")));
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains("200 deletions"), "{verified}");
}
