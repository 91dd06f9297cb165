//! The module that the build with all mutants gets. It selects the mutant of the environment variable `MUTANT`, and if
//! `MUTANTS_REACHED` names a file, appends the number of each mutant that this process reaches.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

struct State {
    selected: usize,
    reached: Option<(File, Vec<AtomicBool>)>,
}

static STATE: OnceLock<State> = OnceLock::new();

/// Whether the code runs as this mutant.
#[inline]
pub fn is(mutant: usize) -> bool {
    let state = STATE.get_or_init(State::of_process);
    if let Some((file, reached)) = &state.reached
        && let Some(reached) = reached.get(mutant)
        && !reached.load(Ordering::Relaxed)
        && !reached.swap(true, Ordering::Relaxed)
    {
        let mut file = file;
        // One write of a short line to a file opened for appending is not torn by other processes.
        let _ = file.write_all(format!("{mutant}\n").as_bytes());
    }
    state.selected == mutant
}

impl State {
    fn of_process() -> Self {
        let selected = std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
        let reached = std::env::var_os("MUTANTS_REACHED").and_then(|path| {
            let file = OpenOptions::new().append(true).open(path).ok()?;
            Some((file, (0..COUNT).map(|_| AtomicBool::new(false)).collect()))
        });
        Self { selected, reached }
    }
}
