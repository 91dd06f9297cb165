//! Runs the tests: each alone to see what it reaches, then each mutant with the tests that reach it.

use crate::build::Program;
use crate::list::{Mutant, Status};
use crate::test::{self, Outcome};
use crate::{Directory, read_json};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

const WORKERS: usize = 2;
/// How long a test may take that runs without a mutant.
const LONGEST_TEST: Duration = Duration::from_secs(300);
/// How many tests run in the first process of a mutant; each further one runs twice as many. They take at most this part of the
/// time of a mutant. Tests of one process share what takes long to start, such as PostgreSQL.
const FIRST_CHUNK: usize = 8;
const CHUNK_PART: u32 = 2;
/// How many tests of a mutant run even if they take longer in all.
const AT_LEAST: usize = 2;

/// What a test did without a mutant.
#[derive(Clone, Deserialize, Serialize)]
struct Test {
    /// The program and the name in it.
    name: (String, String),
    passed: bool,
    milliseconds: u64,
    reached: Vec<usize>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Result {
    number: usize,
    caught_by: Option<String>,
    timed_out: bool,
    /// The tests that did not catch it.
    passed: Vec<String>,
    /// Whether tests that reach it were left out, because of the time.
    incomplete: bool,
}

fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last line is torn if the program was killed.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn append(path: &Path, value: &impl Serialize) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let line = format!("{}\n", serde_json::to_string(value).expect("JSON"));
    file.write_all(line.as_bytes()).expect("a line");
}

fn tests(directory: &Directory) -> BTreeMap<(String, String), Test> {
    let tests = read_lines::<Test>(&directory.tests()).into_iter();
    tests.map(|test| (test.name.clone(), test)).collect()
}

/// The last result of each mutant, with every test that it passed.
fn results(directory: &Directory) -> HashMap<usize, Result> {
    let mut results = HashMap::<usize, Result>::new();
    for mut result in read_lines::<Result>(&directory.results()) {
        if let Some(before) = results.remove(&result.number) {
            result.passed.extend(before.passed);
        }
        results.insert(result.number, result);
    }
    results
}

/// Runs the work on all threads, with the number of the thread.
fn in_parallel<T: Send>(work: Vec<T>, run: impl Fn(usize, T) + Sync) {
    let work = Mutex::new(work.into_iter());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (work, run) = (&work, &run);
            scope.spawn(move || {
                loop {
                    let Some(next) = work.lock().expect("a lock").next() else { break };
                    run(worker, next);
                }
            });
        }
    });
}

/// Runs each test alone, and records what it reaches.
pub fn reach(directory: &Directory, filters: &[String]) {
    let programs: Vec<Program> = read_json(&directory.programs()).expect("the programs; run `build` first");
    let known = tests(directory);
    let mut work = Vec::new();
    for program in &programs {
        for name in test::names(program) {
            let test = (program.name.clone(), name);
            let repeat = filters.iter().any(|filter| test.1.contains(filter));
            if repeat || (filters.is_empty() && !known.contains_key(&test)) {
                work.push((program, test));
            }
        }
    }
    let count = work.len();
    let work = work.into_iter().enumerate().collect();
    in_parallel(work, |worker, (index, (program, name)): (usize, (&Program, (String, String)))| {
        let (outcome, time, reached) = test::reach(directory, program, &name.1, LONGEST_TEST, worker);
        let passed = outcome == Outcome::Passed;
        let milliseconds = u64::try_from(time.as_millis()).expect("a number");
        let note = if passed { "" } else { "FAILED" };
        println!("{index}/{count} {} {} {milliseconds} ms, {} mutants {note}", name.0, name.1, reached.len());
        append(&directory.tests(), &Test { name, passed, milliseconds, reached });
    });
}

/// Which tests caught mutants so far, by function and by file.
#[derive(Default)]
struct History(HashMap<(String, String), u32>);

impl History {
    fn count(&self, test: &str, mutant: &Mutant) -> u32 {
        let of = |place: &str| self.0.get(&(test.to_owned(), place.to_owned())).copied().unwrap_or_default();
        20 * of(&format!("{} {}", mutant.file(), mutant.function)) + 2 * of(mutant.file()).min(20)
    }

