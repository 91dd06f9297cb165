//! `delete-learning audit show`.

use super::progress::ProgressLine;
use crate::cli::CommandResult;
use clap::Args;
use delete_learning_server::audit::{Entry, JournalReader, Next, Salted, Values};
use serde_json::{Map, Value};
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The filters and the format of `audit show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArguments {
    /// The directory of the log: `audit.directory` of the configuration
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Entries about this learning id
    #[arg(long, value_name = "ID")]
    learning: Option<String>,
    /// Entries of requests of this subject
    #[arg(long, value_name = "SUBJECT")]
    caller: Option<String>,
    /// Entries with this outcome: deleted, not-deleted or unknown; absent, present or unknown of an interrupted request
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Entries at or after this time in UTC, such as 2026-11-26 or 2026-11-26T10:30
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<String>,
    /// Entries before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<String>,
    /// One JSON object for each entry instead of a table
    #[arg(long)]
    json: bool,
}

/// Accepts the beginning of a time in the form of entries, with which the time of an entry can be compared as text.
fn parse_time(text: &str) -> Result<String, String> {
    const FORM: &str = "0000-00-00T00:00:00.000000Z";
    let fits = text.len() <= FORM.len()
        && text.len() >= 4
        && text.chars().zip(FORM.chars()).all(|(character, form)| match form {
            '0' => character.is_ascii_digit(),
            form => character == form,
        });
    if fits {
        Ok(text.trim_end_matches('Z').to_owned())
    } else {
        Err("must be a time in UTC, such as 2026-11-26T10:30".to_owned())
    }
}

impl ShowArguments {
    fn selects(&self, entry: &Entry, values: &Values) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        is(&self.learning, value(&values.learning_id))
            && is(&self.caller, value(&values.subject))
            && is(&self.outcome, entry.outcome.as_deref())
            && self.since.as_ref().is_none_or(|since| entry.time >= *since)
            && self.until.as_ref().is_none_or(|until| entry.time < *until)
    }
}

fn value(salted: &Option<Salted>) -> Option<&str> {
    salted.as_ref().map(|salted| salted.value.as_str())
}

/// Prints entries. A reader that ends before the last one, such as `head`, is no error.
pub(super) fn show(arguments: &ShowArguments) -> CommandResult {
    match print(arguments) {
        Err(error) if is_closed_pipe(error.as_ref()) => Ok(ExitCode::SUCCESS),
        printed => printed,
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn print(arguments: &ShowArguments) -> CommandResult {
    let mut reader = JournalReader::open(&arguments.directory, 0)?;
    let mut progress = ProgressLine::new();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut is_first = true;
    let problem = loop {
        let line = match reader.next_line()? {
            Next::Line(line) => line,
            Next::Incomplete { .. } | Next::End => break None,
            Next::Malformed { index, .. } => break Some(index),
            Next::Gap { index, .. } => break Some(index),
        };
        progress.show(line.index, None);
        let (Ok(entry), values) = (line.parse_entry(), line.parse_values().unwrap_or_default()) else {
            break Some(line.index);
        };
        if !arguments.selects(&entry, &values) {
            continue;
        }
        if arguments.json {
            writeln!(out, "{}", to_json(line.index, &entry, &values)?)?;
        } else {
            if std::mem::take(&mut is_first) {
                writeln!(out, "{}", COLUMNS.join("  "))?;
            }
            writeln!(out, "{}", to_row(line.index, &entry, &values))?;
        }
    };
    out.flush()?;
    match problem {
        None => Ok(ExitCode::SUCCESS),
        Some(index) => Err(format!("entry {index} is missing or malformed; run `delete-learning audit verify`").into()),
    }
}

/// The widths are those of usual values.
const COLUMNS: [&str; 8] = [
    "   entry",
    "time                       ",
    "event      ",
    "outcome    ",
    "   ",
    "rule                ",
    "caller              ",
    "learning",
];

fn to_row(index: u64, entry: &Entry, values: &Values) -> String {
    // A digest without its value was erased.
    let redacted = |digest: &Option<String>, salted: &Option<Salted>| match (digest, salted) {
        (_, Some(salted)) => printable(&salted.value),
        (Some(_), None) => "(erased)".to_owned(),
        (None, None) => "-".to_owned(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let learning = redacted(&entry.learning_id, &values.learning_id);
    let place = match (&entry.database, &entry.table) {
        (Some(database), Some(table)) => format!("{learning} in {database}/{table}"),
        _ => learning,
    };
    format!(
        "{index:>8}  {}  {:<11}  {:<11}  {:>3}  {:<20}  {:<20}  {place}",
        entry.time,
        entry.event.as_str(),
        text(&entry.outcome),
        entry.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        text(&entry.rule),
        redacted(&entry.subject, &values.subject),
    )
}

/// Callers choose ids and subjects, so control characters in them must not reach the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped: Box<dyn Iterator<Item = char>> = if character.is_control() {
                Box::new(character.escape_default())
            } else {
                Box::new(std::iter::once(character))
            };
            escaped
        })
        .collect()
}

/// The members of the entry with values in place of digests; an erased one is null.
fn to_json(index: u64, entry: &Entry, values: &Values) -> serde_json::Result<String> {
    let Value::Object(mut members) = serde_json::to_value(entry)? else { return Ok(String::new()) };
    let values: Map<String, Value> =
        values.iter().map(|(name, salted)| (name.to_owned(), salted.value.clone().into())).collect();
    for name in ["client", "learning_id", "owner", "subject"] {
        if let Some(member) = members.get_mut(name) {
            *member = values.get(name).cloned().unwrap_or(Value::Null);
        }
    }
    members.insert("entry".to_owned(), index.into());
    serde_json::to_string(&members)
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn time_is_the_beginning_of_a_time_in_utc() {
        for (text, parsed) in [
            ("2026", Some("2026")),
            ("2026-11-26", Some("2026-11-26")),
            ("2026-11-26T10:30", Some("2026-11-26T10:30")),
            ("2026-11-26T10:30:00.123456Z", Some("2026-11-26T10:30:00.123456")),
            ("26", None),
            ("yesterday", None),
            ("2026-11-26 10:30", None),
            ("2026-11-26T10:30:00.123456+01:00", None),
        ] {
            assert_eq!(parse_time(text).ok().as_deref(), parsed, "{text}");
        }
    }
}
