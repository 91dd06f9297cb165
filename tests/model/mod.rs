//! Compares the policy, the component and the server with an executable model of the specification.
//!
//! They must agree on every combination of configuration, caller, record, target and state of the database
//! (`combinations.rs`), and on generated requests (`generated.rs`).

mod combinations;
mod generated;
mod rules;
mod server;
mod subjects;

use crate::support::optional::is_enabled;
use combinations::{STATES, callers, configurations, records, targets};
use rules::{Combination, Effect, expected_effect};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use subjects::Subject;

/// Runs a subject on one in so many combinations, and fails if it disagrees with the model.
fn compare(name: &str, one_in: usize, subject: impl Fn() -> Subject + Sync) {
    let (next, sample) = (AtomicUsize::new(0), Sample::new(one_in));
    let mismatches = Mutex::new(Vec::new());
    let (configurations, targets, records) = (configurations(), targets(), records());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let subject = subject();
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for caller in &callers(configuration) {
                        for (target, record, state) in combine(&targets, &records, &STATES) {
                            let combination = Combination { configuration, caller, record, target, state };
                            if sample.selects() {
                                let observed = subject.decide(combination);
                                record_mismatch(&mismatches, combination, &expected_effect(combination), &observed);
                            }
                        }
                    }
                }
            });
        }
    });
    assert_no_mismatches(name, &sample, &mismatches.into_inner().expect("no thread panicked"));
}

/// Combines every target with every record in every state.
fn combine<'a, T, R, S: Copy>(
    targets: &'a [T],
    records: &'a [R],
    states: &'a [S],
) -> impl Iterator<Item = (&'a T, &'a R, S)> {
    let records_of = move |target| records.iter().map(move |record| (target, record));
    let both = targets.iter().flat_map(records_of);
    both.flat_map(move |(target, record)| states.iter().map(move |state| (target, record, *state)))
}

/// Whether to check every combination instead of a sample: `EXHAUSTIVE=1`.
fn is_exhaustive() -> bool {
    is_enabled("EXHAUSTIVE")
}

/// Selects the combinations that are checked: all of them if [`is_exhaustive`], otherwise one in so many.
struct Sample {
    one_in: usize,
    total: AtomicUsize,
    selected: AtomicUsize,
}

impl Sample {
    fn new(one_in: usize) -> Self {
        let one_in = if is_exhaustive() { 1 } else { one_in };
        Self { one_in, total: AtomicUsize::new(0), selected: AtomicUsize::new(0) }
    }

    fn selects(&self) -> bool {
        let selects = self.total.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in);
        self.selected.fetch_add(usize::from(selects), Ordering::Relaxed);
        selects
    }
}

fn record_mismatch(
    mismatches: &Mutex<Vec<String>>,
    combination: Combination<'_>,
    expected: &Effect,
    observed: &Effect,
) {
    if expected != observed {
        let text = format!("{combination:?}\n    model    {expected:?}\n    observed {observed:?}");
        mismatches.lock().expect("no thread panicked").push(text);
    }
}

/// Prints how many combinations agree and the first mismatches, and fails if there is a mismatch.
fn assert_no_mismatches(name: &str, sample: &Sample, mismatches: &[String]) {
    const MAX_PRINTED: usize = 20;
    let [total, checked] = [&sample.total, &sample.selected].map(|count| count.load(Ordering::Relaxed));
    println!("{name}: {} of {checked} checked combinations agree, of {total}", checked - mismatches.len());
    for text in mismatches.iter().take(MAX_PRINTED) {
        println!("  {text}");
    }
    assert!(mismatches.is_empty(), "{name} disagrees with the model on {} combinations", mismatches.len());
}

#[test]
fn native_policy_agrees_with_model_on_every_combination() {
    compare("native policy", 1, Subject::native);
}

#[test]
fn sandboxed_component_agrees_with_model_on_combinations() {
    compare("component in the sandbox", 131, Subject::sandbox);
}

#[test]
fn server_agrees_with_model_on_combinations() {
    server::compare();
}
