//! `delete-learning audit receipt` and `audit verify-receipt`.

use super::progress::ProgressLine;
use super::{LogArguments, read, read_keys};
use crate::cli::CommandResult;
use delete_learning_server::audit::{Disclosure, Kind, Receipt, VerifiedReceipt};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a receipt.
pub(super) fn create(
    log: &LogArguments,
    request_id: &str,
    output: Option<&Path>,
    disclose: &[String],
) -> CommandResult {
    let disclosure = parse_disclosure(disclose)?;
    let keys = read_keys(&log.public_key)?;
    let mut line = ProgressLine::new();
    let receipt = Receipt::create(&log.directory, &keys, request_id, disclosure, &mut |done| line.show(done, None))?;
    drop(line);
    let text = receipt.to_text()?;
    match output {
        Some(path) => fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => io::stdout().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_disclosure(names: &[String]) -> Result<Disclosure, String> {
    let mut disclosure = Disclosure::default();
    for name in names {
        match name.as_str() {
            "learning-id" => disclosure.learning_id = true,
            "subject" => disclosure.subject = true,
            "owner" => disclosure.owner = true,
            "client" => disclosure.client = true,
            "nothing" => {}
            other => return Err(format!("--disclose {other}: must be learning-id, subject, owner, client or nothing")),
        }
    }
    Ok(disclosure)
}

/// Verifies a receipt, and prints what it states.
pub(super) fn verify(public_keys: &[PathBuf], receipt: &Path) -> CommandResult {
    let keys = read_keys(public_keys)?;
    let verified = Receipt::parse(&read(receipt)?).and_then(|receipt| receipt.verify(&keys));
    let verified = verified.map_err(|error| format!("the receipt {} does not verify: {error}", receipt.display()))?;
    print(&verified)?;
    Ok(ExitCode::SUCCESS)
}

fn print(receipt: &VerifiedReceipt) -> io::Result<()> {
    let VerifiedReceipt { entry, disclosed, index, checkpoint } = receipt;
    let mut out = io::stdout().lock();
    writeln!(out, "the receipt verifies: entry {index} of the log {}", checkpoint.origin)?;
    let statement = match (entry.event, entry.outcome.as_deref()) {
        (Kind::Decision, Some("deleted")) => "the record was deleted",
        (Kind::Decision, Some("not-deleted")) => "the record was not deleted",
        (Kind::Interrupted, Some("absent")) => "the request was interrupted; afterwards the record was absent",
        (Kind::Interrupted, Some("present")) => "the request was interrupted; afterwards the record was present",
        _ => "whether the record was deleted is unknown",
    };
    writeln!(out, "{statement}")?;
    let lines = [
        ("time", Some(entry.time.clone())),
        ("request", entry.request_id.clone()),
        ("rule", entry.rule.clone()),
        ("database", entry.database.clone()),
        ("table", entry.table.clone()),
        ("type", entry.learning_type.clone()),
        ("policy", entry.policy.clone()),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "  {name:<12} {value}")?;
        }
    }
    for (name, salted) in disclosed.iter() {
        writeln!(out, "  {name:<12} {:?}", salted.value)?;
    }
    Ok(())
}
