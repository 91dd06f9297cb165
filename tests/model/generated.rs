//! Compares the policy, the component and the server with the model on configurations, callers, records and requests that
//! proptest generates.
//!
//! proptest shrinks a failure and stores its seed in `proptest-regressions`. Later runs start with the stored seeds.

use super::combinations::texts;
use super::rules::{
    Caller, Combination, Configuration, Effect, Inactive, MAX_ID_BYTES, Mode, Record, State, TABLE, Target,
    expected_effect,
};
use super::server::{Encoding, ServerSubject};
use super::subjects::Subject;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};
use proptest::{option, prop_oneof};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// A generated request.
#[derive(Clone, Debug)]
struct GeneratedRequest {
    caller: Caller,
    record: Record,
    target: Target,
    state: State,
    encoding: Encoding,
}

/// Any text.
fn text(max_chars: usize) -> impl Strategy<Value = String> + Clone {
    vec(any::<char>(), 0..=max_chars).prop_map(String::from_iter)
}

/// The name of an owner or caller: one of a few similar names, or any text.
fn name() -> impl Strategy<Value = String> {
    let similar =
        ["alice", "Alice", "alice ", "alice\0", "sa:bot", "bot", "", "é", "e\u{301}", "7", "07", "NULL", "sa:"];
    prop_oneof![3 => select(texts(&similar)), 2 => text(8)]
}

/// A scope: a valid one, a similar one, or any text.
fn scope(admin_scope: String) -> impl Strategy<Value = String> + Clone {
    let known = [
        "learnings:delete",
        "learnings:*:delete",
        "agent_os:admin",
        "learnings:read",
        "learnings:write",
        "learnings:*",
        "learnings::delete",
        "learnings:delete ",
        "LEARNINGS:DELETE",
        "learnings:a:delete",
        "*",
        "*:*",
        "",
    ];
    prop_oneof![6 => select(texts(&known)), 2 => Just(admin_scope), 1 => text(8)]
}

