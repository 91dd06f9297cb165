//! `delete-learning check`.

use super::Ended;
use delete_learning::conformance::{Case, Expected, cases, run};
use delete_learning::plugin::{self, ReadError, interface};
use delete_learning::{Limits, Plugin, Wasi};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// What is found out about a component.
#[derive(Serialize)]
struct Report {
    file: String,
    bytes: u64,
    imports: Vec<String>,
    /// Those of the imports that are WASI's, which a policy gets only where the configuration says so.
    wasi: Vec<String>,
    exports: Vec<String>,
    /// Whether it can be loaded as a policy.
    fits: bool,
    /// Why not.
    reason: Option<String>,
    compile_ms: Option<u128>,
    cases: usize,
    passed: usize,
    /// Whether it was given up before the last case, because it did what it may not so often.
    given_up: bool,
    results: Vec<CaseResult>,
}

/// Cases in which a policy may do what it may not before it is given up: each may take all the time that a policy has.
const MOST_FAULTS: usize = 5;

/// What came of a case, as every host prints it.
#[derive(Serialize)]
struct CaseResult {
    case: String,
    #[serde(flatten)]
    result: Expected,
    #[serde(skip)]
    failed: Option<Case>,
}

/// How the report is printed.
#[derive(Clone, Copy)]
pub(crate) enum CheckForm {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// One line of JSON for every case.
    Lines,
}

/// Checks a component: does it fit the contract, and does it decide as the specification says?
pub(crate) async fn check(file: &Path, form: CheckForm, wasi: Wasi) -> Ended {
    let report = match plugin::read(file, &Limits::default()) {
        Ok(bytes) => examine(file, &bytes, wasi).await?,
        Err(ReadError::Load(error)) => Report { reason: Some(error.to_string()), ..Report::of(file) },
        Err(ReadError::Io(error)) => return Err(format!("{}: {error}", file.display()).into()),
    };
    let mut out = io::stdout();
    match form {
        CheckForm::Table => write(&mut out, &report)?,
        CheckForm::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        CheckForm::Lines => {
            for result in &report.results {
                writeln!(out, "{}", serde_json::to_string(result)?)?;
            }
        }
    }
    let is_good = report.fits && report.passed == report.cases;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    /// What is known of a file before it is looked at.
    fn of(file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            bytes: file.metadata().map_or(0, |metadata| metadata.len()),
            imports: Vec::new(),
            wasi: Vec::new(),
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

async fn examine(file: &Path, bytes: &[u8], wasi: Wasi) -> Result<Report, Box<dyn std::error::Error>> {
    let (imports, exports) = interface(bytes, &Limits::default()).unwrap_or_default();
    let of_wasi = imports.iter().filter(|name| name.starts_with("wasi:")).cloned().collect();
    let mut report = Report { imports, wasi: of_wasi, exports, ..Report::of(file) };
    let start = Instant::now();
    let plugin = match Plugin::load_with(bytes, &Limits::default(), wasi, None) {
        Ok(plugin) => plugin,
        Err(error) => {
            report.reason = Some(error.to_string());
            return Ok(report);
        }
    };
    report.fits = true;
    report.compile_ms = Some(start.elapsed().as_millis());
    let mut faults = 0;
    for case in cases()? {
        if faults == MOST_FAULTS {
            report.given_up = true;
            break;
        }
        let observed = run(&plugin, &case).await;
        faults += usize::from(observed.is_fault);
        report.cases += 1;
        report.passed += usize::from(observed.passed);
        let failed = (!observed.passed).then(|| case.clone());
        report.results.push(CaseResult { case: case.name, result: observed.result, failed });
    }
    Ok(report)
}

fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join("\n            ") };
    writeln!(out, "component   {}", report.file)?;
    writeln!(out, "size        {} bytes", report.bytes)?;
    writeln!(out, "imports     {}", list(&report.imports))?;
    writeln!(out, "exports     {}", list(&report.exports))?;
    if !report.wasi.is_empty() {
        writeln!(out, "WASI        {} of the imports; needs `enabled = true` under `[wasi]`", report.wasi.len())?;
        writeln!(out, "            (here: --wasi, and --wasi-clocks and --wasi-random for what is off even then)")?;
    }
    if let Some(reason) = &report.reason {
        return writeln!(out, "contract    does not fit: {reason}");
    }
    writeln!(out, "contract    fits learnings:plugin@0.1.0")?;
    writeln!(out, "compiled    in {} ms", report.compile_ms.unwrap_or_default())?;
    writeln!(out, "conformance {} of {} cases passed", report.passed, report.cases)?;
    if report.given_up {
        writeln!(out, "            given up after {MOST_FAULTS} in which it did what it may not")?;
    }
    for (result, case) in report.results.iter().filter_map(|result| Some((result, result.failed.as_ref()?))) {
        writeln!(out, "\nfailed      {}\n            {}", case.name, case.why)?;
        writeln!(out, "  expected  {}", serde_json::to_string(&case.expect)?)?;
        writeln!(out, "  got       {}", serde_json::to_string(&result.result)?)?;
    }
    Ok(())
}
