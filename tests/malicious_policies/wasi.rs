//! A policy that imports WASI finds nothing in it, and cannot use it against its host.

use super::record::{decide, good_goes_on, limits, run};
use super::text;
use crate::support::database::project;
use crate::support::server::Setup;
use delete_learning::{
    CapturedOutput, Decision, DeleteRequest, Limits, LoadError, Policy, PolicyError, RecordOutcome, Wasi,
    WasiNotGranted,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The text of this component of the folder `wasi`.
fn component(name: &str) -> Vec<u8> {
    let file = project("tests/malicious_policies/wasi").join(name).with_extension("wat");
    text::bytes(&std::fs::read_to_string(file).expect("its text"))
}

/// WASI, and nothing of what may be allowed in it.
const EMPTY: Wasi = Wasi { enabled: true, clocks: false, random: false };
const CLOCKS: Wasi = Wasi { clocks: true, ..EMPTY };
const RANDOM: Wasi = Wasi { random: true, ..EMPTY };

fn load(name: &str, limits: &Limits, wasi: Wasi) -> Policy {
    Policy::load_with(&component(name), limits, wasi, None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What the policy decides, more than once, and the shipped one goes on.
fn decision(name: &str, limits: &Limits, wasi: Wasi) -> Decision {
    let policy = load(name, limits, wasi);
    run(async {
        let (decision, _) = decide(&policy, "hers", None).await;
        let (again, _) = decide(&policy, "hers", None).await;
        assert_eq!((decision.rule(), decision.record), (again.rule(), again.record), "{decision:?} {again:?}");
        good_goes_on().await;
        decision
    })
}

fn is_deletion(decision: &Decision) -> bool {
    decision.answer.is_ok() && decision.record == RecordOutcome::Deleted
}

fn is_refusal(decision: &Decision) -> bool {
    decision.error.is_none() && decision.answer.as_ref().is_err_and(|rejection| rejection.status == 403)
}

#[test]
fn every_file_of_its_folder_is_tested_here() {
    let this = std::fs::read_to_string(project("tests/malicious_policies/wasi.rs")).expect("this file");
    for entry in std::fs::read_dir(project("tests/malicious_policies/wasi")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_str().expect("text");
        assert!(this.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn wasi_is_off_by_default_and_a_policy_that_imports_it_is_told_what_turns_it_on() {
    let error = Policy::load(&component("exits"), &limits()).err().expect("it is refused");
    assert!(matches!(&error, LoadError::WasiDisabled(names) if names == &["wasi:cli/exit@0.2.0"]), "{error:?}");
    assert!(error.to_string().contains("`enabled = true` under `[wasi]`"), "{error}");
}

#[test]
fn what_is_no_part_of_wasi_is_refused_with_wasi_on_too() {
    for name in ["wasi:http/outgoing-handler@0.2.0", "wasi:cli/environment@0.3.0", "wasi:keyvalue/store@0.2.0"] {
        let text = format!("(component (import \"{name}\" (instance (export \"f\" (func)))))");
        let error = Policy::load_with(&text::bytes(&text), &limits(), EMPTY, None).err().expect("it is refused");
        assert!(matches!(&error, LoadError::UnknownImports(names) if names == &[name]), "{error:?}");
    }
    // Named like one of WASI's, and not one of them.
    for name in ["wasi:cli/run@0.2.0", "wasi:cli/shell@0.2.0"] {
        let text = format!("(component (import \"{name}\" (instance (export \"f\" (func)))))");
        let error = Policy::load_with(&text::bytes(&text), &limits(), EMPTY, None).err().expect("it is refused");
        assert!(matches!(error, LoadError::IncompatibleWorld(_)) && error.to_string().contains(name), "{error:?}");
    }
}

#[test]
fn there_is_no_environment_no_file_no_socket_and_no_input() {
    assert!(std::env::vars().next().is_some() && std::env::args().next().is_some(), "there is something to be found");
    for name in ["reads_the_environment", "lists_files", "opens_sockets", "reads_its_input"] {
        for granted in [EMPTY, Wasi { clocks: true, random: true, ..EMPTY }] {
            let decision = decision(name, &limits(), granted);
            assert!(is_deletion(&decision), "{name}: {decision:?}");
        }
    }
}

#[test]
fn the_time_is_told_only_where_that_is_allowed() {
    assert!(is_deletion(&decision("asks_the_time", &limits(), CLOCKS)));
    for name in ["asks_the_time", "sleeps"] {
        let decision = decision(name, &limits(), RANDOM);
        assert!(
            matches!(decision.error, Some(PolicyError::NotGranted(WasiNotGranted::Clocks))),
            "{name}: {decision:?}"
        );
        assert!(decision.error.is_some_and(|fault| fault.to_string().contains("`clocks = true` under `[wasi]`")));
    }
}

#[test]
fn random_numbers_are_given_only_where_that_is_allowed() {
    assert!(is_deletion(&decision("asks_for_random_numbers", &limits(), RANDOM)));
    let refused = decision("asks_for_random_numbers", &limits(), CLOCKS);
    assert!(matches!(refused.error, Some(PolicyError::NotGranted(WasiNotGranted::Random))), "{refused:?}");
    assert!(refused.error.is_some_and(|fault| fault.to_string().contains("`random = true` under `[wasi]`")));
    // A page at once, and no byte more.
    let policy = load("asks_for_random_numbers", &limits(), RANDOM);
    assert!(is_deletion(&run(decide(&policy, &"x".repeat(4096), None)).0));
    let more = run(decide(&policy, &"x".repeat(4097), None)).0;
    assert!(matches!(more.error, Some(PolicyError::Sandbox(_))), "{more:?}");
}

#[test]
fn the_seed_of_a_hash_map_is_the_same_in_every_request_unless_randomness_is_allowed() {
    assert!(is_deletion(&decision("seeds_a_hash_map", &limits(), CLOCKS)));
    let policy = load("seeds_a_hash_map", &limits(), RANDOM);
    assert!(is_deletion(&run(decide(&policy, "hers", Some("other than 0"))).0));
}

#[test]
fn one_that_sleeps_for_a_day_is_stopped_by_the_wall_clock() {
    let limits = Limits { execution_timeout_ms: 200, ..limits() };
    let policy = load("sleeps", &limits, CLOCKS);
    for db_id in [None, Some("by another function")] {
        let begun = Instant::now();
        let (decision, is_there) = run(decide(&policy, "hers", db_id));
        assert!(matches!(decision.error, Some(PolicyError::ExecutionTimeout)) && is_there, "{decision:?}");
        assert!(begun.elapsed() >= Duration::from_millis(200) && begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn one_that_exits_has_not_answered() {
    let decision = decision("exits", &limits(), EMPTY);
    assert!(matches!(decision.error, Some(PolicyError::Exited(0))), "{decision:?}");
    assert_eq!(decision.record, RecordOutcome::Deleted);
}

#[test]
fn calls_to_wasi_are_as_many_as_the_limit_and_no_more() {
    let limits = Limits { max_wasi_calls: 5, max_host_calls: 1, ..limits() };
    let policy = load("calls", &limits, CLOCKS);
    let calls = |calls: usize, db_id| run(decide(&policy, &"x".repeat(calls), db_id));
    let (decision, _) = calls(5, None);
    assert!(is_refusal(&decision), "{decision:?}");
    // They are not among those to identity and storage.
    let (decision, _) = calls(5, Some("delete, too"));
    assert!(matches!(decision.error, Some(PolicyError::RejectedAfterDeletion { .. })), "{decision:?}");
    let (decision, _) = calls(6, None);
    assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)), "{decision:?}");
    // After one too many nothing is deleted any more.
    let (decision, is_there) = calls(6, Some("delete, too"));
    assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)) && is_there, "{decision:?}");
}

#[test]
fn one_that_calls_wasi_without_end_is_stopped() {
    let policy = load("calls", &limits(), CLOCKS);
    let request = || DeleteRequest { learning_id: "x".to_owned(), db_id: None, table: Some("without end".to_owned()) };
    let limitless = Limits { max_wasi_calls: u32::MAX, ..limits() };
    let patient = load("calls", &limitless, CLOCKS);
    run(async {
        let storage = || delete_learning::storage::Databases(Vec::new()).record(&request());
        let caller = || Ok(super::record::caller());
        let decision = policy.decide(request(), caller(), storage()).await;
        assert!(matches!(decision.error, Some(PolicyError::TooManyCalls)), "{decision:?}");
        // What it does there is its own time.
        let decision = patient.decide(request(), caller(), storage()).await;
        assert!(matches!(decision.error, Some(PolicyError::CpuTimeLimit)), "{decision:?}");
    });
}

#[test]
fn timers_are_as_many_as_table_elements_have_room_for_and_no_more() {
    // Each takes two places: what is waited for, and the handle to wait.
    let policy = load("hoards_timers", &Limits { max_table_elements: 100, ..limits() }, CLOCKS);
    let timers = |timers: usize| run(decide(&policy, &"x".repeat(timers), None)).0;
    assert!(is_refusal(&timers(50)), "{:?}", timers(50));
    assert!(matches!(timers(51).error, Some(PolicyError::Sandbox(_))), "{:?}", timers(51));
}

#[test]
fn what_it_prints_is_kept_up_to_the_limit_and_the_rest_is_counted() {
    let limits = Limits { max_captured_output_bytes: 100, max_host_call_bytes: 2000, ..limits() };
    let policy = load("prints", &limits, EMPTY);
    let prints = |id: &str, times: usize| run(decide(&policy, id, Some(&"x".repeat(times)))).0;
    let printed =
        |decision: &Decision| decision.output.as_ref().map(|output| (output.text.len(), output.dropped_bytes));
    for (bytes, times, expected) in [
        (10, 0, None),
        (10, 1, Some((10, 0))),
        (50, 2, Some((100, 0))),
        (101, 1, Some((100, 1))),
        // 14 of its 2000 bytes are those of its refusal.
        (662, 3, Some((100, 1886))),
    ] {
        let decision = prints(&"x".repeat(bytes), times);
        assert!(is_refusal(&decision), "{decision:?}");
        assert_eq!(printed(&decision), expected);
    }
    let decision = prints(&"x".repeat(1987), 1);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
    let decision = prints(&"x".repeat(667), 3);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
    assert_eq!(printed(&decision), Some((100, 1901)), "what it printed is kept, whatever became of it");
}

#[test]
fn zeroes_that_it_prints_are_counted_before_they_are_made() {
    let decision = decision("prints_zeroes", &limits(), EMPTY);
    assert!(matches!(decision.error, Some(PolicyError::TooManyBytes)), "{decision:?}");
}

#[test]
fn what_does_not_print_is_escaped_in_what_it_prints() {
    let policy = load("prints", &limits(), EMPTY);
    let prints = |text: &str| run(decide(&policy, text, Some("x"))).0.output.expect("what it printed").text;
    for text in ["plain", "\"quoted\" \\ 'text'", "日本 ß", "two\nlines\tand a tab"] {
        assert_eq!(prints(text), text);
    }
    assert_eq!(prints("\u{1b}[2J"), "\\u{1b}[2J");
    assert_eq!(prints("a\r\0\u{85}\u{202e}\u{7f}"), "a\\u{d}\\u{0}\\u{85}\\u{202e}\\u{7f}");
}

/// A host that runs this policy; the folder of its file must outlive it.
fn host(name: &str, wasi: &str) -> (crate::support::server::Host, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("policy.wasm");
    std::fs::write(&file, component(name)).expect("a file can be written");
    let settings = format!("sandbox.max_captured_output_bytes = 20\n[wasi]\n{wasi}");
    (Setup { policy: Some(file.display().to_string()), settings, ..Setup::open() }.start(), folder)
}

#[test]
fn a_running_host_logs_what_a_policy_prints_and_keeps_it_out_of_the_audit_record() {
    let (host, _folder) = host("prints", "enabled = true");
    let answer = host.delete("/learnings/printed%1B%0A-text-and-more?db_id=main", None);
    assert_eq!(answer.status, 403, "{answer:?}");
    let entry = host.logged(&["\"policy\"", "printed", "dropped_bytes"]);
    assert_eq!(entry["output"], "printed\\u{1b}\n-text-and-m", "{entry}");
    assert_eq!(entry["dropped_bytes"], 72, "{entry}");
    let audit = host.logged(&["\"audit\"", "hostile"]);
    assert!(audit.get("output").is_none() && !audit.to_string().contains("dropped_bytes"), "{audit}");
    assert_eq!(audit["request_id"], entry["span"]["request_id"]);
}

#[test]
fn a_running_host_says_which_key_a_policy_wants() {
    let (host, _folder) = host("asks_the_time", "enabled = true");
    host.delete("/learnings/x", None).is_error(500, "Internal server error", "INTERNAL_SERVER_ERROR");
    let audit = host.logged(&["\"audit\"", "policy_fault"]);
    assert!(audit["policy_fault"].as_str().is_some_and(|fault| fault.contains("`clocks = true`")), "{audit}");
}

#[test]
fn check_says_what_a_policy_imports_of_wasi_and_what_it_needs() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("policy.wasm");
    std::fs::write(&file, component("asks_the_time")).expect("a file can be written");
    let check = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_delete-learning"));
        let output = command.arg("check").arg(&file).args(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "it fails cases");
        String::from_utf8(output.stdout).expect("text")
    };
    let shown = check(&[]);
    for part in ["3 of the imports", "wasi:clocks/wall-clock@0.2.0", "does not fit", "`enabled = true` under `[wasi]`"]
    {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    let shown = check(&["--wasi"]);
    assert!(shown.contains("contract    fits") && shown.contains("`clocks = true` under `[wasi]`"), "{shown}");
    let shown = check(&["--wasi", "--wasi-clocks"]);
    assert!(shown.contains("contract    fits") && !shown.contains("`clocks = true`"), "{shown}");
    let report: serde_json::Value = serde_json::from_str(&check(&["--json"])).expect("JSON");
    assert_eq!(report["wasi"].as_array().map(Vec::len), Some(3), "{report}");
}

#[test]
fn an_output_is_told_apart_from_none() {
    let policy = load("prints", &Limits { max_captured_output_bytes: 0, ..limits() }, EMPTY);
    let (decision, _) = run(decide(&policy, "four", Some("x")));
    assert_eq!(decision.output, Some(CapturedOutput { text: String::new(), dropped_bytes: 4 }));
}
