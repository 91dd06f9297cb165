//! Runs the cases on the default policy and on what is checked, and compares the results.

use super::load::Loaded;
use delete_learning::conformance::{
    Case, CaseResult, Comparison, Expectation, Group, Observation, Variant, compare, distinctions, run, variants,
};
use serde::Serialize;

/// Violations of the contract or of a limit after which the remaining cases are skipped: each can take as long as the
/// execution timeout.
pub(super) const MAX_VIOLATIONS: usize = 5;

/// Where a case comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Origin {
    /// The conformance cases.
    Conformance,
    /// A conformance case with another record.
    Variant,
    /// A file of `--cases`.
    Own,
}

/// The result of a case.
#[derive(Serialize)]
pub(super) struct CaseReport {
    pub(super) case: String,
    pub(super) origin: Origin,
    pub(super) group: Group,
    /// Whether it is as expected: for an own case by what the case expects, otherwise by what the default policy does.
    pub(super) passed: bool,
    /// Why it is in its group, or what differs.
    pub(super) reason: Option<String>,
    pub(super) expected: Expectation,
    #[serde(flatten)]
    pub(super) result: Observation,
    #[serde(skip)]
    pub(super) why: String,
}

/// The results of all cases.
#[derive(Default)]
pub(super) struct Results {
    pub(super) cases: Vec<CaseReport>,
    /// Whether the remaining cases were skipped, because of [`MAX_VIOLATIONS`].
    pub(super) given_up: bool,
}

/// Runs all cases.
///
/// # Errors
/// The default policy does not run under these limits.
pub(super) async fn run_all(
    loaded: &Loaded,
    bundled: &[Case],
    own: &[Case],
    strict_calls: bool,
) -> Result<Results, String> {
    let mut runner = Runner { loaded, strict_calls, violations: 0, results: Results::default() };
    for (origin, cases) in [(Origin::Conformance, bundled), (Origin::Own, own)] {
        for case in cases {
            runner.run(case, origin).await?;
        }
    }
    for variants in variants(bundled) {
        runner.run_variants(&variants).await?;
    }
    Ok(runner.results)
}

/// Runs one case.
///
/// # Errors
/// The default policy does not run under these limits.
pub(super) async fn run_one(
    loaded: &Loaded,
    case: &Case,
    origin: Origin,
    strict_calls: bool,
) -> Result<(CaseReport, CaseResult), String> {
    let default = run_default(loaded, case).await?;
    let checked = run(&loaded.checked, case).await;
    Ok((report(case, origin, &default, &checked, strict_calls), checked))
}

struct Runner<'a> {
    loaded: &'a Loaded,
    strict_calls: bool,
    violations: usize,
    results: Results,
}

impl Runner<'_> {
    /// Runs a case and adds its report. Returns `None` if it was skipped.
    async fn run(&mut self, case: &Case, origin: Origin) -> Result<Option<(CaseResult, CaseResult)>, String> {
        if self.violations == MAX_VIOLATIONS {
            self.results.given_up = true;
            return Ok(None);
        }
        let default = run_default(self.loaded, case).await?;
        let checked = run(&self.loaded.checked, case).await;
        self.violations += usize::from(checked.is_violation());
        self.results.cases.push(report(case, origin, &default, &checked, self.strict_calls));
        Ok(Some((default, checked)))
    }

    /// Runs the variants of one request and caller.
    async fn run_variants(&mut self, variants: &[Variant]) -> Result<(), String> {
        let first = self.results.cases.len();
        let mut results = Vec::new();
        for variant in variants {
            if let Some((default, checked)) = self.run(&variant.case, Origin::Variant).await? {
                results.push((variant, default, checked));
            }
        }
        let compared: Vec<_> = results.iter().map(|(variant, default, checked)| (*variant, default, checked)).collect();
        for distinction in distinctions(&compared) {
            if let Some(report) = self.results.cases.get_mut(first + distinction.index) {
                report.group = Group::Laxer;
                report.passed = false;
                report.reason = Some(distinction.reason);
            }
        }
        Ok(())
    }
}

async fn run_default(loaded: &Loaded, case: &Case) -> Result<CaseResult, String> {
    let result = run(&loaded.default, case).await;
    match &result.decision.error {
        Some(error) => Err(format!("the default policy does not run under these limits: {error}")),
        None => Ok(result),
    }
}

fn report(case: &Case, origin: Origin, default: &CaseResult, checked: &CaseResult, strict_calls: bool) -> CaseReport {
    let Comparison { group, reason } = compare(default, checked);
    let result = checked.observation.clone();
    let (expected, passed, reason) = if origin == Origin::Own {
        let passed = checked.meets_except_calls(&case.expect) && (!strict_calls || checked.meets(&case.expect));
        (case.expect.clone(), passed, reason)
    } else {
        let expected = Expectation::from(default.observation.clone());
        let other_calls = strict_calls && default.observation.calls != result.calls;
        let reason = reason.or_else(|| other_calls.then(|| "makes other calls".to_owned()));
        (expected, reason.is_none(), reason)
    };
    let (case, why) = (case.name.clone(), case.why.clone());
    CaseReport { case, origin, group, passed, reason, expected, result, why }
}
