//! `delete-learning audit verify`.

use super::progress::ProgressLine;
use super::{LogArguments, read, read_keys};
use crate::cli::CommandResult;
use delete_learning_server::audit::{self, Report};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Verifies a log.
pub(super) fn verify(log: &LogArguments, checkpoints: &[PathBuf]) -> CommandResult {
    let keys = read_keys(&log.public_key)?;
    let stored = checkpoints.iter().map(|path| Ok((path.clone(), read(path)?))).collect::<Result<Vec<_>, String>>()?;
    let mut line = ProgressLine::new();
    let result = audit::verify(&log.directory, &keys, &stored, &mut |progress| {
        line.show(progress.done, Some(progress.total));
    })?;
    drop(line);
    match result {
        Ok(report) => {
            print(&report, checkpoints.len())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(finding) => Err(format!(
            "the log {} does not verify: {finding}\nThe log was changed, or its files were mixed with those of another one. Keep the \
             directory as evidence; entries before the first bad one are proven by the checkpoints that were stored elsewhere.",
            log.directory.display()
        )
        .into()),
    }
}

fn print(report: &Report, stored: usize) -> io::Result<()> {
    let Report { entries, checkpoint, deletions, other_decisions, interrupted, open_intents, dropped, erased, .. } =
        report;
    let mut out = io::stdout().lock();
    writeln!(out, "the log {} verifies: {entries} entries, {} in the checkpoint", checkpoint.origin, checkpoint.size)?;
    writeln!(
        out,
        "{deletions} deletions, {other_decisions} other decisions, {interrupted} interrupted, {open_intents} open"
    )?;
    if stored > 0 {
        writeln!(out, "it contains the entries of {stored} checkpoints that were stored elsewhere")?;
    }
    if *dropped > 0 {
        writeln!(out, "{dropped} refusals were not recorded, because they exceeded audit.max_refusal_bytes")?;
    }
    if *erased > 0 {
        writeln!(out, "{erased} entries have values that were erased")?;
    }
    if report.is_last_line_incomplete {
        writeln!(out, "the last line is incomplete: it is being written, or the next start of the server removes it")?;
    }
    Ok(())
}
