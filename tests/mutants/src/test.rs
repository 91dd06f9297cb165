//! Runs one test in a process of its own.

use crate::Directory;
use crate::build::Program;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    TimedOut,
}

/// The names of the tests of a program.
pub fn names(program: &Program) -> Vec<String> {
    let output = command(program).args(["--list", "--format", "terse"]).output().expect("a test program");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.path);
    command.current_dir(&program.package).env("CARGO_MANIFEST_DIR", &program.package).env_remove("CI");
    // In memory, because the tests wait mostly for the disk.
    if Path::new("/dev/shm").is_dir() {
        command.env("TMPDIR", "/dev/shm");
    }
    command
}

/// Runs tests in one process, with a mutant if there is one, until one of them fails or this time has passed.
pub fn run(
    program: &Program,
    tests: &[&str],
    mutant: Option<usize>,
    limit: Duration,
    log: &Path,
) -> (Outcome, Duration) {
    let mut command = command(program);
    command.arg("--exact").args(tests).env("MUTANT", mutant.map_or(String::new(), |number| number.to_string()));
    run_command(command, limit, log)
}

/// The test that failed, if its output in this file says so.
pub fn failed(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let failed = |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned);
    text.lines().find_map(failed)
}

/// Runs a test without a mutant, and returns the mutants that it reaches.
pub fn reach(
    directory: &Directory,
    program: &Program,
    test: &str,
    limit: Duration,
    worker: usize,
) -> (Outcome, Duration, Vec<usize>) {
    let file = directory.state.join(format!("reached-{worker}"));
    fs::write(&file, "").expect("a file");
    // Servers that run as another user write it too.
    let _ = fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut command = command(program);
    command.args(["--exact", test]).env("MUTANTS_REACHED", &file);
    let (outcome, time) = run_command(command, limit, &directory.state.join(format!("log-{worker}")));
    let reached = fs::read_to_string(&file).expect("the file");
    let reached: HashSet<usize> = reached.lines().filter_map(|line| line.parse().ok()).collect();
    let mut reached: Vec<usize> = reached.into_iter().collect();
    reached.sort_unstable();
    (outcome, time, reached)
}

fn run_command(mut command: Command, limit: Duration, log: &Path) -> (Outcome, Duration) {
    let output = File::create(log).expect("a file");
    command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file")).stderr(output).process_group(0);
    let started = Instant::now();
    let mut child = command.spawn().expect("a test program");
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child process") {
            break Some(status);
        }
        if started.elapsed() > limit {
            break None;
        }
        if failed(log).is_some() {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        }
        thread::sleep(Duration::from_millis(if started.elapsed().as_millis() < 200 { 2 } else { 20 }));
    };
    let time = started.elapsed();
    // Servers that the test left behind, too.
    let group = Pid::from_child(&child);
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
    let outcome = match status {
        Some(status) if status.success() => Outcome::Passed,
        Some(_) => Outcome::Failed,
        None => Outcome::TimedOut,
    };
    (outcome, time)
}
