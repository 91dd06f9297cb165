//! `delete-learning check`.

use super::CommandResult;
use delete_learning::conformance::{self, Case, Observation};
use delete_learning::{Access, Description, Limits, ReadError, Sandbox, describe, read};
use delete_learning_server::Config;
use serde::Serialize;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// The report on a component.
#[derive(Serialize)]
struct Report {
    file: String,
    bytes: u64,
    imports: Vec<String>,
    exports: Vec<String>,
    /// Whether it can be loaded as a policy.
    fits: bool,
    /// Why it cannot.
    reason: Option<String>,
    compile_ms: Option<u128>,
    cases: usize,
    passed: usize,
    /// Whether the remaining cases were skipped, because of [`MAX_VIOLATIONS`].
    given_up: bool,
    results: Vec<CaseReport>,
}

/// Violations of the contract or of a limit after which the remaining cases are skipped: each can take as long as the
/// execution timeout.
const MAX_VIOLATIONS: usize = 5;

/// The result of a case, in the form that every host prints.
#[derive(Serialize)]
struct CaseReport {
    case: String,
    #[serde(flatten)]
    result: Observation,
    #[serde(skip)]
    failed: Option<Case>,
}

/// The format of the report.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum CheckFormat {
    /// Text for people
    #[default]
    Table,
    /// One JSON object, with the result of every case
    Json,
    /// One JSON object on a line for every case, as the hosts in other languages print them, and nothing else
    Jsonl,
}

/// Checks a component: whether it can be loaded, and whether it decides as the specification says.
pub(super) async fn check(file: &Path, format: CheckFormat, config: Option<&Path>) -> CommandResult {
    let config = config.map(|path| Config::read(path, &|name| std::env::var(name).ok())).transpose()?;
    let (limits, access) = match config {
        Some(config) => (config.sandbox, config.policy.access),
        None => (Limits::default(), Access::default()),
    };
    let report = match read(file, &limits) {
        Ok(bytes) => report(file, &bytes, &limits, &access).await?,
        Err(ReadError::Load(error)) => Report { reason: Some(error.to_string()), ..Report::new(file) },
        Err(ReadError::Io(error)) => return Err(format!("{}: {error}", file.display()).into()),
    };
    let mut out = io::stdout();
    match format {
        CheckFormat::Table => print_table(&mut out, &report)?,
        CheckFormat::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        CheckFormat::Jsonl => {
            for result in &report.results {
                writeln!(out, "{}", serde_json::to_string(result)?)?;
            }
        }
    }
    let passed = report.fits && report.passed == report.cases;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    /// A report on a file that has not been read.
    fn new(file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            bytes: file.metadata().map_or(0, |metadata| metadata.len()),
            imports: Vec::new(),
            exports: Vec::new(),
            fits: false,
            reason: None,
            compile_ms: None,
            cases: 0,
            passed: 0,
            given_up: false,
            results: Vec::new(),
        }
    }
}

async fn report(file: &Path, bytes: &[u8], limits: &Limits, access: &Access) -> Result<Report, Box<dyn Error>> {
    let Description { imports, exports, .. } = describe(bytes, limits).unwrap_or_default();
    let mut report = Report { imports, exports, ..Report::new(file) };
    let start = Instant::now();
    let policy = match Sandbox::new(limits, None)?.load_policy(bytes, access, Vec::new()) {
        Ok(policy) => policy,
        Err(error) => {
            report.reason = Some(error.to_string());
            return Ok(report);
        }
    };
    report.fits = true;
    report.compile_ms = Some(start.elapsed().as_millis());
    let mut violations = 0;
    for case in conformance::cases()? {
        if violations == MAX_VIOLATIONS {
            report.given_up = true;
            break;
        }
        let result = conformance::run(&policy, &case).await;
        violations += usize::from(result.is_violation);
        report.cases += 1;
        report.passed += usize::from(result.passed);
        let failed = (!result.passed).then(|| case.clone());
        report.results.push(CaseReport { case: case.name, result: result.observation, failed });
    }
    Ok(report)
}

fn print_table(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join("\n            ") };
    writeln!(out, "component   {}", report.file)?;
    writeln!(out, "size        {} bytes", report.bytes)?;
    writeln!(out, "imports     {}", list(&report.imports))?;
    writeln!(out, "exports     {}", list(&report.exports))?;
    if let Some(reason) = &report.reason {
        return writeln!(out, "contract    does not fit: {reason}");
    }
    writeln!(out, "contract    fits learnings:plugin@0.1.0")?;
    writeln!(out, "compiled    in {} ms", report.compile_ms.unwrap_or_default())?;
    writeln!(out, "conformance {} of {} cases passed", report.passed, report.cases)?;
    if report.given_up {
        writeln!(out, "            the others were skipped after {MAX_VIOLATIONS} violations")?;
    }
    for (result, case) in report.results.iter().filter_map(|result| Some((result, result.failed.as_ref()?))) {
        writeln!(out, "\nfailed      {}\n            {}", case.name, case.why)?;
        writeln!(out, "  expected  {}", serde_json::to_string(&case.expect)?)?;
        writeln!(out, "  got       {}", serde_json::to_string(&result.result)?)?;
    }
    Ok(())
}
