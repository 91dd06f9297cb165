//! `delete-learning check`: compares a policy or a guard with the default policy, case by case.

mod arguments;
mod explain;
mod load;
mod own_cases;
mod report;
mod results;
mod subject;
mod text;

pub(super) use arguments::{CheckArguments, EXIT_CODES};

use super::CommandResult;
use arguments::CheckFormat;
use delete_learning::conformance::{self, Case};
use report::{Counts, Report};
use results::Origin;
use serde::Serialize;
use std::io::{self, Write};
use subject::Subject;

/// Checks a component, or the policy and the guards of a configuration.
pub(super) async fn check(arguments: &CheckArguments) -> CommandResult {
    let bundled = conformance::cases()?;
    let own = match &arguments.cases {
        Some(directory) => own_cases::read_cases(directory, &bundled)?,
        None => Vec::new(),
    };
    // Before anything is compiled, which takes longer.
    let explained = arguments.explain.as_ref().map(|name| find_explained(name, &bundled, &own)).transpose()?;
    let mut subject = Subject::read(arguments.component.as_deref(), arguments.config.as_deref())?;
    let loaded = load::load(&mut subject).await?;
    if let (Some((case, origin)), Some(loaded)) = (&explained, &loaded) {
        let (report, result) = results::run_one(loaded, case, *origin, arguments.strict_calls).await?;
        explain::print(&mut io::stdout(), case, &report, &result)?;
        return Ok(Counts::new(&[report], arguments.strict_calls).exit_code());
    }
    let results = match &loaded {
        Some(loaded) => Some(results::run_all(loaded, &bundled, &own, arguments.strict_calls).await?),
        None => None,
    };
    let report = Report::new(subject, results, arguments.strict_calls);
    let mut out = io::BufWriter::new(io::stdout());
    match arguments.format {
        CheckFormat::Table => text::print(&mut out, &report)?,
        CheckFormat::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        CheckFormat::Jsonl => print_lines(&mut out, &report)?,
    }
    out.flush()?;
    Ok(report.exit_code())
}

/// The case whose calls are printed, and where it comes from.
fn find_explained(name: &str, bundled: &[Case], own: &[Case]) -> Result<(Case, Origin), String> {
    let origin = if own.iter().any(|case| case.name == name) { Origin::Own } else { Origin::Conformance };
    let variants = conformance::variants(bundled).into_iter().flatten().map(|variant| variant.case);
    let cases: Vec<Case> = bundled.iter().chain(own).cloned().chain(variants).collect();
    Ok((own_cases::find_case(name, &cases)?.clone(), origin))
}

/// Prints the results in the form that every host prints, without variants.
fn print_lines(out: &mut impl Write, report: &Report) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        case: &'a str,
        #[serde(flatten)]
        result: &'a conformance::Observation,
    }
    for component in &report.components {
        if let Some(reason) = &component.reason {
            writeln!(io::stderr(), "delete-learning: {}: {reason}", component.file)?;
        }
    }
    for result in report.results.iter().filter(|result| result.origin != Origin::Variant) {
        let line = Line { case: &result.case, result: &result.result };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}