    fn add(&mut self, test: &str, mutant: &Mutant) {
        for place in [format!("{} {}", mutant.file(), mutant.function), mutant.file().to_owned()] {
            *self.0.entry((test.to_owned(), place)).or_default() += 1;
        }
    }
}

/// Orders the tests: what is fast, is about what it reaches, and caught similar mutants is first. One test of each module
/// precedes the other ones, because tests of a module are similar.
fn order(queue: &mut Vec<(String, &Test)>, mutant: &Mutant, history: &History) {
    // Words of the file and the function, which a test that is about them has in its name.
    let function = mutant.function.split(' ').next().unwrap_or_default().to_lowercase();
    let place = format!("{}/{function}", mutant.file().trim_end_matches(".rs"));
    let words: HashSet<&str> = place.split(|c: char| !c.is_alphanumeric()).collect();
    let common = ["host", "server", "sandbox", "policy", "storage", "with", "from", "delete", "record"];
    let words: Vec<&str> = words.into_iter().filter(|word| word.len() > 3 && !common.contains(word)).collect();
    let mut scored: Vec<_> = std::mem::take(queue)
        .into_iter()
        .map(|(name, test)| {
            let score = (50 + test.milliseconds) * (30 + test.reached.len() as u64);
            let related = words.iter().filter(|word| name.contains(**word)).count() as u64;
            (score / (1 + 40 * related + u64::from(history.count(&name, mutant))), name, test)
        })
        .collect();
    scored.sort_by_key(|(score, ..)| *score);
    let mut of_module = HashMap::<String, u64>::new();
    for (score, name, _) in &mut scored {
        let module = name.rsplit_once("::").map_or("", |(module, _)| module).to_owned();
        let before = of_module.entry(module).or_default();
        *before += 1;
        *score *= *before;
    }
    scored.sort_by_key(|(score, ..)| *score);
    queue.extend(scored.into_iter().map(|(_, name, test)| (name, test)));
}

