//! What a test of a storage found.

use std::fmt;

/// A guarantee of `storage` (`wit/storage.wit`, `wit/EMBEDDING.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// A delete checks its condition and deletes in one atomic step.
    AtomicDelete,
    /// `deleted` is returned only after the deletion is committed.
    DurableDelete,
    /// The outcome of a delete is what is true of the record.
    TrueOutcome,
    /// Owners and ids are compared byte for byte.
    ByteComparison,
    /// `find` returns the record, with a revision that any change of a column changes.
    TrueRecord,
    /// `locate` reads no record.
    LocateReadsNoRecord,
}

impl Guarantee {
    /// The guarantee in a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtomicDelete => "A delete checks its condition and deletes in one atomic step",
            Self::DurableDelete => "`deleted` is returned only after the deletion is committed",
            Self::TrueOutcome => "The outcome of a delete is what is true of the record",
            Self::ByteComparison => "Owners and ids are compared byte for byte",
            Self::TrueRecord => "`find` returns the record, with a revision that any change of a column changes",
            Self::LocateReadsNoRecord => "`locate` reads no record",
        }
    }
}

/// A violation of a guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The guarantee that the storage violates.
    pub guarantee: Guarantee,
    /// What was done, what the storage returned, and what it must return.
    pub message: String,
}

/// The result of a test of a storage.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The violations, at most one for each check.
    pub findings: Vec<Finding>,
    /// The number of checks. All rounds of one race are one check.
    pub checks: u32,
}

impl Report {
    /// Whether the storage passed every check.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// Counts a check, and records its violation if there is one.
    pub(super) fn check(&mut self, guarantee: Guarantee, violation: Option<String>) {
        self.checks += 1;
        self.findings.extend(violation.map(|message| Finding { guarantee, message }));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { guarantee, message } in &self.findings {
            writeln!(formatter, "{}: {message}", guarantee.as_str())?;
        }
        write!(formatter, "{} checks, {} failed", self.checks, self.findings.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Guarantee, Report};

    #[test]
    fn report_lists_what_is_violated() {
        let mut report = Report::default();
        report.check(Guarantee::AtomicDelete, None);
        assert!(report.is_ok() && report.to_string() == "1 checks, 0 failed", "{report}");
        report.check(Guarantee::ByteComparison, Some("it ignores case".to_owned()));
        let text = "Owners and ids are compared byte for byte: it ignores case\n2 checks, 1 failed";
        assert!(!report.is_ok() && report.to_string() == text, "{report}");
    }
}
