//! What nobody thought of: configurations, callers, records and requests that proptest makes up, asked of the policy
//! natively, of the component in its sandbox, and of the server over HTTP. A failure is made as small as it goes, and kept
//! in `proptest-regressions`, where the next run begins.

use super::combinations::texts;
use super::rules::expected;
use super::rules::{Caller, Combination, Configuration, Ended, Expected, ID_BYTES, Mode, Record, State, TABLE, Target};
use super::server::{Served, Spelling};
use super::subjects::Subject;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};
use proptest::{option, prop_oneof};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// A request in a deployment.
#[derive(Clone, Debug)]
struct Asked {
    caller: Caller,
    record: Record,
    target: Target,
    state: State,
    spelling: Spelling,
}

/// Any text, of any characters.
fn text(most: usize) -> impl Strategy<Value = String> + Clone {
    vec(any::<char>(), 0..=most).prop_map(String::from_iter)
}

/// Who may own and who may call: a few that are easily taken for each other, and anybody.
fn name() -> impl Strategy<Value = String> {
    let alike = ["alice", "Alice", "alice ", "alice\0", "sa:bot", "bot", "", "é", "e\u{301}", "7", "07", "NULL", "sa:"];
    prop_oneof![3 => select(texts(&alike)), 2 => text(8)]
}

/// A scope: one of those that mean something somewhere, or any text.
fn scope(admin_scope: String) -> impl Strategy<Value = String> + Clone {
    let some = [
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
    prop_oneof![6 => select(texts(&some)), 2 => Just(admin_scope), 1 => text(8)]
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

/// Those who may call this deployment.
fn caller(configuration: &Configuration) -> impl Strategy<Value = Caller> + use<> {
    let scopes = vec(scope(configuration.admin_scope.clone()), 0..5);
    let of_any_mode = prop_oneof![
        1 => Just(Caller::Nobody),
        1 => Just(Caller::Bad),
        1 => Just(Caller::Malformed),
        1 => Just(Caller::Twice),
        1 => select(vec![Ended::Unknown, Ended::Expired, Ended::Revoked]).prop_map(Caller::BadServiceAccount),
        3 => Just(Caller::Unlucky),
    ];
    let account = (name(), scopes.clone()).prop_map(|(name, scopes)| Caller::ServiceAccount { name, scopes });
    let token = (option::weighted(0.9, name()), scopes).prop_map(|(sub, scopes)| Caller::Token { scopes, sub });
    match configuration.mode {
        Mode::None => prop_oneof![Just(Caller::Nobody), Just(Caller::Bad)].boxed(),
        Mode::SecurityKey => prop_oneof![1 => of_any_mode, 2 => account, 2 => Just(Caller::Root)].boxed(),
        Mode::Jwt => {
            let ended = prop_oneof![Just(Caller::Expired), Just(Caller::Elsewhere)];
            prop_oneof![2 => of_any_mode, 1 => ended, 4 => account, 12 => token].boxed()
        }
    }
}

/// A record whose owner has to do with who asks, or not.
fn record(caller: &Caller) -> impl Strategy<Value = Record> + use<> {
    let subject = match caller {
        Caller::Token { sub, .. } => sub.clone(),
        Caller::ServiceAccount { name, .. } => Some(format!("sa:{name}")),
        _ => None,
    };
    let subject = subject.unwrap_or_default();
    let near = vec![subject.to_uppercase(), format!("{subject} "), format!("sa:{subject}"), subject.replace("sa:", "")];
    prop_oneof![
        2 => Just(Record::Absent),
        2 => Just(Record::Unowned),
        6 => Just(Record::OwnedBy(subject)),
        2 => select(near).prop_map(Record::OwnedBy),
        2 => name().prop_map(Record::OwnedBy),
    ]
}

fn target(databases: Vec<String>) -> impl Strategy<Value = Target> {
    let odd = [".", "..", "a/b", "a/", "/", "%", "%2F", "%25", "a+b", "a b", "?x=1", "#", "'; DROP TABLE x; --", "\0"];
    let id = prop_oneof![
        8 => select(texts(&odd)).prop_map(Some),
        16 => vec(any::<char>(), 1..20).prop_map(|id| Some(String::from_iter(id))),
        2 => (ID_BYTES - 2..ID_BYTES + 3).prop_map(|length| Some("i".repeat(length))),
        1 => Just(None),
    ];
    let long = "é".repeat(300);
    let odd = vec![String::new(), "nowhere".to_owned(), "main ".to_owned(), "MAIN".to_owned(), long.clone()];
    let db_id = prop_oneof![12 => select(databases), 2 => select(odd), 1 => text(6)];
    let odd = vec![String::new(), TABLE.to_uppercase(), "agno_sessions".to_owned(), format!("{TABLE}\""), long];
    let table = prop_oneof![8 => Just(TABLE.to_owned()), 2 => select(odd), 1 => text(6)];
    let often_one = || prop_oneof![8 => 0..=1_usize, 1 => 2..=3_usize];
    let some = (often_one(), often_one(), [db_id.clone(), db_id.clone(), db_id], [table.clone(), table.clone(), table]);
    (id, some).prop_map(|(id, (ids, tables, db_id, table))| Target {
        id,
        db_id: db_id.into_iter().take(ids).collect(),
        table: table.into_iter().take(tables).collect(),
    })
}

fn asked(configuration: &Configuration, states: Vec<State>) -> impl Strategy<Value = Asked> + use<> {
    let target = target(configuration.databases.clone());
    let with_record = caller(configuration).prop_flat_map(|caller| (record(&caller), Just(caller)));
    let state = prop_oneof![5 => Just(State::Fine), 1 => select(states)];
    (with_record, target, state, any::<u64>()).prop_map(|((record, caller), target, state, spelling)| Asked {
        caller,
        record,
        target,
        state,
        spelling: Spelling(spelling),
    })
}

/// Runs a test on what a strategy makes, and prints how much of it and from which seed; the environment's `SEED` repeats
/// a run. A failure goes to the file of this name, and is tried first from then on.
fn run<S: Strategy>(name: &str, file: &'static str, cases: u32, strategy: &S, test: impl Fn(S::Value) -> Counted) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(name));
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        // Milliseconds: a failure over HTTP takes a process for every attempt at a smaller one.
        max_shrink_time: 30_000,
        ..Config::default()
    });
    let statuses = RefCell::new(BTreeMap::new());
    let outcome = runner.run(strategy, |value| {
        for status in test(value)? {
            *statuses.borrow_mut().entry(status).or_insert(0_usize) += 1;
        }
        Ok(())
    });
    let statuses = statuses.into_inner();
    let all: usize = statuses.values().sum();
    let each: Vec<_> = statuses.iter().map(|(status, count)| format!("{count} times {status}")).collect();
    println!("{name}: {all} generated requests as the model has them (seed {seed}); {}", each.join(", "));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, value)) => panic!("{name}, seed {seed}: {reason}\n{value:#?}"),
        Err(TestError::Abort(reason)) => panic!("{name}, seed {seed}: {reason}"),
    }
    // A run means something only if every answer was among its own.
    for status in [204, 400, 401, 403, 404, 500, 503] {
        assert!(statuses.contains_key(&status), "nothing that was made up is answered {status}");
    }
}

