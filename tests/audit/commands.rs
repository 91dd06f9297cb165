//! The commands of `audit`, and what the log records.

use super::{Log, ORIGIN, result, run, stop, text};
use crate::support::guards::LEGAL_HOLD;
use crate::support::optional::audit_python;
use crate::support::server::{Setup, TestServer};
use crate::support::token::{admin, user};
use delete_learning::Digest;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

fn start(log: &Log) -> TestServer {
    let mut setup = Setup::jwt();
    setup.settings = log.settings();
    setup.start()
}

#[test]
fn every_decision_is_recorded_as_the_contract_spells_it() {
    let log = Log::new();
    let server = start(&log);
    server.database("main").insert("note", Some("alice"));
    server.database("main").insert("of nobody", None);
    let requests = [
        ("note?db_id=main&table=agno_learnings", Some(user("alice")), 204, "deleted-as-owner", "deleted"),
        ("of%20nobody", Some(admin()), 204, "deleted-unconfined", "deleted"),
        ("note", Some(user("alice")), 404, "learning-absent", "not-deleted"),
        ("decision_1", Some(user("bob")), 404, "learning-owned-by-another", "not-deleted"),
        ("note", None, 401, "identity-missing", "not-deleted"),
        ("note", Some("x.y.z".to_owned()), 401, "identity-invalid", "not-deleted"),
        ("note?db_id=other", Some(admin()), 404, "unknown-database", "not-deleted"),
        ("%FF", Some(admin()), 400, "invalid-learning-id", "not-deleted"),
    ];
    let mut recorded = Vec::new();
    for (target, token, status, _, _) in &requests {
        let response = server.delete(&format!("/learnings/{target}"), token.as_deref());
        assert_eq!(response.status, *status, "{target}: {}", response.body);
        let id = response.header("x-request-id").expect("an id").to_owned();
        recorded.push(log.wait_for(&[("event", "decision"), ("request_id", &id)]));
    }
    for ((target, _, status, rule, outcome), entry) in requests.iter().zip(&recorded) {
        assert_eq!(entry["status"], *status, "{target}");
        let audit = server.wait_for_log(&["\"target\":\"audit\"", entry["request_id"].as_str().expect("an id")]);
        assert_eq!(entry["rule"], audit["rule"], "{target}: {rule}");
        assert_eq!(entry["outcome"], *outcome, "{target}");
        assert_eq!(entry["client"], "127.0.0.1");
        assert_eq!(entry["policy"], audit["policy_sha256"]);
        if *status == 204 {
            let id = entry["request_id"].as_str().expect("an id");
            assert_eq!(log.wait_for(&[("event", "intent"), ("request_id", id)])["policy"], entry["policy"], "{target}");
        }
    }
    let [own, of_nobody, absent, of_another, anonymous, .., invalid_id] = recorded.as_slice() else {
        panic!("all are recorded")
    };
    for (entry, members) in [
        (
            own,
            [
                ("subject", "alice"),
                ("owner", "alice"),
                ("learning_id", "note"),
                ("storage", "deleted"),
                ("database", "main"),
                ("table", "agno_learnings"),
            ]
            .as_slice(),
        ),
        (of_nobody, &[("subject", "root"), ("learning_id", "of nobody"), ("credential", "jwt")]),
        (absent, &[("storage", "absent")]),
        (of_another, &[("storage", "owned-by-another"), ("learning_id", "decision_1")]),
        (anonymous, &[("credential", "jwt"), ("learning_id", "note")]),
        (invalid_id, &[("subject", "root")]),
    ] {
        for (name, value) in members {
            assert_eq!(entry[*name], *value, "{name} of {entry}");
        }
    }
    assert_eq!((&own["confined"], &of_nobody["confined"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(
        (anonymous.get("confined"), anonymous.get("subject"), invalid_id.get("learning_id")),
        (None, None, None)
    );
    let intents = log.show(&[]).into_iter().filter(|entry| entry["event"] == "intent").count();
    assert_eq!(intents, 4, "each request that reached the delete");
    stop(server);
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<_> = verified.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains(" verifies: 14 entries, 14 in the checkpoint"), "{verified}");
    assert_eq!(lines[1], "2 deletions, 6 other decisions, 0 interrupted, 0 open");
}

#[test]
fn beginning_of_a_log_is_logged_and_its_continuation_is_not() {
    let log = Log::new();
    let start = || Setup { settings: log.settings(), ..Setup::jwt() }.start();
    let first = start();
    first.wait_for_log(&["began a new audit log"]);
    stop(first);
    let second = start();
    second.wait_for_log(&["\"listening\""]);
    assert!(!second.log().contains("began a new audit log"), "{}", second.log());
}

#[test]
fn decision_names_its_guards_and_the_one_that_denied_it() {
    let log = Log::new();
    let directory = TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db").insert("held", Some("alice"));
    fs::write(directory.path().join("guard.wasm"), LEGAL_HOLD).expect("the guard is written");
    let guard = |name: &str, held_users: &str| {
        format!(
            "[[guards]]\nname = \"{name}\"\ncomponent = \"guard.wasm\"\n[guards.settings]\nheld_users = [{held_users}]\n"
        )
    };
    let settings = log.settings() + &guard("first", "") + &guard("second", "\"alice\"");
    let server = Setup { settings, ..Setup::jwt() }.start_in(directory);
    let response = server.delete("/learnings/held", Some(&user("alice")));
    assert_eq!(response.status, 403, "{}", response.body);
    let entry = log.wait_for(&[("event", "decision"), ("request_id", response.header("x-request-id").expect("an id"))]);
    let sha256 = Digest::of(LEGAL_HOLD).to_string();
    let guards = json!([{ "name": "first", "sha256": sha256 }, { "name": "second", "sha256": sha256 }]);
    assert_eq!((&entry["denied_by"], &entry["guards"]), (&json!("second"), &guards), "{entry}");
    // As in the event in the log of the process, which has the calls of both, too.
    let event = server.wait_for_log(&["\"target\":\"audit\"", "\"held\""]);
    let calls = event["guards"].as_str().expect("the calls");
    assert!(
        event["denied_by"] == "second" && calls.starts_with("first: [") && calls.contains("]; second: ["),
        "{event}"
    );
}

#[test]
fn show_filters_by_learning_caller_outcome_and_time() {
    let log = Log::new();
    let server = start(&log);
    for id in ["a", "b", "c"] {
        server.database("main").insert(id, Some("alice"));
    }
    server.delete("/learnings/a", Some(&user("alice"))).assert_deleted();
    server.delete("/learnings/b", Some(&admin())).assert_deleted();
    assert_eq!(server.delete("/learnings/c", Some(&user("bob"))).status, 404);
    let last = log.wait_for(&[("rule", "learning-owned-by-another")]);
    stop(server);
    let ids = |arguments: &[&str]| {
        let entries = log.show(arguments).into_iter().filter(|entry| entry["event"] == "decision");
        entries.map(|entry| entry["learning_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), ["a", "b", "c"]);
    assert_eq!(ids(&["--learning", "b"]), ["b"]);
    assert_eq!(ids(&["--caller", "alice"]), ["a"]);
    assert_eq!(ids(&["--outcome", "deleted"]), ["a", "b"]);
    assert_eq!(ids(&["--outcome", "deleted", "--caller", "root"]), ["b"]);
    let time = last["time"].as_str().expect("a time");
    assert_eq!(ids(&["--since", time]), ["c"]);
    assert_eq!(ids(&["--until", time]), ["a", "b"]);
    assert_eq!(ids(&["--since", "2020", "--until", "2020-06-01"]), Vec::<String>::new());
    let table = result(&run(&["show", "--directory", text(&log.directory), "--learning", "a"])).expect("a table");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "a header, an intent and a decision: {table}");
    assert!(
        lines[0].contains("rule")
            && lines[2].contains("deleted-as-owner")
            && lines[2].ends_with("a in main/agno_learnings"),
        "{table}"
    );
    let invalid = run(&["show", "--directory", text(&log.directory), "--since", "yesterday"]);
    assert!(result(&invalid).expect_err("no time").contains("2026-11-26T10:30"));
}

#[test]
fn receipt_verifies_offline_and_a_changed_one_does_not() {
    let log = Log::new();
    let server = start(&log);
    server.database("main").insert("note of alice", Some("alice"));
    let response = server.delete("/learnings/note%20of%20alice", Some(&user("alice")));
    response.assert_deleted();
    let request_id = response.header("x-request-id").expect("an id").to_owned();
    stop(server);
    let file = log.home.path().join("receipt.json");
    let made = log.run("receipt", &[&request_id, "--output", text(&file)]);
    result(&made).unwrap_or_else(|error| panic!("{error}"));
    let text_of_receipt = fs::read_to_string(&file).expect("a receipt");
    assert!(!text_of_receipt.contains("\"alice\"") && !text_of_receipt.contains("127.0.0.1"), "{text_of_receipt}");
    // Nothing but the receipt and the public key.
    let away = TempDir::new().expect("a directory");
    let (receipt, key) = (away.path().join("receipt.json"), away.path().join("key.pub"));
    fs::copy(&file, &receipt).expect("a copy");
    fs::copy(log.public_key(), &key).expect("a copy");
    fs::remove_dir_all(&log.directory).expect("the log is removed");
    let verify = |content: &str| {
        fs::write(&receipt, content).expect("the receipt is written");
        result(&run(&["verify-receipt", "--public-key", text(&key), text(&receipt)]))
    };
    let verified = verify(&text_of_receipt).unwrap_or_else(|error| panic!("{error}"));
    for part in [ORIGIN, "\nthe record was deleted\n", "\"note of alice\"", "deleted-as-owner", &request_id] {
        assert!(verified.contains(part), "{part}: {verified}");
    }
    let parsed: Value = serde_json::from_str(&text_of_receipt).expect("JSON");
    let proof = parsed["proof"].as_str().expect("a proof");
    let index = proof.lines().nth(1).expect("an index");
    let size = proof.lines().skip_while(|line| *line != ORIGIN).nth(1).expect("a size");
    for (from, to) in [
        ("note of alice", "note of bob"),
        ("\\\"outcome\\\":\\\"deleted\\\"", "\\\"outcome\\\":\\\"unknown\\\""),
        ("deleted-as-owner", "deleted-unconfined"),
        (&request_id, "0000000000000000-1"),
        (index, "index 0"),
        (&format!("\\n{size}\\n"), "\\n9999\\n"),
        ("receipt@v1", "receipt@v2"),
        ("\"salt\": \"", "\"salt\": \"0"),
        ("tlog-proof@v1\\n", "tlog-proof@v1\\nextra AA==\\n"),
    ] {
        let changed = text_of_receipt.replacen(from, to, 1);
        assert_ne!(changed, text_of_receipt, "{from} is in the receipt");
        let error = verify(&changed).expect_err(from);
        assert!(error.contains("does not verify"), "{from}: {error}");
    }
    let other = Log::new();
    let error = result(&run(&["verify-receipt", "--public-key", text(&other.public_key()), text(&file)]))
        .expect_err("another key");
    assert!(error.contains("no signature is of the key"), "{error}");
    if let Some(python) = audit_python("verifying a receipt with another verifier") {
        let script = crate::support::database::repository_path("tests/audit/verifier.py");
        let check = |file: &std::path::Path| {
            result(
                &Command::new(&python)
                    .args([text(&script), "receipt", text(file), text(&key)])
                    .output()
                    .expect("Python runs"),
            )
        };
        check(&file).unwrap_or_else(|error| panic!("{error}"));
        fs::write(&receipt, text_of_receipt.replacen("deleted-as-owner", "deleted-unconfined", 1))
            .expect("it is written");
        assert!(check(&receipt).is_err(), "another verifier finds the change");
    }
}

#[test]
fn receipt_that_cannot_be_made_is_explained() {
    let log = Log::new();
    let mut setup = Setup::jwt();
    setup.settings = log.settings().replace("checkpoint_interval_seconds = 1", "checkpoint_interval_seconds = 3600");
    let server = setup.start();
    let error = result(&log.run("receipt", &["0-1"])).expect_err("there is no checkpoint");
    assert!(error.contains("checkpoint"), "{error}");
    stop(server);
    let error = result(&log.run("receipt", &["0-1"])).expect_err("there is no such request");
    assert!(error.contains("no decision on the request 0-1") && error.contains("x-request-id"), "{error}");
    let mut setup = Setup::jwt();
    setup.settings = log.settings().replace("checkpoint_interval_seconds = 1", "checkpoint_interval_seconds = 3600");
    let server = setup.start();
    let id = server.delete("/learnings/decision_1", Some(&admin())).header("x-request-id").expect("an id").to_owned();
    let error = result(&log.run("receipt", &[&id])).expect_err("it is not signed");
    assert!(error.contains("not in a checkpoint yet"), "{error}");
    let error = result(&log.run("receipt", &[&id, "--disclose", "everything"])).expect_err("no such value");
    assert!(error.contains("learning-id, subject, owner, client or nothing"), "{error}");
    stop(server);
}

#[test]
fn keygen_writes_a_private_file_once() {
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("audit.key");
    let made = result(&run(&["keygen", "--origin", ORIGIN, text(&file)])).expect("a key");
    assert!(made.contains("audit.key.pub"), "{made}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let public = fs::read_to_string(home.path().join("audit.key.pub")).expect("a public key");
    assert!(
        public.starts_with(&format!("{ORIGIN}+")) && !made.contains(fs::read_to_string(&file).expect("a key").trim())
    );
    let again = result(&run(&["keygen", "--origin", ORIGIN, text(&file)])).expect_err("the file exists");
    assert!(again.contains("cannot create"), "{again}");
    let invalid = result(&run(&["keygen", "--origin", "a b", text(&home.path().join("other"))])).expect_err("a space");
    assert!(invalid.contains("\"a b\""), "{invalid}");
}

#[test]
fn replaced_key_continues_the_log() {
    let log = Log::new();
    let server = start(&log);
    server.delete("/learnings/decision_1", Some(&admin())).assert_deleted();
    stop(server);
    let old = (fs::read_to_string(log.public_key()).expect("a key"), log.checkpoint());
    let old_key = log.home.path().join("old.pub");
    fs::rename(log.public_key(), &old_key).expect("the key is moved");
    fs::remove_file(log.key()).expect("the key is removed");
    result(&run(&["keygen", "--origin", ORIGIN, text(&log.key())])).expect("a key");
    let mut setup = Setup::jwt();
    setup.settings = log.settings();
    let directory = TempDir::new().expect("a directory");
    crate::support::database::AgnoDatabase::copy_to(directory.path(), "main.db");
    let output = setup.try_start_in(directory).err().expect("the checkpoint is of another key");
    assert!(output.contains("audit.previous_public_keys"), "{output}");
    let mut setup = Setup::jwt();
    setup.settings = log.settings() + &format!("audit.previous_public_keys = [{}]\n", Value::from(old.0.trim()));
    stop(setup.start());
    log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    // The earlier checkpoint needs the earlier key.
    let earlier = log.home.path().join("earlier");
    fs::write(&earlier, old.1).expect("it is written");
    assert!(log.verify(&["--checkpoint", text(&earlier)]).is_err());
    let both = log.verify(&["--checkpoint", text(&earlier), "--public-key", text(&old_key)]);
    assert!(both.unwrap_or_else(|error| panic!("{error}")).contains("1 checkpoints"));
    let started: Vec<_> =
        log.show(&[]).into_iter().filter_map(|entry| entry["public_key"].as_str().map(str::to_owned)).collect();
    assert_eq!(started.len(), 2);
    assert_ne!(started[0], started[1], "the log records which key signs");
}

#[test]
fn checkpoints_are_published_and_verify_a_log_that_was_cut_off() {
    let log = Log::new();
    let published = log.home.path().join("published");
    let script = format!("cat > '{0}.new' && mv '{0}.new' '{0}'; env > '{0}.env'", published.display());
    let mut setup = Setup::jwt();
    setup.settings = log.settings() + &format!("audit.publish_command = [\"sh\", \"-c\", {}]\n", Value::from(script));
    setup.environment = vec![("OS_SECURITY_KEY", "a key of the environment".to_owned())];
    let server = setup.start();
    server.delete("/learnings/decision_1", Some(&admin())).assert_deleted();
    stop(server);
    assert_eq!(fs::read_to_string(&published).expect("a checkpoint"), log.checkpoint());
    let environment = fs::read_to_string(log.home.path().join("published.env")).expect("its environment");
    assert!(!environment.contains("a key of the environment"), "{environment}");
    log.verify(&["--checkpoint", text(&published)]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn failing_publish_command_is_logged_and_repeated() {
    let log = Log::new();
    let mark = log.home.path().join("ready");
    let script = format!("test -e '{}'", mark.display());
    let mut setup = Setup::jwt();
    setup.settings = log.settings() + &format!("audit.publish_command = [\"sh\", \"-c\", {}]\n", Value::from(script));
    let server = setup.start();
    server.wait_for_log(&["the command that publishes checkpoints failed", "exit status: 1"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(server.log().matches("the command that publishes checkpoints failed").count() > 1, "it is repeated");
    fs::write(&mark, "").expect("it succeeds from now on");
    server.delete("/learnings/decision_1", Some(&admin())).assert_deleted();
    stop(server);
}

/// The commands of AUDIT.md, in their order, on the log of a server with its configuration.
#[test]
fn commands_of_the_documentation_work() {
    let blocks = crate::cli::documentation::code_blocks("host/server/AUDIT.md");
    let [(_, keygen), (_, configuration), (_, commands)] = blocks.as_slice() else { panic!("three code blocks") };
    let home = TempDir::new().expect("a directory");
    let directory = home.path().to_owned();
    let shell = |script: &str, request_id: &str| {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_delete-learning"));
        let path =
            format!("{}:{}", text(binary.parent().expect("a directory")), std::env::var("PATH").expect("a path"));
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", script]).current_dir(&directory).env("PATH", path).env("REQUEST_ID", request_id);
        result(&shell.output().expect("sh runs")).unwrap_or_else(|error| panic!("{script}: {error}"))
    };
    shell(keygen, "");
    crate::support::database::AgnoDatabase::copy_to(home.path(), "main.db");
    let mut server = Setup { further_databases: format!("{configuration}\n"), ..Setup::jwt() }.start_in(home);
    server.database("main").insert("note", Some("alice"));
    let id = server.delete("/learnings/note", Some(&user("alice"))).header("x-request-id").expect("an id").to_owned();
    server.signal("TERM");
    assert!(server.wait().success());
    let output = shell(commands, &id);
    for part in ["verifies: 4 entries", "deleted-as-owner", "the record was deleted", "erased 7 values of 2 entries"] {
        assert!(output.contains(part), "{part}: {output}");
    }
}

#[test]
fn requests_with_the_same_id_of_a_proxy_stay_apart() {
    let log = Log::new();
    let settings = format!("{}server.trusted_proxies = [\"127.0.0.1\"]\n", log.settings());
    let server = Setup { settings, ..Setup::jwt() }.start();
    let authorization = format!("Bearer {}", admin());
    let delete = |learning: &str, id: &str| {
        let headers = [("authorization", authorization.as_str()), ("x-request-id", id)];
        let response = server.request("DELETE", &format!("/learnings/{learning}"), &headers);
        assert_eq!((response.status, response.header("x-request-id")), (204, Some(id)));
    };
    delete("decision_1", "proxy-1");
    delete("session_context_shared", "proxy-2");
    delete("user_profile_alice@example.com", "proxy-2");
    stop(server);
    log.verify(&[]).expect("the log is valid");

    let receipt = |id: &str| result(&log.run("receipt", &[id, "--disclose", "learning-id"]));
    assert!(receipt("proxy-1").expect("a receipt").contains("decision_1"));
    let error = receipt("proxy-2").expect_err("there are two");
    assert!(error.contains("several requests have this id"), "{error}");
    let ids: Vec<&str> = error.split([' ', ',', '\n']).filter(|word| word.starts_with("proxy-2/")).collect();
    let receipts: Vec<String> = ids.iter().map(|id| receipt(id).expect("a receipt")).collect();
    assert_eq!(receipts.len(), 2, "{error}");
    assert!(receipts.concat().contains("session_context_shared") && receipts.concat().contains("user_profile_alice"));
    receipt("proxy").expect_err("a part of an id");
}

#[test]
fn receipt_states_that_a_record_was_not_deleted() {
    let log = Log::new();
    let server = start(&log);
    let response = server.delete("/learnings/absent", Some(&user("alice")));
    assert_eq!(response.status, 404);
    let request_id = response.header("x-request-id").expect("an id").to_owned();
    log.wait_for(&[("event", "decision"), ("request_id", &request_id)]);
    stop(server);
    let verified = log.verified_receipt(&request_id);
    assert!(verified.contains("\nthe record was not deleted\n"), "{verified}");
}

#[test]
fn show_ends_without_an_error_if_its_reader_does() {
    let log = Log::new();
    let server = start(&log);
    assert_eq!(server.delete("/learnings/absent", Some(&user("alice"))).status, 404);
    log.wait_for(&[("event", "decision")]);
    stop(server);
    let show = |output: std::process::Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
        command.args(["audit", "show", "--directory", text(&log.directory)]).stdout(output);
        command.stderr(std::process::Stdio::piped()).output().expect("the binary runs")
    };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let closed = show(writer.into());
    assert!(closed.status.success() && closed.stderr.is_empty(), "{closed:?}");
    // Any other error of the output is one of the command.
    let full = show(fs::OpenOptions::new().write(true).open("/dev/full").expect("a file").into());
    assert!(!full.status.success() && !full.stderr.is_empty(), "{full:?}");
}

#[test]
fn policy_that_deletes_twice_has_one_intent() {
    let log = Log::new();
    let policy = log.home.path().join("policy.wasm");
    let twice = include_str!("../malicious_policies/deletes_twice.wat");
    fs::write(&policy, crate::malicious_policies::text::bytes(twice)).expect("a file");
    let mut setup = Setup::jwt();
    setup.settings = log.settings();
    setup.policy = Some(text(&policy).to_owned());
    let server = setup.start();
    server.database("main").insert("note", Some("alice"));
    let response = server.delete("/learnings/note", Some(&user("alice")));
    let request_id = response.header("x-request-id").expect("an id").to_owned();
    log.wait_for(&[("event", "decision"), ("request_id", &request_id)]);
    stop(server);
    let entries = log.show(&[]);
    let of_request = |event: &str| {
        entries.iter().filter(|entry| entry["event"] == event && entry["request_id"] == *request_id).count()
    };
    assert_eq!((of_request("intent"), of_request("decision")), (1, 1), "{entries:#?}");
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(verified.contains("0 open"), "{verified}");
}

#[test]
fn start_records_the_key_and_what_it_removed() {
    use std::fmt::Write as _;
    let log = Log::new();
    let server = start(&log);
    let started = log.wait_for(&[("event", "started")]);
    let key = fs::read_to_string(log.public_key()).expect("the key");
    assert_eq!(
        (started["public_key"].as_str(), started["version"].as_str()),
        (Some(key.trim()), Some(env!("CARGO_PKG_VERSION")))
    );
    stop(server);
    let torn = b"{\"event\":\"inte";
    let files = fs::read_dir(log.directory.join("journal")).expect("the journal");
    let last = files.map(|file| file.expect("a file").path()).max().expect("a file");
    let bytes = [fs::read(&last).expect("the file"), torn.to_vec()].concat();
    fs::write(&last, bytes).expect("the file is written");
    let server = start(&log);
    let repaired = log.wait_for(&[("event", "repaired")]);
    let mut digest = String::new();
    for byte in super::tampering::sha256(&[torn]) {
        write!(digest, "{byte:02x}").expect("text can be written");
    }
    assert_eq!(
        (repaired["bytes"].as_u64(), repaired["sha256"].as_str()),
        (Some(torn.len() as u64), Some(digest.as_str()))
    );
    stop(server);
    let verified = log.verify(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(!verified.contains("incomplete"), "{verified}");
}