fn configuration(
    admin_scope: impl Strategy<Value = String>,
    databases: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = Configuration> {
    let mode = prop_oneof![1 => Just(Mode::None), 2 => Just(Mode::SecurityKey), 6 => Just(Mode::Jwt)];
    let parts = (mode, any::<bool>(), any::<bool>(), any::<bool>(), admin_scope, databases);
    parts.prop_map(|(mode, accounts, enforce_scopes, user_isolation, admin_scope, databases)| Configuration {
        mode,
        service_accounts: accounts && mode != Mode::None,
        enforce_scopes,
        user_isolation,
        admin_scope,
        databases,
    })
}

/// A caller of this deployment.
fn caller(configuration: &Configuration) -> impl Strategy<Value = Caller> + use<> {
    let scopes = vec(scope(configuration.admin_scope.clone()), 0..5);
    let of_any_mode = prop_oneof![
        1 => Just(Caller::Anonymous),
        1 => Just(Caller::InvalidCredential),
        1 => Just(Caller::Malformed),
        1 => Just(Caller::TwoCredentials),
        1 => select(vec![Inactive::Unknown, Inactive::Expired, Inactive::Revoked]).prop_map(Caller::InactiveServiceAccount),
        3 => Just(Caller::AccountStoreUnavailable),
    ];
    let account = (name(), scopes.clone()).prop_map(|(name, scopes)| Caller::ServiceAccount { name, scopes });
    let token = (option::weighted(0.9, name()), scopes).prop_map(|(sub, scopes)| Caller::Token { scopes, sub });
    match configuration.mode {
        Mode::None => prop_oneof![Just(Caller::Anonymous), Just(Caller::InvalidCredential)].boxed(),
        Mode::SecurityKey => prop_oneof![1 => of_any_mode, 2 => account, 2 => Just(Caller::SecurityKey)].boxed(),
        Mode::Jwt => {
            let invalid = prop_oneof![Just(Caller::ExpiredToken), Just(Caller::WrongAudience)];
            prop_oneof![2 => of_any_mode, 1 => invalid, 4 => account, 12 => token].boxed()
        }
    }
}

/// A record of the caller, of a user with a similar name, of another user, without an owner, or absent.
fn record(caller: &Caller) -> impl Strategy<Value = Record> + use<> {
    let subject = match caller {
        Caller::Token { sub, .. } => sub.clone(),
        Caller::ServiceAccount { name, .. } => Some(format!("sa:{name}")),
        _ => None,
    };
    let subject = subject.unwrap_or_default();
    let similar =
        vec![subject.to_uppercase(), format!("{subject} "), format!("sa:{subject}"), subject.replace("sa:", "")];
    prop_oneof![
        2 => Just(Record::Absent),
        2 => Just(Record::Unowned),
        6 => Just(Record::OwnedBy(subject)),
        2 => select(similar).prop_map(Record::OwnedBy),
        2 => name().prop_map(Record::OwnedBy),
    ]
}

fn target(databases: Vec<String>) -> impl Strategy<Value = Target> {
    let unusual =
        [".", "..", "a/b", "a/", "/", "%", "%2F", "%25", "a+b", "a b", "?x=1", "#", "'; DROP TABLE x; --", "\0"];
    let id = prop_oneof![
        8 => select(texts(&unusual)).prop_map(Some),
        16 => vec(any::<char>(), 1..20).prop_map(|id| Some(String::from_iter(id))),
        2 => (MAX_ID_BYTES - 2..MAX_ID_BYTES + 3).prop_map(|length| Some("i".repeat(length))),
        1 => Just(None),
    ];
    let long = "é".repeat(300);
    let unusual = vec![String::new(), "unknown".to_owned(), "main ".to_owned(), "MAIN".to_owned(), long.clone()];
    let db_id = prop_oneof![12 => select(databases), 2 => select(unusual), 1 => text(6)];
    let unusual = vec![String::new(), TABLE.to_uppercase(), "agno_sessions".to_owned(), format!("{TABLE}\""), long];
    let table = prop_oneof![8 => Just(TABLE.to_owned()), 2 => select(unusual), 1 => text(6)];
    let value_count = || prop_oneof![8 => 0..=1_usize, 1 => 2..=3_usize];
    let values =
        (value_count(), value_count(), [db_id.clone(), db_id.clone(), db_id], [table.clone(), table.clone(), table]);
    (id, values).prop_map(|(id, (ids, tables, db_id, table))| Target {
        id,
        db_id: db_id.into_iter().take(ids).collect(),
        table: table.into_iter().take(tables).collect(),
    })
}

fn request(configuration: &Configuration, states: Vec<State>) -> impl Strategy<Value = GeneratedRequest> + use<> {
    let target = target(configuration.databases.clone());
    let with_record = caller(configuration).prop_flat_map(|caller| (record(&caller), Just(caller)));
    let state = prop_oneof![5 => Just(State::Available), 1 => select(states)];
    (with_record, target, state, any::<u64>()).prop_map(|((record, caller), target, state, encoding)| {
        GeneratedRequest { caller, record, target, state, encoding: Encoding(encoding) }
    })
}

/// Runs a test on generated values, and prints its seed and the number of requests by status.
///
/// A run is meaningful only if it covers every status. A few cases can miss one by chance, so they are followed by as many
/// others, with the next seed. `SEED` in the environment repeats a run. The seed of a failure is stored in this file and is run
/// first from then on.
fn run<S: Strategy>(name: &str, file: &'static str, cases: u32, strategy: &S, test: impl Fn(S::Value) -> Statuses) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let first_seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(name));
    let statuses = RefCell::new(BTreeMap::new());
    let missing = || COVERED_STATUSES.into_iter().find(|status| !statuses.borrow().contains_key(status));
    for seed in (0..10).map(|round| first_seed.wrapping_add(round)) {
        let mut runner = TestRunner::new(Config {
            cases,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
            // Milliseconds. Over HTTP, every attempt to shrink a failure starts a process.
            max_shrink_time: 30_000,
            ..Config::default()
        });
        let outcome = runner.run(strategy, |value| {
            for status in test(value)? {
                *statuses.borrow_mut().entry(status).or_insert(0_usize) += 1;
            }
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, value)) => panic!("{name}, seed {seed}: {reason}\n{value:#?}"),
            Err(TestError::Abort(reason)) => panic!("{name}, seed {seed}: {reason}"),
        }
        if missing().is_none() {
            break;
        }
    }
    assert_eq!(missing(), None, "no generated request was answered with this status");
    let statuses = statuses.into_inner();
    let total: usize = statuses.values().sum();
    let counts: Vec<_> = statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    println!("{name}: {total} generated requests agree with the model (seed {first_seed}); {}", counts.join(", "));
}