/// The statuses of answers that are as the model has them.
type Counted = Result<Vec<u16>, TestCaseError>;

fn agreed(combination: Combination<'_>, observed: &Expected) -> Result<u16, TestCaseError> {
    let expected = expected(combination);
    if expected == *observed {
        return Ok(observed.error.as_ref().map_or(204, |(status, ..)| *status));
    }
    Err(TestCaseError::fail(format!("{combination:?}\n    model    {expected:?}\n    observed {observed:?}")))
}

fn combination<'a>(configuration: &'a Configuration, asked: &'a Asked) -> Combination<'a> {
    let Asked { caller, record, target, state, .. } = asked;
    Combination { configuration, caller, record, target, state: *state }
}

/// So many, and more where everything is asked.
fn cases(few: u32, many: u32) -> u32 {
    if super::is_exhaustive() { many } else { few }
}

fn ask_subject(name: &str, cases: u32, subject: &Subject) {
    let any_name = vec(any::<char>(), 1..6).prop_map(String::from_iter);
    let databases = vec(prop_oneof![Just("main".to_owned()), any_name], 1..4).prop_map(|mut names| {
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    });
    let states = vec![State::TableMissing, State::Busy];
    let strategy = configuration(scope("root".to_owned()), databases)
        .prop_flat_map(move |configuration| (asked(&configuration, states.clone()), Just(configuration)));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/model/proptest-regressions/policy.txt");
    run(name, file, cases, &strategy, |(asked, configuration)| {
        let combination = combination(&configuration, &asked);
        agreed(combination, &subject.ask(combination)).map(|status| vec![status])
    });
}

#[test]
fn the_policy_natively_decides_whatever_is_made_up_as_the_model() {
    ask_subject("the policy, natively", cases(20_000, 200_000), &Subject::native());
}

#[test]
fn the_component_in_its_sandbox_decides_whatever_is_made_up_as_the_model() {
    ask_subject("the component, in its sandbox", cases(2_000, 20_000), &Subject::sandbox());
}

#[test]
fn the_server_answers_whatever_is_made_up_as_the_model() {
    // Names of databases are names of files, too. What a configuration may not say it is refused for at start.
    let databases = select(vec![texts(&["main"]), texts(&["main", "second"]), texts(&["ü 🦀", "MAIN", "main"])]);
    let admin_scope = scope("root".to_owned())
        .prop_filter("a name that TOML takes", |scope| !scope.is_empty() && !scope.contains('\u{7f}'));
    // A process serves many requests.
    let strategy = configuration(admin_scope, databases).prop_flat_map(|configuration| {
        (vec(asked(&configuration, vec![State::TableMissing]), 40..80), Just(configuration))
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/model/proptest-regressions/server.txt");
    run("the server, over HTTP", file, cases(12, 100), &strategy, |(all, configuration)| {
        let served = Served::start(&configuration);
        let ask = |asked: &Asked| {
            let combination = combination(&configuration, asked);
            agreed(combination, &served.ask(combination, asked.spelling))
        };
        all.iter().map(ask).collect()
    });
}
