//! `delete-learning audit forget`.

use super::progress::ProgressLine;
use crate::cli::CommandResult;
use delete_learning_server::audit::{self, Forgotten, Selection};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Erases values.
pub(super) fn forget(directory: &Path, subject: Option<String>, learning: Option<String>) -> CommandResult {
    let selection = match (subject, learning) {
        (Some(subject), _) => Selection::Subject(subject),
        (None, Some(id)) => Selection::Learning(id),
        (None, None) => return Err("--subject or --learning is missing".into()),
    };
    let mut line = ProgressLine::new();
    let Forgotten { entries, values } = audit::forget(directory, &selection, &mut |done| line.show(done, None))?;
    drop(line);
    writeln!(io::stdout(), "erased {values} values of {entries} entries")?;
    Ok(ExitCode::SUCCESS)
}
