//! The report: components, groups and exit code.

use super::results::{CaseReport, Origin, Results};
use super::subject::{ComponentReport, Subject};
use delete_learning::conformance::Group;
use serde::Serialize;
use std::process::ExitCode;

/// The exit code if the component is stricter than the default policy.
const STRICTER: u8 = 3;

/// The exit code if the component is laxer than the default policy.
const LAXER: u8 = 4;

/// The report.
#[derive(Serialize)]
pub(super) struct Report {
    /// What is checked, the policy first. The default policy is not listed.
    pub(super) components: Vec<ComponentReport>,
    /// Whose grants and settings apply, if a configuration was given.
    pub(super) access: Option<String>,
    /// Whether everything can be loaded.
    pub(super) fits: bool,
    pub(super) counts: Counts,
    /// Whether the remaining cases were skipped after too many violations.
    pub(super) given_up: bool,
    pub(super) results: Vec<CaseReport>,
}

/// The number of results.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    /// Conformance cases that were run.
    pub(super) cases: usize,
    /// Variants of them that were run.
    pub(super) variants: usize,
    pub(super) same: usize,
    /// Those of the group `same` in which something else differs.
    pub(super) notes: usize,
    pub(super) stricter: usize,
    pub(super) laxer: usize,
    /// Including those of own cases.
    pub(super) violations: usize,
    pub(super) own_cases: usize,
    pub(super) own_passed: usize,
    /// Whether calls differ, with `--strict-calls`.
    #[serde(skip)]
    pub(super) calls_differ: bool,
}

impl Report {
    pub(super) fn new(subject: Subject, results: Option<Results>, strict_calls: bool) -> Self {
        let fits = results.is_some();
        let Results { cases: results, given_up } = results.unwrap_or_default();
        Self {
            components: subject.policy.into_iter().chain(subject.guards).map(|part| part.report).collect(),
            access: subject.access,
            fits,
            counts: Counts::new(&results, strict_calls),
            given_up,
            results,
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        if self.fits { self.counts.exit_code() } else { ExitCode::FAILURE }
    }

    /// The results of a group, without own cases.
    pub(super) fn group(&self, group: Group) -> impl Iterator<Item = &CaseReport> {
        self.results.iter().filter(move |result| result.group == group && result.origin != Origin::Own)
    }
}

impl Counts {
    pub(super) fn new(results: &[CaseReport], strict_calls: bool) -> Self {
        let mut counts = Self::default();
        for result in results {
            counts.violations += usize::from(result.group == Group::Violation);
            if result.origin == Origin::Own {
                counts.own_cases += 1;
                counts.own_passed += usize::from(result.passed);
                continue;
            }
            counts.cases += usize::from(result.origin == Origin::Conformance);
            counts.variants += usize::from(result.origin == Origin::Variant);
            match result.group {
                Group::Same => {
                    counts.same += 1;
                    counts.notes += usize::from(!result.passed);
                    counts.calls_differ |= strict_calls && result.expected.calls.as_ref() != Some(&result.result.calls);
                }
                Group::Stricter => counts.stricter += 1,
                Group::Laxer => counts.laxer += 1,
                Group::Violation => {}
            }
        }
        counts
    }

    pub(super) fn exit_code(self) -> ExitCode {
        if self.violations > 0 || self.own_passed < self.own_cases || self.calls_differ {
            ExitCode::FAILURE
        } else if self.laxer > 0 {
            ExitCode::from(LAXER)
        } else if self.stricter > 0 {
            ExitCode::from(STRICTER)
        } else {
            ExitCode::SUCCESS
        }
    }
}
