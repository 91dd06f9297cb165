//! The executable model of the specification, and whether the policy, the component and the server agree with it on every
//! combination of configuration, caller, record, target and state of the database.

mod combinations;
mod doors;
mod rules;
mod server;

use combinations::{RECORDS, STATES, callers, configurations, targets};
use doors::Door;
use rules::{Caller, Configuration, Expected, Record, State, Target, expected};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Asks a door about every combination, and prints how many there were and those on which it disagrees.
fn compare(name: &str, share: usize, door: impl Fn() -> Door + Sync) {
    let (asked, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (share, wrong) = (Share::new(share), Mutex::new(Vec::new()));
    let configurations = configurations();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let door = door();
                while let Some(configuration) = configurations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for state in STATES {
                        for target in targets() {
                            for caller in callers(configuration.mode) {
                                for record in RECORDS {
                                    if !share.takes() {
                                        continue;
                                    }
                                    asked.fetch_add(1, Ordering::Relaxed);
                                    let expected = expected(configuration, caller, record, target, state);
                                    let observed = door.ask(configuration, caller, record, target, state);
                                    note(&wrong, (configuration, caller, record, target, state), &expected, &observed);
                                }
                            }
                        }
                    }
                }
            });
        }
    });
    settle(name, asked.into_inner(), &share, &wrong.into_inner().expect("no panic while writing"));
}

/// Which combinations a door is asked about: every one where `CI` is set, else one in so many.
struct Share {
    one_in: usize,
    seen: AtomicUsize,
}

impl Share {
    fn new(one_in: usize) -> Self {
        let one_in = if std::env::var_os("CI").is_some() { 1 } else { one_in };
        Self { one_in, seen: AtomicUsize::new(0) }
    }

    fn takes(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in)
    }
}

/// A combination, as it is printed.
type Combination<'a> = (&'a Configuration, Caller, Record, Target, State);

fn note(wrong: &Mutex<Vec<String>>, combination: Combination<'_>, expected: &Expected, observed: &Expected) {
    if expected != observed {
        let text = format!("{combination:?}\n    model    {expected:?}\n    observed {observed:?}");
        wrong.lock().expect("no panic while writing").push(text);
    }
}

fn settle(name: &str, asked: usize, share: &Share, wrong: &[String]) {
    const SHOWN: usize = 20;
    let all = share.seen.load(Ordering::Relaxed);
    println!("{name}: {} of {asked} combinations as the model has them; there are {all}", asked - wrong.len());
    for text in wrong.iter().take(SHOWN) {
        println!("  {text}");
    }
    assert!(wrong.is_empty(), "{name} disagrees with the model on {} combinations", wrong.len());
}

#[test]
fn the_policy_natively_decides_every_combination_as_the_model() {
    compare("the policy, natively", 1, Door::native);
}

#[test]
fn the_component_in_its_sandbox_decides_every_combination_as_the_model() {
    compare("the component, in its sandbox", 23, Door::sandbox);
}

#[test]
fn the_server_answers_every_combination_as_the_model() {
    server::compare();
}
