//! Runs a program under valgrind's tools.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A tool of valgrind, and what it counts.
pub struct Tool {
    arguments: &'static [&'static str],
    /// Option for the file of its report.
    report_option: &'static str,
    /// What is before the counts in its summary.
    label: &'static str,
    /// The counts, in the order of the summary.
    pub counts: &'static [&'static str],
}

pub const TOOLS: [Tool; 3] = [
    Tool {
        arguments: &["--tool=callgrind"],
        report_option: "--callgrind-out-file",
        label: "Collected :",
        counts: &["instructions"],
    },
    Tool {
        arguments: &["--tool=dhat"],
        report_option: "--dhat-out-file",
        label: "Total:",
        counts: &["allocated-bytes", "allocations"],
    },
    Tool {
        arguments: &["--tool=dhat", "--mode=copy"],
        report_option: "--dhat-out-file",
        label: "Total:",
        counts: &["copied-bytes", "copies"],
    },
];

impl Tool {
    /// Starts a program under the tool. The files of the run are in the directory: `log`, what the program printed,
    /// `summary`, and `report`, the details of the tool.
    pub fn start(&self, directory: &Path, program: &Path, arguments: &[&OsStr]) -> Result<Child> {
        let log = fs::File::create(directory.join("log"))?;
        let mut command = Command::new("valgrind");
        command.args(self.arguments);
        command.arg(format!("{}={}", self.report_option, directory.join("report").display()));
        command.arg(format!("--log-file={}", directory.join("summary").display()));
        command.arg(program).args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // One compiler thread, because several wait for each other in busy loops; and one thread of the server's runtime, so
        // that the counts do not depend on which thread does what.
        command.env("RAYON_NUM_THREADS", "1").env("TOKIO_WORKER_THREADS", "1");
        command.spawn().context("cannot run valgrind; on Debian, install the package `valgrind`")
    }

    /// Waits for the end of the program, and returns the counts.
    pub fn finish(&self, directory: &Path, mut child: Child) -> Result<Vec<u64>> {
        let status = child.wait()?;
        let summary = fs::read_to_string(directory.join("summary"))?;
        let log = fs::read_to_string(directory.join("log"))?;
        ensure!(status.success(), "{status}\n{summary}\n{log}");
        let after = |line: &'_ str| line.split_once(self.label).map(|(_, counts)| counts.to_owned());
        let line = summary.lines().rev().find_map(after).context("valgrind reported no count")?;
        let words = line.split_whitespace().map(|word| word.replace(',', ""));
        let counts: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        ensure!(counts.len() == self.counts.len(), "valgrind reported {line}");
        Ok(counts)
    }
}
