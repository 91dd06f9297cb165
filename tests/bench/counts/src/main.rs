//! Counts with valgrind what one decision and one request take, and compares the counts with the recorded ones.
//!
//! Each program runs twice, with few repetitions and with many. The difference excludes the start and the compilation.

mod decision;
mod recorded;
mod request;
mod valgrind;

use anyhow::Result;
use clap::Parser;
use recorded::Recorded;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;
use valgrind::{TOOLS, Tool};

/// Counts what one decision and one request take, and compares the counts with the recorded ones.
///
/// One decision resolves the record, runs the policy in a fresh instance and deletes the record, with storage and
/// identity in memory. One request is a DELETE with a JWT to the server on SQLite: everything that the process does for
/// it except in the kernel. An audited request is one with an audit log, a guarded request one with the guard legal-hold.
/// Needs valgrind. Exits with 1 if a count is more than 5 % above the recorded one.
///
/// The counts depend on the compiler, so they are recorded for each version of rustc. If there are none for this
/// version, they are compared with the last recorded ones with a tolerance of 15 %.
#[derive(Parser)]
struct Arguments {
    /// Record the counts for this compiler
    #[arg(long)]
    record: bool,
    /// Keep valgrind's reports in this directory, which show what allocates and copies
    #[arg(long, value_name = "DIRECTORY")]
    reports: Option<PathBuf>,
    /// Decide this many times without counting: the program that runs under valgrind
    #[arg(long, hide = true, value_name = "COUNT", requires = "cache")]
    decide: Option<u32>,
    /// The directory of compiled components, for `--decide`
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

/// Returns what a program does with this many repetitions, including the start.
type Count = fn(&Path, &Tool, u32) -> Result<Vec<u64>>;

const PROGRAMS: [(&str, Count); 4] = [
    ("decision", decision::count),
    ("request", request::count),
    ("audited-request", request::count_audited),
    ("guarded-request", request::count_guarded),
];
const FEW: u32 = 200;
const MANY: u32 = 1_200;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let (Some(count), Some(cache)) = (arguments.decide, &arguments.cache) {
        return decision::decide(count, cache).map(|()| ExitCode::SUCCESS);
    }
    let directory = TempDir::new()?;
    let directory = directory.path();
    let mut recorded = Recorded::read()?;
    let mut is_ok = true;
    for (program, count) in PROGRAMS {
        for tool in &TOOLS {
            // The first run of all compiles the component, which is not counted.
            count(directory, tool, 1)?;
            let (few, many) = (count(directory, tool, FEW)?, count(directory, tool, MANY)?);
            for ((name, few), many) in tool.counts.iter().zip(few).zip(many) {
                let of_one = many.saturating_sub(few) / u64::from(MANY - FEW);
                is_ok &= recorded.compare(format!("{program}-{name}"), of_one);
            }
            if let Some(reports) = &arguments.reports {
                fs::create_dir_all(reports)?;
                fs::copy(directory.join("report"), reports.join(format!("{program}-{}", tool.counts.join("-"))))?;
            }
        }
    }
    if arguments.record {
        recorded.write()?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