/// The statuses that every run must cover.
const COVERED_STATUSES: [u16; 7] = [204, 400, 401, 403, 404, 500, 503];

/// The statuses of the answers that agree with the model.
type Statuses = Result<Vec<u16>, TestCaseError>;

/// Returns the status of the answer, or an error if the model disagrees.
fn compare(combination: Combination<'_>, observed: &Effect) -> Result<u16, TestCaseError> {
    let expected = expected_effect(combination);
    if expected == *observed {
        return Ok(observed.error.as_ref().map_or(204, |(status, ..)| *status));
    }
    Err(TestCaseError::fail(format!("{combination:?}\n    model    {expected:?}\n    observed {observed:?}")))
}

fn combination<'a>(configuration: &'a Configuration, request: &'a GeneratedRequest) -> Combination<'a> {
    let GeneratedRequest { caller, record, target, state, .. } = request;
    Combination { configuration, caller, record, target, state: *state }
}

/// Returns the first number, or the second if [`is_exhaustive`](super::is_exhaustive).
fn cases(sampled: u32, exhaustive: u32) -> u32 {
    if super::is_exhaustive() { exhaustive } else { sampled }
}

fn compare_subject(name: &str, cases: u32, subject: &Subject) {
    let any_name = vec(any::<char>(), 1..6).prop_map(String::from_iter);
    let databases = vec(prop_oneof![Just("main".to_owned()), any_name], 1..4).prop_map(|mut names| {
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    });
    let states = vec![State::TableMissing, State::Busy];
    let strategy = configuration(scope("root".to_owned()), databases)
        .prop_flat_map(move |configuration| (request(&configuration, states.clone()), Just(configuration)));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/model/proptest-regressions/policy.txt");
    run(name, file, cases, &strategy, |(request, configuration)| {
        let combination = combination(&configuration, &request);
        compare(combination, &subject.decide(combination)).map(|status| vec![status])
    });
}

#[test]
fn native_policy_agrees_with_model_on_generated_requests() {
    compare_subject("native policy", cases(3_000, 200_000), &Subject::native());
}

#[test]
fn sandboxed_component_agrees_with_model_on_generated_requests() {
    compare_subject("component in the sandbox", cases(500, 20_000), &Subject::sandbox());
}

#[test]
fn server_agrees_with_model_on_generated_requests() {
    // Only valid configurations: the server does not start with others. Database ids are also file names.
    let databases = select(vec![texts(&["main"]), texts(&["main", "second"]), texts(&["ü 🦀", "MAIN", "main"])]);
    let admin_scope = scope("root".to_owned())
        .prop_filter("valid in a configuration", |scope| !scope.is_empty() && !scope.contains('\u{7f}'));
    // Many requests for each process, because starting one is slow.
    let strategy = configuration(admin_scope, databases).prop_flat_map(|configuration| {
        (vec(request(&configuration, vec![State::TableMissing]), 40..80), Just(configuration))
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/model/proptest-regressions/server.txt");
    run("server", file, cases(8, 100), &strategy, |(requests, configuration)| {
        let server = ServerSubject::start(&configuration);
        let send = |request: &GeneratedRequest| {
            let combination = combination(&configuration, request);
            compare(combination, &server.delete(combination, request.encoding))
        };
        requests.iter().map(send).collect()
    });
}
