//! The report as text for people.

use super::report::Report;
use super::results::{CaseReport, MAX_VIOLATIONS, Origin};
use super::subject::ComponentReport;
use delete_learning::conformance::{Answer, Group};
use std::io::{self, Write};

/// Cases that are listed of each group.
const MAX_LISTED: usize = 10;

pub(super) fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let counts = &report.counts;
    if counts.violations > 0 {
        let skipped = if report.given_up {
            format!("; the remaining cases were skipped after {MAX_VIOLATIONS} violations")
        } else {
            String::new()
        };
        let number = counts.violations;
        writeln!(out, "VIOLATION   of the contract or a limit in {}{skipped}\n", plural(number, "case"))?;
    }
    for component in &report.components {
        print_component(out, component)?;
    }
    if let Some(access) = &report.access {
        writeln!(out, "access      {access}")?;
    }
    if !report.fits {
        return Ok(());
    }
    writeln!(
        out,
        "compared    with the default policy: {}, {} with other records",
        plural(counts.cases, "case"),
        counts.variants
    )?;
    let notes = if counts.notes > 0 { format!(" ({} with notes, below)", counts.notes) } else { String::new() };
    writeln!(out, "same        {}{notes}", counts.same)?;
    writeln!(out, "stricter    {}", describe(counts.stricter, "retains records that the default policy deletes"))?;
    writeln!(out, "laxer       {}", describe(counts.laxer, laxness(report)))?;
    if counts.own_cases > 0 {
        writeln!(out, "own cases   {} of {} passed", counts.own_passed, counts.own_cases)?;
    }
    print_list(out, "violation", report.results.iter().filter(|result| result.group == Group::Violation))?;
    let failed = |result: &&CaseReport| result.origin == Origin::Own && !result.passed;
    print_list(out, "failed", report.results.iter().filter(failed))?;
    print_list(out, "laxer", report.group(Group::Laxer))?;
    print_list(out, "stricter", report.group(Group::Stricter))?;
    print_notes(out, report.group(Group::Same).filter(|result| !result.passed))
}

fn print_component(out: &mut impl Write, component: &ComponentReport) -> io::Result<()> {
    let name = component.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    writeln!(out, "component   {}{name}", component.file)?;
    writeln!(out, "world       {}", component.world.unwrap_or("none: it exports neither a policy nor a guard"))?;
    writeln!(out, "size        {} bytes", component.bytes)?;
    if let Some(sha256) = &component.sha256 {
        writeln!(out, "sha256      {sha256}")?;
    }
    let mut label = "imports";
    for import in &component.imports {
        let grant = match (component.grants_needed.contains(import), component.granted.contains(import)) {
            (false, _) => "",
            (true, true) => "  (granted)",
            (true, false) => "  (needs a grant)",
        };
        writeln!(out, "{label:<11} {import}{grant}")?;
        label = "";
    }
    if let Some(reason) = &component.reason {
        writeln!(out, "contract    cannot be loaded: {reason}")?;
    } else if let Some(compile_ms) = component.compile_ms {
        writeln!(out, "contract    fits learnings:plugin@0.1.0, compiled in {compile_ms} ms")?;
    }
    Ok(())
}

fn print_list<'a>(out: &mut impl Write, label: &str, results: impl Iterator<Item = &'a CaseReport>) -> io::Result<()> {
    let results: Vec<&CaseReport> = results.collect();
    for result in results.iter().take(MAX_LISTED) {
        writeln!(out, "\n{label:<11} {}\n            {}", result.case, result.why)?;
        if let (Some(reason), false) = (&result.reason, result.group == Group::Violation) {
            writeln!(out, "  reason    {reason}")?;
        }
        let expected = &result.expected;
        writeln!(out, "  expected  {}, left: {}", describe_answer(&expected.answer), list(&expected.left))?;
        if let (Some(calls), true) = (&expected.calls, result.origin == Origin::Own) {
            writeln!(out, "            calls: {}", calls.join(", "))?;
        }
        let got = &result.result;
        writeln!(out, "  got       {}, left: {}", describe_answer(&got.answer), list(&got.left))?;
        writeln!(out, "            calls: {}", got.calls.join(", "))?;
    }
    print_more(out, results.len())
}

/// Prints the cases of each note together.
fn print_notes<'a>(out: &mut impl Write, results: impl Iterator<Item = &'a CaseReport>) -> io::Result<()> {
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for result in results {
        let reason = result.reason.as_deref().unwrap_or_default();
        match notes.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, cases)) => cases.push(&result.case),
            None => notes.push((reason, vec![&result.case])),
        }
    }
    for (reason, cases) in notes.iter().take(MAX_LISTED) {
        writeln!(out, "\nnote        {reason}")?;
        for case in cases.iter().take(MAX_LISTED) {
            writeln!(out, "  case      {case}")?;
        }
        print_more(out, cases.len())?;
    }
    print_more(out, notes.len())
}

fn print_more(out: &mut impl Write, number: usize) -> io::Result<()> {
    match number.checked_sub(MAX_LISTED) {
        Some(more) if more > 0 => writeln!(out, "            and {more} more; --format json lists all"),
        Some(_) | None => Ok(()),
    }
}

/// An answer in one line.
pub(super) fn describe_answer(answer: &Answer) -> String {
    match answer {
        Answer::Word(word) => word.clone(),
        Answer::Rejection(rejection) => {
            format!("{} {:?} (rule {})", rejection.status, rejection.detail, rejection.rule)
        }
    }
}

/// The names, or `none`.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn describe(number: usize, description: &str) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number}: it {description}") }
}

/// What a laxer component does.
fn laxness(report: &Report) -> &'static str {
    let deletes = |result: &&CaseReport| matches!(result.result.answer, Answer::Word(_));
    let number = report.group(Group::Laxer).filter(deletes).count();
    if number == 0 {
        "distinguishes records that the default policy answers alike"
    } else if number == report.counts.laxer {
        "deletes records that the default policy retains"
    } else {
        "deletes records that the default policy retains, and distinguishes records that it answers alike"
    }
}

fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