/// Runs each mutant that is not caught yet with the tests that reach it.
pub fn run(directory: &Directory, arguments: &[String]) {
    let again = arguments.iter().any(|argument| argument == "--again");
    let budget = arguments.iter().find_map(|argument| argument.strip_prefix("--seconds="));
    let budget = Duration::from_secs(budget.map_or(120, |seconds| seconds.parse().expect("a number")));
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mutants: Vec<Mutant> = read_json(&directory.mutants()).expect("the mutants; run `build` first");
    let programs: Vec<Program> = read_json(&directory.programs()).expect("the programs; run `build` first");
    let tests = tests(directory);
    let results = results(directory);
    let mut reaching = HashMap::<usize, Vec<&Test>>::new();
    for test in tests.values().filter(|test| test.passed) {
        for mutant in &test.reached {
            reaching.entry(*mutant).or_default().push(test);
        }
    }
    let mut history = History::default();
    for result in results.values() {
        if let Some(test) = &result.caught_by {
            history.add(test, &mutants[result.number]);
        }
    }
    let history = Mutex::new(history);
    let is_open = |mutant: &&Mutant| {
        mutant.status == Status::Switched
            && results.get(&mutant.number).is_none_or(|result| result.caught_by.is_none())
            && (filters.is_empty() || filters.iter().any(|filter| mutant.name().contains(filter.as_str())))
    };
    let work: Vec<_> = mutants.iter().filter(is_open).enumerate().collect();
    let count = work.len();
    in_parallel(work, |worker, (index, mutant): (usize, &Mutant)| {
        let passed_before: HashSet<&String> = match results.get(&mutant.number) {
            Some(result) if !again => result.passed.iter().collect(),
            _ => HashSet::new(),
        };
        let reaching = reaching.get(&mutant.number).map(Vec::as_slice).unwrap_or_default();
        let mut queue: Vec<(String, &Test)> =
            reaching.iter().map(|test| (format!("{} {}", test.name.0, test.name.1), *test)).collect();
        queue.retain(|(name, _)| !passed_before.contains(name));
        order(&mut queue, mutant, &history.lock().expect("a lock"));
        let mut result =
            Result { number: mutant.number, caught_by: None, timed_out: false, passed: Vec::new(), incomplete: false };
        let mut spent = Duration::ZERO;
        let log = directory.state.join(format!("log-{worker}"));
        let (mut queue, mut size) = (VecDeque::from(queue), FIRST_CHUNK);
        while let Some((name, first)) = queue.pop_front() {
            let next = Duration::from_millis(first.milliseconds);
            let is_late = spent + next > budget && result.passed.len() >= AT_LEAST;
            if is_late || (next > budget && !result.passed.is_empty()) {
                result.incomplete = true;
                continue;
            }
            let program = programs.iter().find(|program| program.name == first.name.0).expect("a program");
            // Starting a process costs more than most tests do.
            let (mut chunk, mut milliseconds) = (vec![(name, first)], first.milliseconds);
            let is_likely = history.lock().expect("a lock").count(&chunk[0].0, mutant) > 0;
            let limit = if is_likely { 1 } else { size };
            size = if is_likely { size } else { 2 * size };
            while chunk.len() < limit
                && let Some(position) = queue.iter().position(|(_, test)| {
                    test.name.0 == first.name.0
                        && u128::from(milliseconds + test.milliseconds) < (budget / CHUNK_PART).as_millis()
                })
            {
                let next = queue.remove(position).expect("a test");
                milliseconds += next.1.milliseconds;
                chunk.push(next);
            }
            let run = |tests: &[(String, &Test)], number| {
                let names: Vec<&str> = tests.iter().map(|(_, test)| test.name.1.as_str()).collect();
                let milliseconds: u64 = tests.iter().map(|(_, test)| test.milliseconds).sum();
                let (outcome, time) =
                    test::run(program, &names, number, Duration::from_millis(milliseconds * 5 + 10_000), &log);
                (outcome, time, test::failed(&log))
            };
            let (outcome, time, failed) = run(&chunk, Some(mutant.number));
            spent += time;
            let failed = match (outcome, &failed) {
                (Outcome::Passed, _) => None,
                // Tests that run at the same time can be the reason.
                (Outcome::Failed, Some(failed)) if chunk.len() > 1 => {
                    let alone: Vec<_> = chunk.iter().filter(|(_, test)| test.name.1 == *failed).cloned().collect();
                    let fails = run(&alone, Some(mutant.number)).0 != Outcome::Passed;
                    fails.then(|| alone[0].0.clone())
                }
                (Outcome::Failed, _) => Some(chunk[0].0.clone()),
                // A machine that is busy can be the reason.
                (Outcome::TimedOut, _) => (run(&chunk, None).0 == Outcome::Passed).then(|| chunk[0].0.clone()),
            };
            let Some(failed) = failed else {
                result.passed.extend(chunk.into_iter().map(|(name, _)| name));
                continue;
            };
            history.lock().expect("a lock").add(&failed, mutant);
            result.timed_out = outcome == Outcome::TimedOut;
            result.caught_by = Some(failed);
            break;
        }
        let text = match &result.caught_by {
            Some(test) => format!("caught by {test}"),
            None => format!("SURVIVED {} of {} tests", result.passed.len(), reaching.len()),
        };
        println!("{index}/{count} {} ms {}: {text}", spent.as_millis(), mutant.name());
        append(&directory.results(), &result);
    });
}

/// Prints the mutants that no test caught, and how many there are of each kind.
pub fn survivors(directory: &Directory) {
    let mutants: Vec<Mutant> = read_json(&directory.mutants()).expect("the mutants; run `build` first");
    let results = results(directory);
    let mut counts = BTreeMap::<String, usize>::new();
    for mutant in &mutants {
        let kind = match (mutant.status, results.get(&mutant.number)) {
            (Status::Switched, None) => "not run".to_owned(),
            (Status::Switched, Some(result)) if result.caught_by.is_some() => "caught".to_owned(),
            (Status::Switched, Some(result)) if result.incomplete => "survived, incomplete".to_owned(),
            (Status::Switched, Some(result)) if result.passed.is_empty() => "survived, not reached".to_owned(),
            (Status::Switched, Some(_)) => "survived".to_owned(),
            (status, _) => format!("{status:?}"),
        };
        if kind.starts_with("survived") || kind == "Unswitchable" {
            println!("{kind}: {}", mutant.name());
        }
        *counts.entry(kind).or_default() += 1;
    }
    println!("{counts:?}");
}
