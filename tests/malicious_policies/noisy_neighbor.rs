//! The default policy keeps serving while malicious policies run in the same process, and memory does not grow.
//!
//! A short run of `measurement.rs`. For figures, run the benchmark program:
//!
//! ```console
//! $ cargo run --release --manifest-path tests/bench/Cargo.toml -- noisy-neighbor --seconds 30 --rate 10 --first 1000 --last 100000
//! ```

use super::COMPONENTS;
use super::measurement::{self, Plan};
use crate::support::server::resident_bytes;
use std::process::Command;

/// Makes [`measurement_in_child_process`] measure. Internal: only the test below sets it, in its child process.
const CHILD_VARIABLE: &str = "DELETE_LEARNING_INTERNAL_NOISY_NEIGHBOR";

#[test]
fn malicious_requests_do_not_stop_others_or_leak_memory() {
    // Its own process, because resident memory is that of all tests in a process.
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["malicious_policies::noisy_neighbor::measurement_in_child_process", "--exact", "--nocapture"])
        .env(CHILD_VARIABLE, "1")
        .output()
        .expect("the test program starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    assert!(
        output.status.success() && printed.contains("% of the throughput"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Does nothing unless [`CHILD_VARIABLE`] is set.
#[test]
fn measurement_in_child_process() {
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    let loadable = COMPONENTS.iter().filter(|(_, expectation, _)| *expectation != "fails_to_load");
    // One in six, because compiling them takes most of the time.
    let texts: Vec<&str> = loadable.step_by(6).map(|(_, _, text)| *text).collect();
    let plan = Plan { pairs: 2, rate: 10, first: 100, last: 300, resident_bytes: || resident_bytes("self") };
    measurement::run(&plan, &texts);
}
