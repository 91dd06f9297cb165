//! The executable model of the specification, and whether the policy, the component and the server agree with it: on every
//! combination of configuration, caller, record, target and state of the database, and on whatever proptest makes up.

mod combinations;
mod generated;
mod rules;
mod server;
mod subjects;

use crate::support::optional::is_enabled;
use combinations::{STATES, callers, configurations, records, targets};
use rules::{Combination, Expected, expected};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use subjects::Subject;

/// Asks a subject about every combination, and prints how many there were and those on which it disagrees.
fn compare(name: &str, share: usize, subject: impl Fn() -> Subject + Sync) {
    let (next, share) = (AtomicUsize::new(0), Share::new(share));
    let wrong = Mutex::new(Vec::new());
    let (configurations, targets, records) = (configurations(), targets(), records());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let subject = subject();
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for caller in &callers(configuration) {
                        for (target, record, state) in each(&targets, &records, &STATES) {
                            let combination = Combination { configuration, caller, record, target, state };
                            if share.takes() {
                                note(&wrong, combination, &expected(combination), &subject.ask(combination));
                            }
                        }
                    }
                }
            });
        }
    });
    settle(name, &share, &wrong.into_inner().expect("no panic while writing"));
}

/// Every target with every record in every state.
fn each<'a, T, R, S: Copy>(
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

/// Which combinations a subject is asked about: every one where [`is_exhaustive`], else one in so many.
struct Share {
    one_in: usize,
    seen: AtomicUsize,
    taken: AtomicUsize,
}

impl Share {
    fn new(one_in: usize) -> Self {
        let one_in = if is_exhaustive() { 1 } else { one_in };
        Self { one_in, seen: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    fn takes(&self) -> bool {
        let takes = self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in);
        self.taken.fetch_add(usize::from(takes), Ordering::Relaxed);
        takes
    }
}

fn note(wrong: &Mutex<Vec<String>>, combination: Combination<'_>, expected: &Expected, observed: &Expected) {
    if expected != observed {
        let text = format!("{combination:?}\n    model    {expected:?}\n    observed {observed:?}");
        wrong.lock().expect("no panic while writing").push(text);
    }
}

fn settle(name: &str, share: &Share, wrong: &[String]) {
    const SHOWN: usize = 20;
    let [all, asked] = [&share.seen, &share.taken].map(|count| count.load(Ordering::Relaxed));
    println!("{name}: {} of {asked} combinations as the model has them; there are {all}", asked - wrong.len());
    for text in wrong.iter().take(SHOWN) {
        println!("  {text}");
    }
    assert!(wrong.is_empty(), "{name} disagrees with the model on {} combinations", wrong.len());
}

#[test]
fn the_policy_natively_decides_every_combination_as_the_model() {
    compare("the policy, natively", 1, Subject::native);
}

#[test]
fn the_component_in_its_sandbox_decides_every_combination_as_the_model() {
    compare("the component, in its sandbox", 23, Subject::sandbox);
}

#[test]
fn the_server_answers_every_combination_as_the_model() {
    server::compare();
}
